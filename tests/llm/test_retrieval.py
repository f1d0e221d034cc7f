"""Ranking and the LangChain retriever."""

from collections.abc import Sequence

import pytest

from llm.retrieval import ClauseRetriever, Passage, fused, passage_of

RETURNS = Passage(7, "return-7-days", 1, "七天无理由退货规则", "1", "签收次日起 7 天内可退。", 0.9)


class Shelf:
    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    async def passages(self, question: str, limit: int) -> Sequence[Passage]:
        self.asked.append((question, limit))
        return [RETURNS]


def test_what_both_rankings_hold_comes_first() -> None:
    assert fused([["a", "b", "c"], ["b", "d"]]) == ["b", "a", "d", "c"]


def test_a_single_ranking_keeps_its_order() -> None:
    assert fused([[3, 1, 2]]) == [3, 1, 2]


async def test_a_retrieved_document_gives_its_passage_back() -> None:
    shelf = Shelf()
    found = await ClauseRetriever(store=shelf, limit=3).ainvoke("能退吗")
    assert [passage_of(one) for one in found] == [RETURNS]
    assert found[0].page_content == "签收次日起 7 天内可退。"
    assert shelf.asked == [("能退吗", 3)]


def test_there_is_no_blocking_way_in() -> None:
    with pytest.raises(NotImplementedError):
        ClauseRetriever(store=Shelf()).invoke("能退吗")
