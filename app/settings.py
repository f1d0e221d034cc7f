"""Settings: read from the environment once, checked, and never looked at again."""

import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path
from typing import TypeVar, cast, get_args

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from app.gateways import alipay
from app.gateways.alipay import AlipayApp
from app.gateways.baidu import URL as BAIDU_URL
from app.gateways.baidu import BaiduApp
from app.gateways.wechat import URL as WECHAT_URL
from app.gateways.wechat import WeChatApp
from app.origins import BadOrigin, Origins
from app.profiles import LEAST_SECRET, Introspection, Profile, is_guessable
from app.telemetry import AccessLog

SHIPPED_MODEL = Path(__file__).parent.parent / "llm" / "models" / "jishi-writer-q8_0.gguf"
PLAYGROUND = Path(__file__).parent.parent / "clients" / "playground" / "dist"
UPLOADS = Path("var") / "uploads"
DATABASE_URL = "sqlite+aiosqlite:///var/jishi.db"
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}
E = TypeVar("E", bound=StrEnum)


class BadSetting(Exception):
    """A setting has a wrong value; the message names it and says what is wanted."""


class DocumentMode(StrEnum):
    """Any text; any text, remembered by its hash; the manifest's texts and no others."""

    OPEN = "open"
    APQ = "apq"
    TRUSTED = "trusted"


@dataclass(frozen=True, slots=True)
class Settings:
    """`model` is a GGUF file, an http(s) URL of an OpenAI-compatible server, or `none`.

    `playground` is the folder of the built page, None when no page is served. Raises BadSetting
    for what the production profile does not allow, however the settings were made.
    """

    database_url: str = DATABASE_URL
    redis_url: str | None = None
    model: str = str(SHIPPED_MODEL)
    model_threads: int = 2
    secret: str = field(default="not-a-secret-for-tests-only-0123456789", repr=False)  # from_env
    secrets_old: tuple[str, ...] = field(default=(), repr=False)
    access_life: timedelta = timedelta(minutes=15)
    session_life: timedelta = timedelta(days=30)
    sign_ins_per_minute: int = 30
    wechat: WeChatApp | None = None
    alipay: AlipayApp | None = None
    baidu: BaiduApp | None = None
    is_dev: bool = False
    host: str = "127.0.0.1"
    port: int = 8000
    log_level: str = "INFO"
    access_log: AccessLog = "errors"
    response_cache_s: float = 5.0
    playground: Path | None = PLAYGROUND
    metrics: bool = False  # figures are for whoever runs the shop: no page of it needs them
    uploads: Path = UPLOADS
    body_limit: int = 256 * 1024
    frame_limit: int = 64 * 1024
    profile: Profile = Profile.DEVELOPMENT
    introspection: Introspection = Introspection.OPEN
    origins: Origins = field(default_factory=Origins)
    documents: DocumentMode = DocumentMode.OPEN
    manifest: Path | None = None  # of documents by their ids
    operation_s: float = 5.0  # for one operation that is no stream
    rate_share: float = 1.0  # of the limits in app/edge/gate.py; 0 lifts them
    trusted_proxies: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.profile is Profile.PRODUCTION and (wrong := _unfit(self)):
            raise BadSetting(f"in production, usual without JISHI_DEV=1: {'; '.join(wrong)}")

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """Raises BadSetting for the first wrong value."""
        is_dev = _flag(env, "JISHI_DEV", default=False)
        usual = Profile.DEVELOPMENT if is_dev else Profile.PRODUCTION
        profile = _choice(env, "JISHI_PROFILE", usual)
        is_shown = profile is Profile.DEVELOPMENT
        policy = Introspection.OPEN if is_shown else Introspection.CLOSED
        has_playground = _flag(env, "JISHI_PLAYGROUND", default=is_shown)
        return cls(
            database_url=_database_url(env.get("JISHI_DATABASE_URL") or DATABASE_URL),
            redis_url=_url(env, "JISHI_REDIS_URL", ("redis://", "rediss://", "unix://")),
            model=_model(env.get("JISHI_MODEL") or str(SHIPPED_MODEL)),
            model_threads=_number(env, "JISHI_MODEL_THREADS", 2, low=1, high=256),
            secret=_secret(env.get("JISHI_SECRET"), profile=profile, is_dev=is_dev),
            secrets_old=_old_secrets(env.get("JISHI_SECRETS_OLD", "")),
            access_life=timedelta(
                seconds=_number(env, "JISHI_ACCESS_LIFE_S", 900, low=60, high=86400)
            ),
            session_life=timedelta(
                days=_number(env, "JISHI_SESSION_LIFE_DAYS", 30, low=1, high=365)
            ),
            sign_ins_per_minute=_number(
                env, "JISHI_SIGN_INS_PER_MINUTE", 30, low=1, high=1_000_000
            ),
            wechat=_wechat(env),
            alipay=_alipay(env),
            baidu=_baidu(env),
            is_dev=is_dev,
            host=env.get("JISHI_HOST", "127.0.0.1"),
            port=_number(env, "JISHI_PORT", 8000, low=0, high=65535),
            log_level=_log_level(env.get("JISHI_LOG_LEVEL", "INFO")),
            access_log=_access_log(env.get("JISHI_ACCESS_LOG", "errors")),
            playground=PLAYGROUND if has_playground else None,
            metrics=_flag(env, "JISHI_METRICS", default=is_shown),
            uploads=Path(env.get("JISHI_UPLOADS") or UPLOADS),
            profile=profile,
            introspection=_choice(env, "JISHI_INTROSPECTION", policy),
            origins=_origins(env.get("JISHI_ORIGINS")),
            documents=_documents(env.get("JISHI_DOCUMENTS") or "open", env.get("JISHI_MANIFEST")),
            manifest=_manifest(env.get("JISHI_MANIFEST")),
            response_cache_s=_amount(env, "JISHI_RESPONSE_CACHE_S", 5.0, high=3600),
            rate_share=_amount(env, "JISHI_RATE_SHARE", 1.0, high=1000, unit="a number"),
            trusted_proxies=_networks(env, "JISHI_TRUSTED_PROXIES"),
        )


