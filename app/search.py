"""Text to search tokens: character bigrams, dictionary words and Latin words; queries from them.

Bigrams find what the dictionary cuts differently, words weigh what matters (CHAT 7). Tokens hold
only letters and digits, so no shopper's text can say anything in a query language.
"""

import logging
import re
import unicodedata
from dataclasses import dataclass
from itertools import groupby

import jieba

jieba.setLogLevel(logging.WARNING)

MAX_QUERY_CHARS = 64
_MAX_QUERY_TOKENS = 48
_RUNS = re.compile(r"[㐀-䶿一-鿿]+|[a-z0-9]+")
_STOP_WORDS = frozenset(
    word
    for line in (
        "的 了 吗 呢 吧 啊 呀 嘛 哦 呗 我 你 您 他 她 它 们 我们 你们 是 在 有 和 与 或 就 都 也",
        "还 很 要 想 请 个 这 那 这个 那个 什么 怎么 怎样 如何 多少 可以",
        "能 能不能 会 请问 一下 一个 到 给 把 被 让",
    )
    for word in line.split()
)


@dataclass(frozen=True, slots=True)
class Query:
    """`terms` holds the tokens of each word asked for; `words` the same words whole.

    A term must be found whole; `prefixes` are tokens that may be the beginning of a longer one.
    """

    terms: tuple[tuple[str, ...], ...] = ()
    words: tuple[str, ...] = ()
    prefixes: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.terms)

    @property
    def bigrams(self) -> tuple[str, ...]:
        """All tokens of all terms, each once."""
        return tuple(dict.fromkeys(token for term in self.terms for token in term))


def bigrams(text: str) -> list[str]:
    """Overlapping pairs of Chinese characters, and Latin words whole.

    The last character of a run stands alone too, so that every character begins some token.
    """
    made: list[str] = []
    for run in _runs(text):
        if run[0].isascii():
            made.append(run)
        else:
            made += [run[i : i + 2] for i in range(len(run))]
    return made


def words(text: str) -> list[str]:
    """Dictionary words and their parts, and Latin words whole."""
    made: list[str] = []
    for run in _runs(text):
        made += [run] if run[0].isascii() else jieba.cut_for_search(run)
    return made


def tokens(text: str) -> str:
    """What the column `search_tokens` holds: bigrams, then words, blank separated."""
    return " ".join([*bigrams(text), *words(text)])


def query_tokens(text: str) -> Query:
    """What to look for; an empty query for a text without a single letter or digit.

    Looks at the first MAX_QUERY_CHARS characters. Words that mean nothing alone are left out
    unless there is nothing else.
    """
    cut = [word for run in _runs(text[:MAX_QUERY_CHARS]) for word in _words(run)]
    words = _telling([word for word in cut if word not in _STOP_WORDS] or cut)
    terms = [_pairs(term) for term in _telling(_joined(cut) or cut)]
    return Query(
        terms=tuple(terms),
        words=tuple(words),
        prefixes=frozenset(term[0] for term in terms if term[0].isascii() or len(term[0]) == 1),
    )


def loose_bigrams(text: str) -> tuple[str, ...]:
    """Pairs of a text, also those across words, without words that mean nothing: for ranking.

    A character that is a word of its own comes alone: as a prefix it finds 赔付 for 赔.
    """
    cut = [word for run in _runs(text[:MAX_QUERY_CHARS]) for word in _words(run)]
    made: list[str] = []
    for is_telling, group in groupby(cut, key=lambda word: word not in _STOP_WORDS):
        if is_telling:
            telling = list(group)
            made += [one for one in bigrams("".join(telling)) if len(one) > 1]
            made += [one for one in telling if len(one) == 1]
    return tuple(dict.fromkeys(made))[:_MAX_QUERY_TOKENS]


def fts5_all(query: Query) -> str:
    """An FTS5 expression: every term, in the bigrams."""
    return "bigrams : (" + " AND ".join(_quoted(query, token) for token in query.bigrams) + ")"


def fts5_any(column: str, found: tuple[str, ...]) -> str:
    """An FTS5 expression: any of these tokens in one column; one character is a beginning."""
    return f"{column} : (" + " OR ".join(_loose(token, '"') for token in found) + ")"


def tsquery_all(query: Query) -> str:
    """The same for PostgreSQL's to_tsquery."""
    return " & ".join(
        f"'{token}':*" if token in query.prefixes else f"'{token}'" for token in query.bigrams
    )


def tsquery_any(found: tuple[str, ...]) -> str:
    return " | ".join(_loose(token, "'") for token in found)


def warm_up() -> None:
    """Reads the dictionary, about a second: better before the first shopper than under him."""
    jieba.initialize()


def _quoted(query: Query, token: str) -> str:
    return f'"{token}" *' if token in query.prefixes else f'"{token}"'


def _telling(words: list[str]) -> list[str]:
    """Each word once, without single characters unless there is nothing else."""
    each = list(dict.fromkeys(words))[:_MAX_QUERY_TOKENS]
    return [word for word in each if len(word) > 1 or word.isascii()] or each


def _joined(words: list[str]) -> list[str]:
    """The words without empty ones; neighbours of one character make one: 雾 蓝 is 雾蓝."""
    made: list[str] = []
    for kind, group in groupby(words, key=_kind):
        if kind == "single":
            made.append("".join(group))
        elif kind == "word":
            made += group
    return made


def _kind(word: str) -> str:
    if word in _STOP_WORDS:
        return "empty"
    return "single" if len(word) == 1 and not word.isascii() else "word"


def _loose(token: str, mark: str) -> str:
    beginning = " *" if mark == '"' else ":*"
    return f"{mark}{token}{mark}{beginning if len(token) == 1 else ''}"


def _pairs(word: str) -> tuple[str, ...]:
    if word.isascii() or len(word) == 1:
        return (word,)
    return tuple(word[i : i + 2] for i in range(len(word) - 1))


def _words(run: str) -> list[str]:
    return [run] if run[0].isascii() else list(jieba.cut(run))


def _runs(text: str) -> list[str]:
    return _RUNS.findall(unicodedata.normalize("NFKC", text).lower())
