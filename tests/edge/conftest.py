"""The edge's tests share the served mall and the Redis of tests/app."""

from tests.app.conftest import redis_url, server

__all__ = ["redis_url", "server"]
