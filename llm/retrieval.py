"""Finding the clauses that answer a question, as a LangChain retriever over a small protocol.

The store is bound to its viewer, day and goods when it is made, so that nothing in a question can
widen what is found. A high score says that a clause is near, never that it covers the question
(AUC 0.63 with the right passage removed): whether a topic is covered is decided by records.
"""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict

RRF_K = 60
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Passage:
    """A clause with what is needed to cite it."""

    clause_id: int
    code: str
    version: int
    title: str
    no: str
    text: str
    score: float = 0.0


class ClauseStore(Protocol):
    async def passages(self, question: str, limit: int) -> Sequence[Passage]:
        """The nearest clauses that the bound viewer may read today, best first."""


class ClauseRetriever(BaseRetriever):
    """Passages as LangChain documents; asynchronous only, because every store is."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    store: Any  # ClauseStore: pydantic cannot check a protocol
    limit: int = 6

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
    ) -> list[Document]:
        del run_manager
        return [document(passage) for passage in await self.store.passages(query, self.limit)]

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        raise NotImplementedError("clauses are read asynchronously: use ainvoke")


def document(passage: Passage) -> Document:
    return Document(
        id=str(passage.clause_id),
        page_content=passage.text,
        metadata={
            "clause_id": passage.clause_id,
            "code": passage.code,
            "version": passage.version,
            "title": passage.title,
            "no": passage.no,
            "score": passage.score,
        },
    )


def passage_of(found: Document) -> Passage:
    """The passage that `document` was made from."""
    meta: Mapping[str, Any] = found.metadata
    return Passage(
        clause_id=meta["clause_id"],
        code=meta["code"],
        version=meta["version"],
        title=meta["title"],
        no=meta["no"],
        text=found.page_content,
        score=meta["score"],
    )


def fused(rankings: Sequence[Sequence[Key]], *, k: int = RRF_K) -> list[Key]:
    """One ranking of several by reciprocal rank; ties keep the order of first sight."""
    scores: dict[Key, float] = defaultdict(float)
    for ranking in rankings:
        for place, key in enumerate(ranking, 1):
            scores[key] += 1 / (k + place)
    return sorted(scores, key=lambda key: -scores[key])
