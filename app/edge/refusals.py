"""Requests that are refused before anything runs: status, stable code, words in two languages."""

from collections.abc import Mapping
from typing import ClassVar

import orjson
from starlette.responses import Response

from app.errors import Locale, MallError, RateLimited, RequestError

TRANSPORTS = (
    "the websocket protocol graphql-transport-ws, Accept: text/event-stream, or "
    "Accept: multipart/mixed;subscriptionSpec=1.0"
)


class Refused(RequestError):
    """A request that is not let in; `headers` go with the answer."""

    status: ClassVar[int] = 400
    headers: ClassVar[Mapping[str, str]] = {}


class BadRequest(Refused):
    code = "BAD_REQUEST"
    zh = "请求有误：{zh_why}"
    en = "{why}"

    def __init__(self, zh_why: str, why: str) -> None:
        super().__init__(zh_why=zh_why, why=why)


class StreamRequired(Refused):
    code = "STREAM_REQUIRED"
    zh = f"订阅需要流式传输：{TRANSPORTS}"
    en = f"a subscription needs a stream: {TRANSPORTS}"


class DocumentNotTrusted(Refused):
    status = 403
    code = "DOCUMENT_NOT_TRUSTED"
    zh = "此处只执行清单内的文档"
    en = "only documents of the manifest are run here"


class PersistedQueryNotFound(Refused):
    """Status and words are those that clients of the protocol look for, to send the text then."""

    status = 200
    code = "PERSISTED_QUERY_NOT_FOUND"
    zh = en = "PersistedQueryNotFound"


class PersistedQueryNotSupported(Refused):
    """As above."""

    status = 200
    code = "PERSISTED_QUERY_NOT_SUPPORTED"
    zh = en = "PersistedQueryNotSupported"


class CrossSite(Refused):
    status = 403
    code = "CROSS_SITE_REQUEST"
    zh = "跨站 GET 请求须带请求头 graphql-require-preflight"
    en = "a GET from another site needs the header graphql-require-preflight"


class MethodNotAllowed(Refused):
    status = 405
    code = "METHOD_NOT_ALLOWED"
    zh = "只支持 GET 和 POST"
    en = "the methods are GET and POST"
    headers: ClassVar[Mapping[str, str]] = {"allow": "GET, POST"}


class MutationByGet(MethodNotAllowed):
    zh = "mutation 须用 POST 发送"
    en = "mutations are sent by POST"
    headers: ClassVar[Mapping[str, str]] = {"allow": "POST"}


class NotAcceptable(Refused):
    status = 406
    code = "NOT_ACCEPTABLE"
    zh = "Accept 中没有可用的类型：{offered}"
    en = "nothing in Accept can be sent; there is {offered}"


class BodyTooLarge(Refused):
    status = 413
    code = "BODY_TOO_LARGE"
    zh = "请求体最多 {limit} 字节"
    en = "at most {limit} bytes"


class UnsupportedType(Refused):
    status = 415
    code = "UNSUPPORTED_TYPE"
    zh = "内容类型必须是 application/json（UTF-8）"
    en = "the content type must be application/json, in UTF-8"


class TooManyStreams(Refused):
    status = 429
    code = "TOO_MANY_STREAMS"
    zh = "同时打开的流过多，最多 {limit} 个"
    en = "too many streams at once, {limit} at most"


def refusal(error: MallError, locale: Locale, status: int = 401) -> Response:
    """A refused request as GraphQL over HTTP wants it: errors with a code, no data.

    Of the refusals that know no status, GraphQL lets only a token that is not valid come so far.
    """
    headers = {"cache-control": "no-store"}
    if isinstance(error, Refused):
        status, headers = error.status, headers | dict(error.headers)
    elif isinstance(error, RateLimited):
        status, headers = 429, headers | {"retry-after": str(error.data["retry_after_s"])}
    body = {"errors": [{"message": error.message(locale), "extensions": error.extensions}]}
    return Response(orjson.dumps(body), status, headers, "application/json")


def locale_of(given: Mapping[bytes, bytes]) -> Locale:
    return locale_for(given.get(b"accept-language", b"").decode("latin-1"))


def locale_for(languages: str) -> Locale:
    """Chinese unless English is asked for first."""
    return "en" if languages.strip().lower().startswith("en") else "zh"
