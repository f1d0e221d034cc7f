"""Production asks for more, names what is missing, and shows less."""

import pytest

from app.main import create_app
from app.origins import Origins
from app.profiles import Introspection, Profile, is_guessable
from app.settings import PLAYGROUND, BadSetting, Settings

DRAWN = "k3VqZ0w9TfYxR7mB2nLhQ5sUeJ8dGcAoIpWv4yXt"
PRODUCTION = {"JISHI_SECRET": DRAWN, "JISHI_ORIGINS": "https://shop.example", "JISHI_MODEL": "none"}


def paths(settings: Settings) -> set[str]:
    return {getattr(one, "path", "") for one in create_app(settings).routes}


def test_whoever_says_nothing_runs_in_production() -> None:
    given = Settings.from_env(PRODUCTION)
    assert (given.profile, given.introspection) == (Profile.PRODUCTION, Introspection.CLOSED)
    assert (given.is_dev, given.playground) == (False, None)
    assert given == Settings.from_env({**PRODUCTION, "JISHI_PROFILE": "production"})


def test_a_developer_sees_everything() -> None:
    given = Settings.from_env({"JISHI_DEV": "1", "JISHI_SECRET": DRAWN, "JISHI_MODEL": "none"})
    assert (given.profile, given.introspection) == (Profile.DEVELOPMENT, Introspection.OPEN)
    assert (given.playground, given.origins) == (PLAYGROUND, Origins())


def test_all_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(BadSetting) as wrong:
        Settings.from_env(
            {"JISHI_PROFILE": "production", "JISHI_DEV": "1", "JISHI_INTROSPECTION": "open"}
        )
    told = str(wrong.value)
    for name in ("JISHI_SECRET", "JISHI_ORIGINS", "JISHI_DEV must be off", "JISHI_INTROSPECTION"):
        assert name in told
    assert "\n" not in told


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JISHI_DEV", "1"),
        ("JISHI_ORIGINS", ""),
        ("JISHI_INTROSPECTION", "open"),
        ("JISHI_SECRET", ""),
        ("JISHI_SECRET", "0123456789" * 4),
        ("JISHI_SECRET", "a" * 64),
        ("JISHI_SECRET", "abcabcabd" * 5),
        ("JISHI_SECRET", Settings().secret),
        ("JISHI_SECRET", f"changeme-{DRAWN}"),
    ],
)
def test_production_refuses_what_only_a_developer_may_do(name: str, value: str) -> None:
    with pytest.raises(BadSetting, match=name):
        Settings.from_env({**PRODUCTION, "JISHI_PROFILE": "production", name: value})


def test_settings_made_by_hand_obey_the_profile_too() -> None:
    with pytest.raises(BadSetting, match="JISHI_DEV"):
        Settings(profile=Profile.PRODUCTION, secret=DRAWN, origins=Origins(()), is_dev=True)


@pytest.mark.parametrize(
    "secret", [DRAWN, "9f86d081884c7d659a2feaa0c55ad015", "correct horse battery staple, in 1936"]
)
def test_a_secret_that_was_drawn_is_taken(secret: str) -> None:
    assert not is_guessable(secret)


def test_production_may_show_the_schema_to_people_who_have_signed_in() -> None:
    given = Settings.from_env({**PRODUCTION, "JISHI_INTROSPECTION": "authenticated"})
    assert given.introspection is Introspection.AUTHENTICATED


def test_the_playground_is_served_in_production_only_when_asked_for() -> None:
    pages = {"/", "/playground", "/playground/", "/playground/assets"}
    assert paths(Settings.from_env(PRODUCTION)) & pages == set()
    assert paths(Settings.from_env({**PRODUCTION, "JISHI_PLAYGROUND": "1"})) >= pages


def test_a_list_of_origins_stands_between_commas() -> None:
    given = Settings.from_env({**PRODUCTION, "JISHI_ORIGINS": "https://a.example, weapp://*"})
    assert given.origins == Origins(("https://a.example", "weapp://*"))
    assert Settings.from_env({**PRODUCTION, "JISHI_ORIGINS": "none"}).origins == Origins(())
