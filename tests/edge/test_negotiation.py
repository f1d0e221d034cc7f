"""What a request may be answered with, by its method, Accept, content type and origin."""

import pytest

from app.edge.negotiation import Accepted, Media, accepted
from app.edge.refusals import CrossSite, MethodNotAllowed, NotAcceptable, UnsupportedType

JSON, RESPONSE = Media.JSON, Media.RESPONSE
SSE, MULTIPART = Media.SSE, Media.MULTIPART


def of(accept: str) -> Accepted:
    content = {b"content-type": b"application/json"}
    return accepted("POST", {b"accept": accept.encode(), **content})


@pytest.mark.parametrize(
    ("accept", "single", "stream"),
    [
        ("", JSON, None),
        ("*/*", JSON, None),
        ("application/*", JSON, None),
        ("application/json", JSON, None),
        ("Application/JSON; charset=utf-8", JSON, None),
        ("application/graphql-response+json", RESPONSE, None),
        ("application/graphql-response+json, application/json;q=0.9", RESPONSE, None),
        ("application/graphql-response+json;q=0.5, application/json", JSON, None),
        ("application/json, application/graphql-response+json", JSON, None),
        ("*/*, application/graphql-response+json", RESPONSE, None),
        ("*/*, application/json;q=0", None, None),
        ("text/html, */*;q=0.1", JSON, None),
        (
            "application/json;q=nan, application/graphql-response+json;q=x, text/event-stream",
            0,
            SSE,
        ),
        ("text/event-stream", None, SSE),
        ("application/json, text/event-stream", JSON, SSE),
        ("text/event-stream;q=0, application/json", JSON, None),
        ('multipart/mixed;boundary="graphql";subscriptionSpec=1.0', None, MULTIPART),
        ("multipart/mixed; subscriptionSpec = '1.0', application/json", JSON, MULTIPART),
        ("multipart/mixed;deferSpec=20220824, application/json", JSON, None),
        ("text/event-stream;q=0.5, multipart/mixed;subscriptionSpec=1.0", None, MULTIPART),
        (",,;;=,application/json", JSON, None),
        ("text/html," * 40 + "*/*" + " " * 300, JSON, None),
    ],
)
def test_what_is_wanted_most_is_sent(
    accept: str, single: Media | None, stream: Media | None
) -> None:
    if not single and not stream:
        with pytest.raises(NotAcceptable):
            of(accept)
    else:
        assert of(accept) == Accepted(single or None, stream)


@pytest.mark.parametrize(
    "accept", ["text/html", "image/*", "text/*", "multipart/mixed", "application/json;q=0", "x"]
)
def test_what_cannot_be_sent_is_refused(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        of(accept)


@pytest.mark.parametrize("method", ["HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get"])
def test_other_methods_are_refused(method: str) -> None:
    with pytest.raises(MethodNotAllowed):
        accepted(method, {})


@pytest.mark.parametrize(
    "content_type",
    [
        b"",
        b"text/plain",
        b"application/jsonp",
        b"application/json+x",
        b"application/x-www-form-urlencoded",
        b"multipart/form-data; boundary=application/json",
        b"text/plain; application/json",
        b"application/json; charset=utf-16",
        b"application/graphql",
    ],
)
def test_a_post_is_exactly_json(content_type: bytes) -> None:
    with pytest.raises(UnsupportedType):
        accepted("POST", {b"content-type": content_type})


@pytest.mark.parametrize(
    "content_type",
    [b"application/json", b"Application/JSON ; Charset=UTF-8", b'application/json;charset="utf-8"'],
)
def test_json_may_say_that_it_is_utf_8(content_type: bytes) -> None:
    assert accepted("POST", {b"content-type": content_type}) == Accepted(JSON, None)


@pytest.mark.parametrize(
    "given",
    [
        {b"sec-fetch-site": b"cross-site"},
        {b"sec-fetch-site": b"same-site"},
        {b"sec-fetch-site": b"cross-site", b"origin": b"https://mall.example"},
        {b"origin": b"https://evil.example"},
        {b"origin": b"null"},
        {b"origin": b"https://evil.example/mall.example"},
    ],
)
def test_a_get_of_another_site_needs_a_header_that_is_asked_for(given: dict[bytes, bytes]) -> None:
    host = {b"host": b"mall.example"}
    with pytest.raises(CrossSite):
        accepted("GET", given | host)
    for name in (b"graphql-require-preflight", b"authorization"):
        assert accepted("GET", {**given, **host, name: b"1"}) == Accepted(JSON, None)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {b"sec-fetch-site": b"same-origin"},
        {b"sec-fetch-site": b"none"},
        {b"origin": b"https://mall.example"},
    ],
)
def test_a_get_of_our_own_page_and_of_no_page_may(given: dict[bytes, bytes]) -> None:
    assert accepted("GET", given | {b"host": b"mall.example"}) == Accepted(JSON, None)
