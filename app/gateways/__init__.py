"""Systems outside: a protocol each, the real thing, and one that lives in memory."""
