"""Both executors answer the same JSON to every query that is shown, whoever asks."""

from collections.abc import Iterator
from typing import Any

import pytest
from graphql import OperationType, parse

from tests.plan.bazaar import WHO
from tests.plan.conftest import REPORT, Fair
from tests.plan.corpus import shown
from tests.plan.executors import Dearer, Different, Slower
from tests.plan.variables import fillings

FEW = 4  # variables are tried one after the other for what clients send, a few for what tests do


def asked(fair: Fair) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every shown query with variables of many kinds."""
    graph = fair.executors.schema._schema
    for one in shown(graph):
        if one.kind is OperationType.QUERY:
            found = fillings(parse(one.text), graph, fair.bazaar.ids)
            for given in found[:FEW] if one.shelf == "tests" else found:
                yield one.text, given


@pytest.mark.parametrize("who", WHO)
async def test_every_shown_query_has_one_answer(fair: Fair, who: str) -> None:
    texts, count, with_errors, wrong = set(), 0, 0, []
    for text, given in asked(fair):
        texts.add(text)
        count += 1
        try:
            answer = await fair.both(text, who, **given)
        except (Different, Slower, Dearer) as different:
            wrong.append(str(different))
        else:
            with_errors += "errors" in answer
    REPORT.append(
        f"{len(texts)} shown queries with {count} sets of variables on"
        f" {fair.mall.database.dialect} as {who}: {with_errors} answers with errors,"
        f" {len(wrong)} differ"
    )
    assert not wrong, f"{len(wrong)} differ\n" + "\n\n".join(wrong[:5])
