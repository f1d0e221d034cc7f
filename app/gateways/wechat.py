"""Sign-in by WeChat: jscode2session of the mini-program interface."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.errors import LoginRefused, TooOften
from app.gateways.vendors import Vendor

URL = "https://api.weixin.qq.com"
BUSY = -1
_PAUSE_S = 0.2
_REFUSED = {
    40029,  # the code is not valid
    40163,  # the code has been used
    40226,  # the person is blocked as a risk
}
_TOO_OFTEN = 45011  # one person more than 100 times in a minute
_MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class WeChatApp:
    app_id: str
    secret: str = field(repr=False)
    url: str = URL


class WeChat:
    """The session key that comes along is dropped here: nothing of ours needs it."""

    def __init__(self, app: WeChatApp, vendor: Vendor) -> None:
        self._app, self._vendor = app, vendor

    async def open_id(self, code: str) -> str:
        """Raises LoginRefused, TooOften, PlatformUnavailable."""
        answer = await self._exchanged(code)
        if answer.get("errcode") == BUSY:  # it says itself to try again: the code still counts
            await asyncio.sleep(_PAUSE_S)
            answer = await self._exchanged(code)
        error = answer.get("errcode", 0)
        if error in _REFUSED:
            raise LoginRefused
        if error == _TOO_OFTEN:
            raise TooOften(_MINUTE_S)
        open_id = answer.get("openid")
        if error or not isinstance(open_id, str) or not open_id:
            raise self._vendor.trouble(f"errcode {error!r:.20}")
        return open_id

    async def _exchanged(self, code: str) -> dict[str, Any]:
        query = {
            "appid": self._app.app_id,
            "secret": self._app.secret,
            "js_code": code,
            "grant_type": "authorization_code",
        }
        body = await self._vendor.get(f"{self._app.url}/sns/jscode2session", query)
        try:
            answer = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise self._vendor.trouble("the answer is not JSON") from None
        if not isinstance(answer, dict):
            raise self._vendor.trouble("the answer is no object")
        return answer
