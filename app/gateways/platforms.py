"""Sign-in by platforms: a one-time code becomes the platform's name for a person."""

import re
from collections.abc import Mapping
from typing import Protocol

from app.errors import LoginRefused, PlatformUnavailable

DEV = "DEV"

_DEV_CODE = re.compile(r"(consumer|distributor|supplier|agent|admin)-[1-9]\d{0,5}")


class Platform(Protocol):
    async def open_id(self, code: str) -> str:
        """The platform's stable name for whoever holds `code`. Raises LoginRefused."""
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
        return await chosen.open_id(code)
