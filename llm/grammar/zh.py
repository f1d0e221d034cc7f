"""The Chinese book: the wordings of the modules beside this one put together."""

from llm.grammar import zh_orders, zh_records, zh_talk
from llm.grammar.book import Book
from llm.plan import Act, Record

BOOK = Book(
    macros=zh_orders.MACROS,
    openers=zh_talk.OPENERS,
    closers=zh_talk.CLOSERS,
    cores={
        **zh_orders.CORES,
        **zh_records.CORES,
        **zh_talk.CORES,
        **{(Act.SOOTHE, Record.NONE, mood): text for mood, text in zh_talk.SOOTHE.items()},
    },
    intent_cores=zh_talk.INTENT_CORES,
    details={**zh_records.DETAILS, **zh_orders.DETAILS},
    angles=zh_orders.ANGLES,
    topics=zh_records.TOPICS,
    deeds=zh_orders.DEEDS,
    reasons=zh_orders.REASONS,
    space="",
)
