"""Tokens and queries: what is found, and that no text can speak the query language."""

import re

import pytest

from app import search


def test_every_character_begins_a_bigram_token() -> None:
    assert search.bigrams("东北大米5KG") == ["东北", "北大", "大米", "米", "5kg"]


def test_tokens_are_bigrams_followed_by_words() -> None:
    assert search.tokens("五常大米") == "五常 常大 大米 米 五常 大米"


def test_a_query_keeps_the_telling_words_only() -> None:
    query = search.query_tokens("请问五常大米怎么退")
    assert query.words == ("五常", "大米")
    assert query.bigrams == ("五常", "大米")


def test_a_query_of_one_character_is_a_prefix() -> None:
    query = search.query_tokens("米")
    assert search.fts5_all(query) == 'bigrams : ("米" *)'
    assert search.tsquery_all(query) == "'米':*"


def test_neighbouring_characters_that_are_no_word_are_looked_for_together() -> None:
    query = search.query_tokens("雾蓝衬衫")
    assert query.terms == (("雾蓝",), ("衬衫",))
    assert query.words == ("衬衫",)


def test_full_width_letters_are_the_same_words() -> None:
    assert search.query_tokens("ｉＰｈｏｎｅ　１５").words == ("iphone", "15")


@pytest.mark.parametrize("text", ["", "   ", "🙂🙂", '"" * ( ) : -', "\x00\n"])
def test_a_text_without_letters_asks_for_nothing(text: str) -> None:
    assert not search.query_tokens(text)


@pytest.mark.parametrize(
    "text",
    [
        '大米" OR words : "x',
        "大米') | ('a",
        "NEAR(大米, 3)",
        "大米:* & !面粉",
        "-大米 ^面粉 {words}",
    ],
)
def test_operators_in_a_text_are_only_words(text: str) -> None:
    query = search.query_tokens(text)
    token = r'"[a-z0-9一-鿿]+"(?: \*)?'
    assert re.fullmatch(rf"bigrams : \({token}(?: AND {token})*\)", search.fts5_all(query))
    token = r"'[a-z0-9一-鿿]+'(?::\*)?"
    assert re.fullmatch(rf"{token}(?: & {token})*", search.tsquery_all(query))


def test_a_huge_text_is_cut() -> None:
    query = search.query_tokens("a" * 100_000)
    assert query.words == ("a" * search.MAX_QUERY_CHARS,)
    every_sign = "".join(chr(code) for code in range(0x4E00, 0x9FA5))
    assert len(search.loose_bigrams(every_sign)) == 48
    assert len(search.query_tokens(every_sign).words) <= 48


def test_ranking_looks_past_empty_words_and_at_single_characters() -> None:
    found = search.loose_bigrams("水果坏了怎么赔")
    assert found == ("水果", "果坏", "坏", "赔")
    assert search.fts5_any("bigrams", ("水果", "赔")) == 'bigrams : ("水果" OR "赔" *)'
    assert search.tsquery_any(("水果", "赔")) == "'水果' | '赔':*"
