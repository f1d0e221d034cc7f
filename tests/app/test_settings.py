"""Settings: read once, and a wrong one stops the start with a line that names it."""

from pathlib import Path

import pytest

from app.settings import SHIPPED_MODEL, BadSetting, Settings

DEV = {"JISHI_DEV": "1"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where a developer's secret is kept


def test_a_developer_needs_no_setting_but_one() -> None:
    settings = Settings.from_env(DEV)
    assert settings.database_url == "sqlite+aiosqlite:///var/jishi.db"
    assert (settings.redis_url, settings.model) == (None, str(SHIPPED_MODEL))
    assert (settings.host, settings.port, settings.is_dev) == ("127.0.0.1", 8000, True)


def test_a_developers_secret_outlives_restarts() -> None:
    first = Settings.from_env(DEV).secret
    assert len(first) >= 32
    assert Settings.from_env(DEV).secret == first


def test_short_database_names_get_our_drivers() -> None:
    lite = Settings.from_env(DEV | {"JISHI_DATABASE_URL": "sqlite:///x.db"})
    post = Settings.from_env(DEV | {"JISHI_DATABASE_URL": "postgresql://me:p%40ss@db/mall"})
    assert lite.database_url == "sqlite+aiosqlite:///x.db"
    assert post.database_url == "postgresql+asyncpg://me:p%40ss@db/mall"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JISHI_DATABASE_URL", "mysql://somewhere/x"),
        ("JISHI_DATABASE_URL", "nonsense"),
        ("JISHI_REDIS_URL", "http://somewhere"),
        ("JISHI_MODEL", "missing.gguf"),
        ("JISHI_MODEL_THREADS", "0"),
        ("JISHI_PORT", "70000"),
        ("JISHI_PORT", "eight"),
        ("JISHI_DEV", "maybe"),
        ("JISHI_SECRET", "short"),
        ("JISHI_LOG_LEVEL", "LOUD"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str) -> None:
    with pytest.raises(BadSetting, match=name):
        Settings.from_env(DEV | {name: value})


def test_without_dev_a_secret_is_required() -> None:
    with pytest.raises(BadSetting, match="JISHI_SECRET"):
        Settings.from_env({})
    assert Settings.from_env({"JISHI_SECRET": "x" * 32}).is_dev is False


def test_the_model_may_be_a_server_a_file_or_nothing(tmp_path: Path) -> None:
    file = tmp_path / "other.gguf"
    file.touch()
    for value in ("none", "http://127.0.0.1:9000/v1#small", str(file)):
        assert Settings.from_env(DEV | {"JISHI_MODEL": value}).model == value
