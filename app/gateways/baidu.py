"""Sign-in by Baidu: the session key interface of its smart programs."""

from dataclasses import dataclass, field

import orjson

from app.errors import LoginRefused
from app.gateways.vendors import Vendor

URL = "https://spapi.baidu.com"
_OURS = ("invalid_client", "unauthorized_client", "clientid", "client_id", ".sk'")


@dataclass(frozen=True, slots=True)
class BaiduApp:
    app_key: str
    secret: str = field(repr=False)
    url: str = URL


class Baidu:
    """The session key that comes along is dropped here: nothing of ours needs it."""

    def __init__(self, app: BaiduApp, vendor: Vendor) -> None:
        self._app, self._vendor = app, vendor

    async def open_id(self, code: str) -> str:
        """Raises LoginRefused, PlatformUnavailable.

        An error names itself in words, errno beside them; whether it is about the code or about
        our key and secret shows only there.
        """
        form = {"code": code, "client_id": self._app.app_key, "sk": self._app.secret}
        body = await self._vendor.post(f"{self._app.url}/oauth/jscode2sessionkey", form)
        try:
            answer = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise self._vendor.trouble("the answer is not JSON") from None
        if not isinstance(answer, dict):
            raise self._vendor.trouble("the answer is no object")
        if answer.get("errno") or answer.get("error"):
            words = f"{answer.get('error')} {answer.get('error_description')}".lower()
            if any(word in words for word in _OURS):
                raise self._vendor.trouble(f"errno {answer.get('errno')!r:.20}, key or secret")
            raise LoginRefused
        open_id = answer.get("openid")
        if not isinstance(open_id, str) or not open_id:
            raise self._vendor.trouble("the answer has no openid")
        return open_id
