"""Sign-in by platforms: a one-time code becomes the platform's name for a person.

What else the platforms tell, session keys above all, never leaves these files.
"""

import asyncio
import logging
import re
from collections.abc import Mapping
from typing import Protocol

import httpx

from app.clock import Clock
from app.errors import LoginRefused, PlatformUnavailable
from app.gateways.alipay import Alipay, AlipayApp
from app.gateways.baidu import Baidu, BaiduApp
from app.gateways.vendors import Vendor
from app.gateways.wechat import WeChat, WeChatApp

DEV, WECHAT, ALIPAY, BAIDU = "DEV", "WECHAT", "ALIPAY", "BAIDU"
LONGEST_S = 4.0  # for a whole exchange, a second question included: an operation has five

_DEV_CODE = re.compile(r"(consumer|distributor|supplier|agent|admin)-[1-9]\d{0,5}")

_log = logging.getLogger(__name__)


class Platform(Protocol):
    async def open_id(self, code: str) -> str:
        """The platform's stable name for whoever holds `code`.

        Raises LoginRefused for a code that is wrong, used or expired, PlatformUnavailable when
        there is no answer to trust.
        """
        ...


class DevPlatform:
    """Codes that name a seeded person, `consumer-1`; only where JISHI_DEV says so."""

    async def open_id(self, code: str) -> str:
        if not _DEV_CODE.fullmatch(code):
            raise LoginRefused
        return code


class Platforms:
    """The platforms that this process can sign people in with, by name."""

    def __init__(self, platforms: Mapping[str, Platform]) -> None:
        self._platforms = dict(platforms)

    async def identify(self, platform: str, code: str) -> str:
        """The open id behind a code. Raises PlatformUnavailable and LoginRefused."""
        try:
            chosen = self._platforms[platform]
        except KeyError:
            raise PlatformUnavailable(platform) from None
        try:
            async with asyncio.timeout(LONGEST_S):
                return await chosen.open_id(code)
        except TimeoutError:
            _log.error("sign-in by %s: no whole answer within %s s", platform, LONGEST_S)
            raise PlatformUnavailable(platform) from None


def platforms(
    client: httpx.AsyncClient,
    clock: Clock,
    *,
    is_dev: bool,
    wechat: WeChatApp | None,
    alipay: AlipayApp | None,
    baidu: BaiduApp | None,
) -> Platforms:
    """Those that are set up here."""
    known: dict[str, Platform] = {}
    if is_dev:
        known[DEV] = DevPlatform()
    if wechat is not None:
        known[WECHAT] = WeChat(wechat, Vendor(WECHAT, client))
    if alipay is not None:
        known[ALIPAY] = Alipay(alipay, Vendor(ALIPAY, client), clock)
    if baidu is not None:
        known[BAIDU] = Baidu(baidu, Vendor(BAIDU, client))
    return Platforms(known)
