"""The answer of an operation in which something is wrong: every error at its path, nulls outward.

It works on what the plan has read already and evaluates one field after the other, as GraphQL
describes it; the fast path has no place for errors and hands over to it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from graphql import GraphQLError, located_error
from graphql.pyutils import is_iterable

from app.plan.emit import key_of, kind_of
from app.plan.shapes import Children, Edge, EntityFrame, Field, Items, Leaf, Made, Sub

if TYPE_CHECKING:
    from app.plan.reading import Reading

Path = list[str | int]


class Careful:
    """Completes values over the rows of a reading, and collects the errors."""

    def __init__(self, reading: "Reading") -> None:
        self._reading = reading
        self.errors: list[GraphQLError] = []

    def field(self, one: Field, value: Any, path: Path) -> Any:
        """The JSON of a raw value, None with an error noted; raises where null is not allowed."""
        try:
            present = unless_raised(value)
            return self._complete(one.made, present, one, path, is_nullable=one.is_nullable)
        except Exception as error:  # noqa: BLE001  whatever it is belongs to this field
            located = located_error(error, one.nodes, path)
            if not one.is_nullable:
                raise located from None
            self.errors.append(located)
            return None

    def entity(self, frame: EntityFrame, place: int, path: Path) -> dict[str, Any]:
        """The object of a frame's row at that place."""
        reading = self._reading
        row = reading.rows_of(frame)[place]
        batch = [values[place] for values in reading.batches_of(frame)]
        made = {}
        for one in frame.fields:
            made[one.key] = self.field(one, self._picked(one, row, batch), [*path, one.key])
        return made

    def _picked(self, one: Field, row: Any, batch: Sequence[Any]) -> Any:
        assert one.pick is not None
        try:
            if one.batch is not None and isinstance(batch[one.batch], BaseException):
                return batch[one.batch]
            return one.pick(row, batch, self._reading.arguments)
        except Exception as error:  # noqa: BLE001  told at the field
            return error

    def _complete(
        self, made: Made, value: Any, one: Field, path: Path, *, is_nullable: bool
    ) -> Any:
        done = None if value is None else self._present(made, value, one, path)
        if done is None and not is_nullable:
            raise TypeError(f"Cannot return null for non-nullable field {one.where}.")
        return done

    def _present(self, made: Made, value: Any, one: Field, path: Path) -> Any:
        match made:
            case Leaf(kind, _):
                return kind.serialize(value)
            case Items(each, is_nullable):
                if not is_iterable(value):
                    raise GraphQLError(
                        f"Expected Iterable, but did not find one for field '{one.where}'."
                    )
                return [
                    self._item(each, item, one, [*path, place], is_nullable=is_nullable)
                    for place, item in enumerate(value)
                ]
            case Edge(frame):
                place = self._reading.place_of(frame, value)
                return None if place is None else self.entity(frame, place, path)
            case Children(frame):
                places = self._reading.places_under(frame, value)
                return [self.entity(frame, at, [*path, n]) for n, at in enumerate(places)]
            case Sub():
                return self._sub(made, value, path)

    def _item(self, made: Made, value: Any, one: Field, path: Path, *, is_nullable: bool) -> Any:
        try:
            return self._complete(made, value, one, path, is_nullable=is_nullable)
        except Exception as error:  # noqa: BLE001  as in `field`
            located = located_error(error, one.nodes, path)
            if not is_nullable:
                raise located from None
            self.errors.append(located)
            return None

    def _sub(self, made: Sub, value: Any, path: Path) -> Any:
        kind = kind_of(value)
        if kind in made.kinds:
            frame = made.kinds[kind]
            place = self._reading.place_of(frame, key_of(value))
            return None if place is None else self.entity(frame, place, path)
        fields = made.values[kind].fields
        return {
            one.key: self.field(one, self._picked(one, value, ()), [*path, one.key])
            for one in fields
        }


def unless_raised(value: Any) -> Any:
    """The value, or raises it when it stands for an error that was met earlier."""
    if isinstance(value, BaseException):
        raise value
    return value