def _unfit(given: Settings) -> list[str]:
    """What production does not allow, each with the name of the setting."""
    wrong = []
    if given.is_dev:
        wrong.append("JISHI_DEV must be off, it lets anybody sign in as anybody")
    if not given.secret:
        wrong.append(f"JISHI_SECRET is required, at least {LEAST_SECRET} characters")
    elif len(given.secret) < LEAST_SECRET or is_guessable(given.secret):
        wrong.append("JISHI_SECRET must be drawn at random, e.g. `openssl rand -base64 48`")
    if given.origins.patterns is None:
        wrong.append("JISHI_ORIGINS must list the web origins that may call, or be `none`")
    if given.introspection is Introspection.OPEN:
        wrong.append("JISHI_INTROSPECTION must be `closed` or `authenticated`")
    return wrong


def _flag(env: Mapping[str, str], name: str, *, default: bool) -> bool:
    value = env.get(name)
    if value is None:
        return default
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    raise BadSetting(f"{name} must be 1 or 0, not {value!r}")


def _choice(env: Mapping[str, str], name: str, default: E) -> E:
    value = env.get(name)
    if not value:
        return default
    with suppress(ValueError):
        return type(default)(value.lower())
    raise BadSetting(f"{name} must be {' or '.join(type(default))}, not {value!r}")


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


def _origins(value: str | None) -> Origins:
    """Origins between commas; `none` for no web page at all, nothing said for loopback."""
    if not value:
        return Origins()
    listed = [] if value == "none" else [one.strip() for one in value.split(",")]
    try:
        return Origins(tuple(listed))
    except BadOrigin as bad:
        raise BadSetting(
            "JISHI_ORIGINS: https://host, https://*.host, or scheme://* for a scheme that is not"
            f" the web's, not {str(bad)!r}"
        ) from None


