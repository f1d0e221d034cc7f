"""Events are numbered per topic.

In one step, although the column is required: the outbox holds a day, and no row is served from it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016_topics"
down_revision = "0015_assets"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "topics",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_topics")),
        sa.UniqueConstraint("topic", name=op.f("uq_topics_topic")),
    )
    op.add_column("outbox", sa.Column("seq", sa.Integer(), nullable=True))
    op.execute(
        "UPDATE outbox SET seq = counted.seq FROM"
        " (SELECT id, row_number() OVER (PARTITION BY topic ORDER BY id) AS seq FROM outbox)"
        " AS counted WHERE counted.id = outbox.id"
    )
    with op.batch_alter_table("outbox") as outbox:
        outbox.alter_column("seq", nullable=False)
        outbox.create_unique_constraint(op.f("uq_outbox_topic_seq"), ["topic", "seq"])


def downgrade() -> None:
    with op.batch_alter_table("outbox") as outbox:
        outbox.drop_constraint(op.f("uq_outbox_topic_seq"), type_="unique")
        outbox.drop_column("seq")
    op.drop_table("topics")
