"""The two ways to run: a developer's machine, and production, which asks for more."""

from enum import StrEnum

LEAST_SECRET = 32  # characters
_LEAST_DIFFERENT = 10  # characters of a secret: 32 hexadecimal digits at random have 14
_PLACEHOLDERS = ("not-a-secret", "changeme", "change-me", "change_me", "your-secret", "example")


class Profile(StrEnum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"


class Introspection(StrEnum):
    """Who may read the schema through the endpoint: everybody, who has signed in, nobody."""

    OPEN = "open"
    AUTHENTICATED = "authenticated"
    CLOSED = "closed"


def is_guessable(secret: str) -> bool:
    """Whether a secret looks typed rather than drawn: repeated, of few signs, or a placeholder."""
    is_repeated = secret in (secret + secret)[1:-1]
    is_placeholder = any(word in secret.lower() for word in _PLACEHOLDERS)
    return is_repeated or is_placeholder or len(set(secret)) < _LEAST_DIFFERENT
