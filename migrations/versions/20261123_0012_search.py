"""Full-text search: FTS5 tables of bigrams and words on SQLite, GIN indexes on PostgreSQL."""

from alembic import op

revision = "0012_search"
down_revision = "0011_outbox"
branch_labels = None
depends_on = None

_FTS = ("product_search", "clause_search")
_GIN = ("products", "policy_clauses")


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for name in _FTS:
            # rowid is the key of the product or clause
            op.execute(
                f"CREATE VIRTUAL TABLE {name} USING fts5(bigrams, words, tokenize='unicode61')"
            )
        return
    for name in _GIN:
        op.execute(
            f"CREATE INDEX ix_{name}_search_tokens ON {name}"
            " USING gin (to_tsvector('simple', search_tokens))"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for name in _FTS:
            op.execute(f"DROP TABLE {name}")
        return
    for name in _GIN:
        op.execute(f"DROP INDEX ix_{name}_search_tokens")
