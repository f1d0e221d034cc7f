"""Rooms whole: their log, heartbeat and ticks, viewers, mutes, lotteries and figures."""

import sqlalchemy as sa
from alembic import op

revision = "0017_rooms"
down_revision = "0016_topics"
branch_labels = None
depends_on = None

COUNTS = (
    "event_seq",
    "viewer_count",
    "viewer_peak",
    "viewer_total",
    "told_message_seq",
    "told_likes",
    "told_viewers",
)
INSTANTS = ("host_seen_at", "due_at", "tallied_at")
MADE = (
    "live_room_events",
    "live_lottery_entries",
    "live_viewers",
    "live_room_figures",
    "live_mutes",
    "live_lotteries",
)


def upgrade() -> None:
    op.create_table(
        "live_lotteries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("room_id", sa.Integer(), nullable=False),
        sa.Column("prize", sa.String(), nullable=False),
        sa.Column("keyword", sa.String(), nullable=False),
        sa.Column("winner_count", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("commit_hash", sa.String(), nullable=False),
        sa.Column("seed", sa.String(), nullable=False),
        sa.Column("list_digest", sa.String(), nullable=True),
        sa.Column("entry_count", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closes_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("drawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("winner_count > 0", name=op.f("ck_live_lotteries_winner_count")),
        sa.ForeignKeyConstraint(
            ["room_id"], ["live_rooms.id"], name=op.f("fk_live_lotteries_room_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_live_lotteries")),
    )
    op.create_index(op.f("ix_live_lotteries_room_id"), "live_lotteries", ["room_id"], unique=False)
    op.create_index(
        "ix_live_lotteries_status_closes_at",
        "live_lotteries",
        ["status", "closes_at"],
        unique=False,
    )
    op.create_index(
        "uq_live_lotteries_open",
        "live_lotteries",
        ["room_id"],
        unique=True,
        sqlite_where=sa.text("status = 'OPEN'"),
        postgresql_where=sa.text("status = 'OPEN'"),
    )
    op.create_table(
        "live_mutes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("room_id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("muted_by", sa.Integer(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_lifted", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_live_mutes_account_id")
        ),
        sa.ForeignKeyConstraint(["muted_by"], ["accounts.id"], name=op.f("fk_live_mutes_muted_by")),
        sa.ForeignKeyConstraint(["room_id"], ["live_rooms.id"], name=op.f("fk_live_mutes_room_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_live_mutes")),
    )
    op.create_index(
        "ix_live_mutes_room_id_account_id", "live_mutes", ["room_id", "account_id"], unique=False
    )
    op.create_index(
        "uq_live_mutes_active",
        "live_mutes",
        ["room_id", "account_id"],
        unique=True,
        sqlite_where=sa.text("NOT is_lifted"),
        postgresql_where=sa.text("NOT is_lifted"),
    )
    op.create_table(
        "live_room_figures",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("room_id", sa.Integer(), nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("likes", sa.Integer(), nullable=False),
        sa.Column("viewers_total", sa.Integer(), nullable=False),
        sa.Column("viewers_peak", sa.Integer(), nullable=False),
        sa.Column("orders", sa.Integer(), nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.Column("turnover_fen", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["room_id"], ["live_rooms.id"], name=op.f("fk_live_room_figures_room_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_live_room_figures")),
        sa.UniqueConstraint("room_id", name=op.f("uq_live_room_figures_room_id")),
    )
    op.create_table(
        "live_viewers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("room_id", sa.Integer(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["room_id"], ["live_rooms.id"], name=op.f("fk_live_viewers_room_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_live_viewers")),
        sa.UniqueConstraint("room_id", "who", name=op.f("uq_live_viewers_room_id_who")),
    )
    op.create_index(
        "ix_live_viewers_room_id_seen_at", "live_viewers", ["room_id", "seen_at"], unique=False
    )
    op.create_table(
        "live_lottery_entries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("lottery_id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("prize_place", sa.Integer(), nullable=True),
        sa.Column("is_winner", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_live_lottery_entries_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["lottery_id"], ["live_lotteries.id"], name=op.f("fk_live_lottery_entries_lottery_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_live_lottery_entries")),
        sa.UniqueConstraint(
            "lottery_id", "account_id", name=op.f("uq_live_lottery_entries_lottery_id_account_id")
        ),
        sa.UniqueConstraint(
            "lottery_id", "number", name=op.f("uq_live_lottery_entries_lottery_id_number")
        ),
    )
    op.create_index(
        "ix_live_lottery_entries_lottery_id_prize_place",
        "live_lottery_entries",
        ["lottery_id", "prize_place"],
        unique=False,
    )
    op.create_table(
        "live_room_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("room_id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("sku_id", sa.Integer(), nullable=True),
        sa.Column("lottery_id", sa.Integer(), nullable=True),
        sa.Column("message_id", sa.Integer(), nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("is_host_only", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["lottery_id"], ["live_lotteries.id"], name=op.f("fk_live_room_events_lottery_id")
        ),
        sa.ForeignKeyConstraint(
            ["message_id"], ["live_messages.id"], name=op.f("fk_live_room_events_message_id")
        ),
        sa.ForeignKeyConstraint(
            ["room_id"], ["live_rooms.id"], name=op.f("fk_live_room_events_room_id")
        ),
        sa.ForeignKeyConstraint(["sku_id"], ["skus.id"], name=op.f("fk_live_room_events_sku_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_live_room_events")),
        sa.UniqueConstraint("room_id", "seq", name=op.f("uq_live_room_events_room_id_seq")),
    )
    op.add_column("live_products", sa.Column("told_available", sa.Integer(), nullable=True))
    for name in COUNTS:
        new = sa.Column(name, sa.Integer(), nullable=False, server_default="0")
        op.add_column("live_rooms", new)
    for name in INSTANTS:
        op.add_column("live_rooms", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.add_column("live_rooms", sa.Column("ban_reason", sa.String(), nullable=True))
    op.add_column(
        "live_rooms",
        sa.Column("has_news", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.create_index(
        "ix_live_rooms_has_news",
        "live_rooms",
        ["id"],
        unique=False,
        sqlite_where=sa.text("has_news = 1"),
        postgresql_where=sa.text("has_news"),
    )
    op.create_index("ix_live_rooms_status_due_at", "live_rooms", ["status", "due_at"], unique=False)
    with op.batch_alter_table("order_lines") as lines:
        lines.add_column(sa.Column("live_room_id", sa.Integer(), nullable=True))
        lines.create_foreign_key(
            op.f("fk_order_lines_live_room_id"), "live_rooms", ["live_room_id"], ["id"]
        )
    op.create_index(
        op.f("ix_order_lines_live_room_id"), "order_lines", ["live_room_id"], unique=False
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_order_lines_live_room_id"), table_name="order_lines")
    with op.batch_alter_table("order_lines") as lines:
        lines.drop_constraint(op.f("fk_order_lines_live_room_id"), type_="foreignkey")
        lines.drop_column("live_room_id")
    op.drop_index("ix_live_rooms_status_due_at", table_name="live_rooms")
    op.drop_index("ix_live_rooms_has_news", table_name="live_rooms")
    for name in ("has_news", "ban_reason", *INSTANTS, *COUNTS):
        op.drop_column("live_rooms", name)
    op.drop_column("live_products", "told_available")
    for name in MADE:
        op.drop_table(name)
