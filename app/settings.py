"""Settings: read from the environment once, checked, and never looked at again."""

import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import cast, get_args

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from app.telemetry import AccessLog

SHIPPED_MODEL = Path(__file__).parent.parent / "llm" / "models" / "jishi-writer-q8_0.gguf"
DATABASE_URL = "sqlite+aiosqlite:///var/jishi.db"
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}


class BadSetting(Exception):
    """A setting has a wrong value; the message names it and says what is wanted."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`model` is a GGUF file, an http(s) URL of an OpenAI-compatible server, or `none`."""

    database_url: str = DATABASE_URL
    redis_url: str | None = None
    model: str = str(SHIPPED_MODEL)
    model_threads: int = 2
    secret: str = "not-a-secret-for-tests-only-0123456789"  # noqa: S105  replaced by from_env
    is_dev: bool = False
    host: str = "127.0.0.1"
    port: int = 8000
    log_level: str = "INFO"
    access_log: AccessLog = "errors"
    response_cache_s: float = 5.0
    playground: Path = Path(__file__).parent.parent / "clients" / "playground" / "dist"
    body_limit: int = 256 * 1024
    frame_limit: int = 64 * 1024
    operation_s: float = 5.0  # for one operation that is no stream
    rate_share: float = 1.0  # of the limits in app/edge/gate.py; 0 lifts them
    trusted_proxies: tuple[str, ...] = ()

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """Raises BadSetting for the first wrong value."""
        is_dev = _flag(env, "JISHI_DEV", default=False)
        return cls(
            database_url=_database_url(env.get("JISHI_DATABASE_URL") or DATABASE_URL),
            redis_url=_url(env, "JISHI_REDIS_URL", ("redis://", "rediss://", "unix://")),
            model=_model(env.get("JISHI_MODEL") or str(SHIPPED_MODEL)),
            model_threads=_number(env, "JISHI_MODEL_THREADS", 2, low=1, high=256),
            secret=_secret(env.get("JISHI_SECRET"), is_dev=is_dev),
            is_dev=is_dev,
            host=env.get("JISHI_HOST", "127.0.0.1"),
            port=_number(env, "JISHI_PORT", 8000, low=0, high=65535),
            log_level=_log_level(env.get("JISHI_LOG_LEVEL", "INFO")),
            access_log=_access_log(env.get("JISHI_ACCESS_LOG", "errors")),
            response_cache_s=_amount(env, "JISHI_RESPONSE_CACHE_S", 5.0, high=3600),
            rate_share=_amount(env, "JISHI_RATE_SHARE", 1.0, high=1000, unit="a number"),
            trusted_proxies=_networks(env, "JISHI_TRUSTED_PROXIES"),
        )


def _flag(env: Mapping[str, str], name: str, *, default: bool) -> bool:
    value = env.get(name)
    if value is None:
        return default
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    raise BadSetting(f"{name} must be 1 or 0, not {value!r}")


def _number(env: Mapping[str, str], name: str, default: int, *, low: int, high: int) -> int:
    value = env.get(name)
    if value is None:
        return default
    if not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
        raise BadSetting(f"{name} must be a number from {low} to {high}, not {value!r}")
    return int(value)


def _amount(
    env: Mapping[str, str], name: str, default: float, *, high: int, unit: str = "seconds"
) -> float:
    value = env.get(name)
    if value is None:
        return default
    with suppress(ValueError):
        if 0 <= float(value) <= high:
            return float(value)
    raise BadSetting(f"{name} must be {unit} from 0 to {high}, not {value!r}")


def _networks(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Addresses and networks, as in `10.0.0.0/8, 127.0.0.1`; nobody is trusted by default."""
    given = [one.strip() for one in env.get(name, "").split(",") if one.strip()]
    try:
        return tuple(str(ip_network(one)) for one in given)
    except ValueError as wrong:
        raise BadSetting(f"{name} must list addresses or networks: {wrong}") from None


def _database_url(value: str) -> str:
    """Accepts the usual short forms and names our drivers: aiosqlite and asyncpg."""
    try:
        url = make_url(value)
    except ArgumentError:
        raise BadSetting("JISHI_DATABASE_URL is not a database URL") from None
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
    backend = url.get_backend_name()
    if backend not in drivers:
        raise BadSetting("JISHI_DATABASE_URL must be sqlite:///file.db or postgresql://...")
    return url.set(drivername=drivers[backend]).render_as_string(hide_password=False)


def _url(env: Mapping[str, str], name: str, schemes: tuple[str, ...]) -> str | None:
    value = env.get(name) or None
    if value is not None and not value.startswith(schemes):
        raise BadSetting(f"{name} must begin with one of {', '.join(schemes)}")
    return value


def _model(value: str) -> str:
    if value == "none" or value.startswith(("http://", "https://")):
        return value
    if value != str(SHIPPED_MODEL) and not Path(value).is_file():
        raise BadSetting("JISHI_MODEL names no file; give a GGUF, an http(s) URL, or none")
    return value


def _secret(value: str | None, *, is_dev: bool) -> str:
    if value:
        if len(value) < 32:
            raise BadSetting("JISHI_SECRET must have at least 32 characters")
        return value
    if not is_dev:
        raise BadSetting("JISHI_SECRET is required (at least 32 characters) unless JISHI_DEV=1")
    return _kept_secret(Path("var") / "secret")


def _kept_secret(file: Path) -> str:
    """A random secret that outlives restarts, for machines of developers only."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(48))
    return file.read_text()


def _log_level(value: str) -> str:
    if value.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        raise BadSetting(f"JISHI_LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR, not {value!r}")
    return value.upper()


def _access_log(value: str) -> AccessLog:
    for known in get_args(AccessLog):
        if value.lower() == known:
            return cast("AccessLog", known)
    raise BadSetting(f"JISHI_ACCESS_LOG must be all, errors or off, not {value!r}")