def _model(value: str) -> str:
    if value == "none" or value.startswith(("http://", "https://")):
        return value
    if value != str(SHIPPED_MODEL) and not Path(value).is_file():
        raise BadSetting("JISHI_MODEL names no file; give a GGUF, an http(s) URL, or none")
    return value


def _documents(value: str, manifest: str | None) -> DocumentMode:
    try:
        mode = DocumentMode(value.lower())
    except ValueError:
        raise BadSetting(f"JISHI_DOCUMENTS must be open, apq or trusted, not {value!r}") from None
    if mode is DocumentMode.TRUSTED and not manifest:
        raise BadSetting("JISHI_DOCUMENTS=trusted needs JISHI_MANIFEST, a file of documents")
    return mode


def _manifest(value: str | None) -> Path | None:
    if value and not Path(value).is_file():
        raise BadSetting("JISHI_MANIFEST names no file")
    return Path(value) if value else None


def _secret(value: str | None, *, profile: Profile, is_dev: bool) -> str:
    """The secret; empty where production misses one, which tells so with all else it misses."""
    if value:
        if len(value) < LEAST_SECRET:
            raise BadSetting(f"JISHI_SECRET must have at least {LEAST_SECRET} characters")
        return value
    if profile is Profile.PRODUCTION:
        return ""
    if not is_dev:
        raise BadSetting(
            f"JISHI_SECRET is required (at least {LEAST_SECRET} characters) unless JISHI_DEV=1"
        )
    return _kept_secret(Path("var") / "secret")


def _old_secrets(value: str) -> tuple[str, ...]:
    """Secrets that signed before the present one, between commas; their tokens are still read."""
    old = tuple(one.strip() for one in value.split(",") if one.strip())
    if any(len(one) < 32 for one in old):
        raise BadSetting("JISHI_SECRETS_OLD: each must have at least 32 characters")
    return old


def _wechat(env: Mapping[str, str]) -> WeChatApp | None:
    given = _together(env, "JISHI_WECHAT_APP_ID", "JISHI_WECHAT_SECRET")
    if given is None:
        return None
    app_id, secret = given
    return WeChatApp(app_id, secret, _vendor_url(env, "JISHI_WECHAT_URL", WECHAT_URL))


def _baidu(env: Mapping[str, str]) -> BaiduApp | None:
    given = _together(env, "JISHI_BAIDU_APP_KEY", "JISHI_BAIDU_SECRET")
    if given is None:
        return None
    app_key, secret = given
    return BaiduApp(app_key, secret, _vendor_url(env, "JISHI_BAIDU_URL", BAIDU_URL))


def _alipay(env: Mapping[str, str]) -> AlipayApp | None:
    private, public = "JISHI_ALIPAY_PRIVATE_KEY", "JISHI_ALIPAY_PUBLIC_KEY"
    given = _together(env, "JISHI_ALIPAY_APP_ID", private, public)
    if given is None:
        return None
    name = private
    try:
        own = alipay.private_key(Path(given[1]).read_text(encoding="ascii"))
        name = public
        theirs = alipay.public_key(Path(given[2]).read_text(encoding="ascii"))
    except (alipay.BadKey, OSError, UnicodeDecodeError):
        raise BadSetting(f"{name} must name a file with an RSA key, PEM or Base64") from None
    return AlipayApp(given[0], own, theirs, _vendor_url(env, "JISHI_ALIPAY_URL", alipay.URL))


def _together(env: Mapping[str, str], *names: str) -> list[str] | None:
    """The values of settings that are given all or not at all."""
    given = [env.get(name, "") for name in names]
    if not any(given):
        return None
    for name, value in zip(names, given, strict=True):
        if not value:
            raise BadSetting(f"{name} is missing: {', '.join(names)} go together")
    return given


def _vendor_url(env: Mapping[str, str], name: str, default: str) -> str:
    loopback = ("http://127.0.0.1:", "http://localhost:")
    return _url(env, name, ("https://", *loopback)) or default


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
