"""The list of web origins: whole ones, subdomains, other schemes, and what can never be listed."""

import pytest

from app.origins import BadOrigin, Origins

LISTED = Origins(
    ("https://shop.example", "https://*.mall.example", "https://api.example:8443", "weapp://*")
)


@pytest.mark.parametrize(
    "origin",
    [
        "https://shop.example",
        "HTTPS://Shop.Example",
        "https://a.mall.example",
        "https://a.b.mall.example",
        "https://api.example:8443",
        "weapp://wx0123456789abcdef",
    ],
)
def test_what_is_listed_may_call(origin: str) -> None:
    assert LISTED.allows(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "http://shop.example",
        "https://shop.example:444",
        "https://shop.example.evil.example",
        "https://evil.example/https://shop.example",
        "https://shop-example",
        "https://shop.example\n",
        "https://mall.example",
        "https://evilmall.example",
        "https://evil.example#.mall.example",
        "https://.mall.example",
        "https://a..mall.example",
        "https://api.example",
        "weapp://a/b",
        "http://localhost:8000",
        "file://",
    ],
)
def test_what_only_looks_like_it_may_not(origin: str) -> None:
    assert not LISTED.allows(origin)


@pytest.mark.parametrize(
    "pattern",
    [
        "*",
        "null",
        "https://*",
        "http://*",
        "file://*",
        "data://*",
        "https://shop.example/",
        "https://*.*.example",
        "https://*.com",
        "https://sh*p.example",
        "shop.example",
        "",
    ],
)
def test_a_list_that_would_let_anybody_in_is_refused(pattern: str) -> None:
    with pytest.raises(BadOrigin):
        Origins(("https://shop.example", pattern))


def test_without_a_list_loopback_may_call() -> None:
    own = Origins()
    assert own.allows("http://localhost:5173")
    assert own.allows("http://127.0.0.1")
    assert own.allows("http://[::1]:8000")
    assert not own.allows("http://192.168.1.6:8000")
    assert not own.allows("https://localhost.evil.example")
    assert not own.allows("null")


def test_an_empty_list_lets_no_page_call() -> None:
    assert not Origins(()).allows("http://localhost:8000")
