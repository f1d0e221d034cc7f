"""Both executors answer the same JSON to operations that nobody wrote."""

import asyncio
import os
from collections import Counter
from collections.abc import Sequence

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.plan import Reason
from tests.plan.bazaar import WHO
from tests.plan.conftest import REPORT, Fair, Made, opened_fair
from tests.plan.drawn import Page, operations
from tests.plan.executors import Executors

EXAMPLES = int(os.environ.get("JISHI_PARITY_EXAMPLES", "0"))
"""How many operations to draw anew, the first wrong one made as small as it goes (minutes).

Without it the same ones are drawn every time, few enough for every run.
"""

LISTS: dict[str, Sequence[Page]] = {
    "products": [
        {"first": "2"},
        {"first": "3", "sort": "SALES"},
        {"first": "1", "sort": "PRICE_DESC", "search": '"米"'},
    ],
    "orders": [{"first": "2"}, {"first": "1", "status": "AWAITING_SHIPMENT"}],
    "groupBuys": [{"first": "4"}],
    "liveRooms": [{"first": "3"}],
}


async def pages(fair: Fair, who: str) -> dict[str, list[Page]]:
    """Arguments of lists, each with a cursor that the same list has given."""
    found: dict[str, list[Page]] = {}
    for name, lists in LISTS.items():
        found[name] = []
        for one in lists:
            given = ", ".join(f"{key}: {value}" for key, value in one.items())
            answer = await fair.both(f"{{ {name}({given}) {{ pageInfo {{ endCursor }} }} }}", who)
            if answer["data"] is None:
                continue  # orders are for those who have signed in
            cursor = answer["data"][name]["pageInfo"]["endCursor"]
            if cursor is not None:
                found[name].append({**one, "after": f'"{cursor}"'})
    return found


def test_every_drawn_query_has_one_answer(made: Made, executors: Executors) -> None:
    """Runs its own loop: what draws examples knows nothing of coroutines."""
    asked = Counter[str]()

    @settings(
        max_examples=EXAMPLES or 80,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink] if EXAMPLES else [Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def drawn(data: st.DataObject) -> None:
        who = data.draw(st.sampled_from(WHO))
        one = data.draw(operations(executors.schema._schema, made.bazaar.ids, known[who]))
        assert executors.document(one.text) is not None
        plan = executors.plan(one.text, dialect)
        if isinstance(plan, Reason):
            asked[f"left: {plan.text}"] += 1
            return
        # a root's key may be read apart from those that its neighbours lead to
        comparing = executors.compare(
            one.text, lambda: fair.context(who), one.variables, spare=one.roots
        )
        answer = runner.run(comparing)
        asked["alike, with errors" if "errors" in answer else "alike"] += 1

    with asyncio.Runner() as runner:
        opening = opened_fair(made.url, made.bazaar, executors)
        fair = runner.run(opening.__aenter__())
        dialect = fair.mall.database.dialect
        try:
            known = {who: runner.run(pages(fair, who)) for who in WHO}
            drawn()
        finally:
            runner.run(opening.__aexit__(None, None, None))
    REPORT.append(f"{asked.total()} drawn operations on {dialect}: {dict(asked)}")
    assert asked["alike"] + asked["alike, with errors"] >= 0.98 * asked.total()
