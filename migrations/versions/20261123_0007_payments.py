"""Payment attempts, provider events and refunds."""

import sqlalchemy as sa
from alembic import op

revision = "0007_payments"
down_revision = "0006_orders_and_group_buys"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "payments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("trade_id", sa.Integer(), nullable=False),
        sa.Column("attempt_no", sa.Integer(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("provider_no", sa.String(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_payments_amount")),
        sa.ForeignKeyConstraint(["trade_id"], ["trades.id"], name=op.f("fk_payments_trade_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payments")),
        sa.UniqueConstraint(
            "provider", "provider_no", name=op.f("uq_payments_provider_provider_no")
        ),
        sa.UniqueConstraint("trade_id", "attempt_no", name=op.f("uq_payments_trade_id_attempt_no")),
    )
    op.create_index(
        "uq_payments_primary_success",
        "payments",
        ["trade_id"],
        unique=True,
        sqlite_where=sa.text("status = 'SUCCEEDED' AND role = 'PRIMARY'"),
        postgresql_where=sa.text("status = 'SUCCEEDED' AND role = 'PRIMARY'"),
    )
    op.create_table(
        "payment_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("payment_id", sa.Integer(), nullable=False),
        sa.Column("provider_event_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["payments.id"], name=op.f("fk_payment_events_payment_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_events")),
        sa.UniqueConstraint(
            "payment_id",
            "provider_event_id",
            name=op.f("uq_payment_events_payment_id_provider_event_id"),
        ),
    )
    op.create_table(
        "refunds",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("trade_id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=True),
        sa.Column("payment_id", sa.Integer(), nullable=True),
        sa.Column("reason_kind", sa.String(), nullable=False),
        sa.Column("ref_id", sa.Integer(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_refunds_amount")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_refunds_order_id")),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["payments.id"], name=op.f("fk_refunds_payment_id")
        ),
        sa.ForeignKeyConstraint(["trade_id"], ["trades.id"], name=op.f("fk_refunds_trade_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refunds")),
        sa.UniqueConstraint("reason_kind", "ref_id", name=op.f("uq_refunds_reason_kind_ref_id")),
    )
    op.create_index(op.f("ix_refunds_order_id"), "refunds", ["order_id"], unique=False)
    op.create_index("ix_refunds_status_id", "refunds", ["status", "id"], unique=False)
    op.create_index(op.f("ix_refunds_trade_id"), "refunds", ["trade_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_refunds_trade_id"), table_name="refunds")
    op.drop_index("ix_refunds_status_id", table_name="refunds")
    op.drop_index(op.f("ix_refunds_order_id"), table_name="refunds")
    op.drop_table("refunds")
    op.drop_table("payment_events")
    op.drop_index(
        "uq_payments_primary_success",
        table_name="payments",
        sqlite_where=sa.text("status = 'SUCCEEDED' AND role = 'PRIMARY'"),
        postgresql_where=sa.text("status = 'SUCCEEDED' AND role = 'PRIMARY'"),
    )
    op.drop_table("payments")
