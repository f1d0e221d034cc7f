"""Settings from the environment: short forms, defaults, and one clear line for a wrong value."""

from datetime import timedelta
from pathlib import Path

import pytest

from app.settings import SHIPPED_MODEL, BadSetting, Settings

SECRET = "a secret of at least thirty-two characters"
LEAST = {"JISHI_SECRET": SECRET, "JISHI_ORIGINS": "none", "JISHI_MODEL": "none"}


def test_little_has_to_be_said() -> None:
    given = Settings.from_env({"JISHI_SECRET": SECRET, "JISHI_ORIGINS": "none"})
    assert given.database_url == "sqlite+aiosqlite:///var/jishi.db"
    assert (given.host, given.port, given.redis_url) == ("127.0.0.1", 8000, None)
    assert (given.is_dev, given.model) == (False, str(SHIPPED_MODEL))
    assert (given.access_log, given.response_cache_s) == ("errors", 5.0)
    assert (given.access_life, given.session_life) == (timedelta(minutes=15), timedelta(days=30))
    assert (given.secrets_old, given.sign_ins_per_minute) == ((), 30)


@pytest.mark.parametrize(
    ("short", "whole"),
    [
        ("sqlite:///x.db", "sqlite+aiosqlite:///x.db"),
        ("sqlite+aiosqlite:///x.db", "sqlite+aiosqlite:///x.db"),
        ("postgresql://u:p@h:5/d", "postgresql+asyncpg://u:p@h:5/d"),
        ("postgresql+psycopg://u@h/d", "postgresql+asyncpg://u@h/d"),
    ],
)
def test_a_database_url_gets_our_driver(short: str, whole: str) -> None:
    assert Settings.from_env({**LEAST, "JISHI_DATABASE_URL": short}).database_url == whole


@pytest.mark.parametrize("value", ["1", "true", "YES", "on"])
def test_a_flag_can_be_said_in_words(value: str) -> None:
    assert Settings.from_env({**LEAST, "JISHI_DEV": value}).is_dev is True


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JISHI_DEV", "perhaps"),
        ("JISHI_PORT", "http"),
        ("JISHI_PORT", "65536"),
        ("JISHI_PORT", "-1"),
        ("JISHI_PORT", ""),
        ("JISHI_MODEL_THREADS", "0"),
        ("JISHI_DATABASE_URL", "mysql://h/d"),
        ("JISHI_DATABASE_URL", "nonsense"),
        ("JISHI_REDIS_URL", "http://h"),
        ("JISHI_MODEL", "/no/such/file.gguf"),
        ("JISHI_SECRET", "short"),
        ("JISHI_SECRETS_OLD", f"{SECRET},short"),
        ("JISHI_ACCESS_LIFE_S", "59"),
        ("JISHI_ACCESS_LIFE_S", "86401"),
        ("JISHI_SESSION_LIFE_DAYS", "0"),
        ("JISHI_SIGN_INS_PER_MINUTE", "0"),
        ("JISHI_LOG_LEVEL", "LOUD"),
        ("JISHI_ACCESS_LOG", "some"),
        ("JISHI_PROFILE", "staging"),
        ("JISHI_INTROSPECTION", "sometimes"),
        ("JISHI_PLAYGROUND", "maybe"),
        ("JISHI_METRICS", "maybe"),
        ("JISHI_ORIGINS", "*"),
        ("JISHI_ORIGINS", "https://shop.example,null"),
        ("JISHI_RATE_SHARE", "much"),
        ("JISHI_RATE_SHARE", "-1"),
        ("JISHI_RATE_SHARE", "nan"),
        ("JISHI_TRUSTED_PROXIES", "proxy.example"),
        ("JISHI_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("JISHI_RESPONSE_CACHE_S", "soon"),
        ("JISHI_RESPONSE_CACHE_S", "-1"),
        ("JISHI_RESPONSE_CACHE_S", "nan"),
        ("JISHI_RESPONSE_CACHE_S", "3601"),
    ],
)
def test_a_wrong_value_is_named_in_one_line(name: str, value: str) -> None:
    with pytest.raises(BadSetting) as wrong:
        Settings.from_env({**LEAST, name: value})
    assert name in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_a_password_is_not_told() -> None:
    with pytest.raises(BadSetting) as wrong:
        Settings.from_env({**LEAST, "JISHI_DATABASE_URL": "mysql://me:hidden@h/d"})
    assert "hidden" not in str(wrong.value)


def test_a_secret_is_required_outside_development() -> None:
    with pytest.raises(BadSetting, match="JISHI_SECRET"):
        Settings.from_env({})


def test_old_secrets_stand_between_commas_and_are_never_told() -> None:
    given = Settings.from_env({**LEAST, "JISHI_SECRETS_OLD": f"{SECRET}-1, {SECRET}-2,"})
    assert given.secrets_old == (f"{SECRET}-1", f"{SECRET}-2")
    assert SECRET not in repr(given)


def test_a_developers_secret_is_made_once_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = Settings.from_env({"JISHI_DEV": "1"}).secret
    assert len(first) >= 32
    assert Settings.from_env({"JISHI_DEV": "1"}).secret == first
    assert (tmp_path / "var" / "secret").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "https://models.example"])
def test_a_model_may_be_a_server(url: str) -> None:
    assert Settings.from_env({**LEAST, "JISHI_MODEL": url}).model == url


@pytest.mark.parametrize(("value", "seconds"), [("0", 0.0), ("0.5", 0.5), ("3600", 3600.0)])
def test_answers_are_kept_for_seconds_or_not_at_all(value: str, seconds: float) -> None:
    given = Settings.from_env({**LEAST, "JISHI_RESPONSE_CACHE_S": value})
    assert given.response_cache_s == seconds


@pytest.mark.parametrize(("value", "share"), [("0", 0.0), ("2.5", 2.5), ("1000", 1000.0)])
def test_the_limits_over_time_can_be_scaled(value: str, share: float) -> None:
    assert Settings.from_env({**LEAST, "JISHI_RATE_SHARE": value}).rate_share == share


def test_proxies_are_trusted_when_they_are_named() -> None:
    assert Settings.from_env(LEAST).trusted_proxies == ()
    given = Settings.from_env({**LEAST, "JISHI_TRUSTED_PROXIES": "10.0.0.0/8, ::1"})
    assert given.trusted_proxies == ("10.0.0.0/8", "::1/128")


@pytest.mark.parametrize("value", ["all", "ERRORS", "off"])
def test_the_access_log_has_three_ways(value: str) -> None:
    assert Settings.from_env({**LEAST, "JISHI_ACCESS_LOG": value}).access_log == value.lower()
