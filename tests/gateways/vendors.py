"""A local server that speaks as WeChat, Alipay and Baidu do: codes count once, troubles on demand.

What it answers follows the vendors' documentation; Alipay's signatures are verified and made with
real keys.
"""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import uvicorn
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.serving import _listening, free_port

APP_ID, SECRET = "wx-jishi", "the-secret-of-the-app"
SESSION_KEY = "tiihtNczf5v6AKRyjwEUhQ=="
ACCESS_TOKEN = "authusrB00000000000000000000000000000X00"
Answer = Callable[[], Response]


@dataclass
class Vendors:
    """`codes` are those that count, each with the person behind it; `troubles` come first, in turn.

    `asked` keeps (path, parameters) of every question.
    """

    port: int
    our_key: rsa.RSAPrivateKey
    their_key: rsa.RSAPrivateKey
    codes: dict[str, str] = field(default_factory=dict)
    troubles: list[Answer] = field(default_factory=list)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    signs_with: rsa.RSAPrivateKey | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def wechat(self, request: Request) -> Response:
        given = dict(request.query_params)
        if (trouble := self._noted(request, given)) is not None:
            return trouble
        wrongs = {
            (40013, "invalid appid"): given["appid"] != APP_ID,
            (40125, "invalid appsecret"): given["secret"] != SECRET,
            (40002, "invalid grant_type"): given["grant_type"] != "authorization_code",
            (40163, "code been used"): given["js_code"].startswith("used-"),
            (40029, "invalid code"): given["js_code"] not in self.codes,
        }
        for (errcode, errmsg), is_wrong in wrongs.items():
            if is_wrong:
                return said({"errcode": errcode, "errmsg": f"{errmsg}, rid: 1"})
        open_id = self.codes.pop(given["js_code"])
        return said({"session_key": SESSION_KEY, "openid": open_id, "unionid": f"u-{open_id}"})

    async def alipay(self, request: Request) -> Response:
        given = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        if (trouble := self._noted(request, given)) is not None:
            return trouble
        if (wrong := self._wrong(given)) is not None:
            return self.signed("error_response", wrong)
        open_id = self.codes.pop(given["code"], None)
        if open_id is None:
            return self.signed(
                "error_response",
                {
                    "code": "40002",
                    "msg": "Invalid Arguments",
                    "sub_code": "isv.code-invalid",
                    "sub_msg": "授权码code无效",
                },
            )
        name = "user_id" if open_id.startswith("2088") else "open_id"
        told = {
            name: open_id,
            "access_token": ACCESS_TOKEN,
            "expires_in": 1296000,
            "refresh_token": "authusrRf",
            "re_expires_in": 2592000,
        }
        return self.signed("alipay_system_oauth_token_response", told)

    async def baidu(self, request: Request) -> Response:
        given = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        if (trouble := self._noted(request, given)) is not None:
            return trouble
        if given["client_id"] != APP_ID or given["sk"] != SECRET:
            words = "unknown client id or client secret"
            return said({"errno": 10010107, "error": "invalid_client", "error_description": words})
        open_id = self.codes.pop(given["code"], None)
        if open_id is None:
            words = "Invalid authorization code"
            return said({"errno": 10010110, "error": "invalid_grant", "error_description": words})
        return said({"openid": open_id, "session_key": SESSION_KEY})

    def signed(self, name: str, told: dict[str, object]) -> Response:
        """A gateway answer: slashes escaped and Chinese as it is, signed over just that text."""
        node = json.dumps(told, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/")
        signature = base64.b64encode(
            (self.signs_with or self.their_key).sign(
                node.encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        ).decode()
        body = f'{{"{name}":{node},"sign":"{signature}"}}'
        return Response(body, media_type="text/html;charset=utf-8")

    def _noted(self, request: Request, given: dict[str, str]) -> Response | None:
        self.asked.append((request.url.path, given))
        return self.troubles.pop(0)() if self.troubles else None

    def _wrong(self, given: dict[str, str]) -> dict[str, object] | None:
        kept = sorted((name, value) for name, value in given.items() if name != "sign" and value)
        text = "&".join(f"{name}={value}" for name, value in kept)
        try:
            self.our_key.public_key().verify(
                base64.b64decode(given["sign"]), text.encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except (InvalidSignature, KeyError):
            words = {"sub_code": "isv.invalid-signature", "sub_msg": "验签出错"}
            return {"code": "40002", "msg": "Invalid Arguments", **words}
        fixed = {
            "app_id": APP_ID,
            "method": "alipay.system.oauth.token",
            "charset": "utf-8",
            "sign_type": "RSA2",
            "version": "1.0",
            "grant_type": "authorization_code",
        }
        if any(given.get(name) != value for name, value in fixed.items()):
            return {"code": "40002", "msg": "Invalid Arguments", "sub_code": "isv.invalid-app-id"}
        return None


def said(answer: object) -> Response:
    """WeChat says text/plain for JSON."""
    return Response(json.dumps(answer), media_type="text/plain")


@asynccontextmanager
async def running() -> AsyncGenerator[Vendors]:
    port = free_port()
    keys = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]
    vendors = Vendors(port, *keys)
    routes = [
        Route("/sns/jscode2session", vendors.wechat, methods=["GET"]),
        Route("/gateway.do", vendors.alipay, methods=["POST"]),
        Route("/oauth/jscode2sessionkey", vendors.baidu, methods=["POST"]),
    ]
    config = uvicorn.Config(
        Starlette(routes=routes), log_config=None, access_log=False, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[_listening(port)]))
    while not server.started:
        assert not serving.done(), serving.exception()
        await asyncio.sleep(0.01)
    try:
        yield vendors
    finally:
        server.should_exit = True
        await serving
