"""Trades, orders and the groups that some orders wait for."""

import sqlalchemy as sa
from alembic import op

revision = "0006_orders_and_group_buys"
down_revision = "0005_carts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "trades",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("no", sa.String(), nullable=False),
        sa.Column("buyer_id", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("goods_fen", sa.BigInteger(), nullable=False),
        sa.Column("shipping_fen", sa.BigInteger(), nullable=False),
        sa.Column("discount_fen", sa.BigInteger(), nullable=False),
        sa.Column("payable_fen", sa.BigInteger(), nullable=False),
        sa.Column("paid_fen", sa.BigInteger(), nullable=False),
        sa.Column("refunded_fen", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "payable_fen = goods_fen + shipping_fen - discount_fen", name=op.f("ck_trades_payable")
        ),
        sa.CheckConstraint(
            "refunded_fen >= 0 AND refunded_fen <= paid_fen", name=op.f("ck_trades_refunded")
        ),
        sa.ForeignKeyConstraint(["buyer_id"], ["accounts.id"], name=op.f("fk_trades_buyer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trades")),
        sa.UniqueConstraint("no", name=op.f("uq_trades_no")),
    )
    op.create_index(op.f("ix_trades_buyer_id"), "trades", ["buyer_id"], unique=False)
    op.create_index("ix_trades_status_expires_at", "trades", ["status", "expires_at"], unique=False)
    op.create_table(
        "group_buy_activities",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("duration_s", sa.Integer(), nullable=False),
        sa.Column("hold_s", sa.Integer(), nullable=False),
        sa.Column("order_limit", sa.Integer(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("size >= 2", name=op.f("ck_group_buy_activities_size")),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("ck_group_buy_activities_period")),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_group_buy_activities_product_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_group_buy_activities")),
    )
    op.create_index(
        op.f("ix_group_buy_activities_product_id"),
        "group_buy_activities",
        ["product_id"],
        unique=False,
    )
    op.create_table(
        "group_buy_activity_skus",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("activity_id", sa.Integer(), nullable=False),
        sa.Column("sku_id", sa.Integer(), nullable=False),
        sa.Column("price_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("price_fen > 0", name=op.f("ck_group_buy_activity_skus_price")),
        sa.ForeignKeyConstraint(
            ["activity_id"],
            ["group_buy_activities.id"],
            name=op.f("fk_group_buy_activity_skus_activity_id"),
        ),
        sa.ForeignKeyConstraint(
            ["sku_id"], ["skus.id"], name=op.f("fk_group_buy_activity_skus_sku_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_group_buy_activity_skus")),
        sa.UniqueConstraint(
            "activity_id", "sku_id", name=op.f("uq_group_buy_activity_skus_activity_id_sku_id")
        ),
    )
    op.create_index(
        op.f("ix_group_buy_activity_skus_sku_id"),
        "group_buy_activity_skus",
        ["sku_id"],
        unique=False,
    )
    op.create_table(
        "group_buy_groups",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("activity_id", sa.Integer(), nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("leader_id", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("held_count", sa.Integer(), nullable=False),
        sa.Column("paid_count", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("fail_reason", sa.String(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("filled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "held_count >= 0 AND held_count <= size", name=op.f("ck_group_buy_groups_held")
        ),
        sa.CheckConstraint(
            "paid_count >= 0 AND paid_count <= held_count", name=op.f("ck_group_buy_groups_paid")
        ),
        sa.ForeignKeyConstraint(
            ["activity_id"],
            ["group_buy_activities.id"],
            name=op.f("fk_group_buy_groups_activity_id"),
        ),
        sa.ForeignKeyConstraint(
            ["leader_id"], ["accounts.id"], name=op.f("fk_group_buy_groups_leader_id")
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_group_buy_groups_product_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_group_buy_groups")),
    )
    op.create_index(
        op.f("ix_group_buy_groups_activity_id"), "group_buy_groups", ["activity_id"], unique=False
    )
    op.create_index(
        op.f("ix_group_buy_groups_leader_id"), "group_buy_groups", ["leader_id"], unique=False
    )
    op.create_index(
        op.f("ix_group_buy_groups_product_id"), "group_buy_groups", ["product_id"], unique=False
    )
    op.create_index(
        "ix_group_buy_groups_status_expires_at",
        "group_buy_groups",
        ["status", "expires_at"],
        unique=False,
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("no", sa.String(), nullable=False),
        sa.Column("trade_id", sa.Integer(), nullable=False),
        sa.Column("supplier_id", sa.Integer(), nullable=False),
        sa.Column("distributor_id", sa.Integer(), nullable=True),
        sa.Column("buyer_id", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("group_id", sa.Integer(), nullable=True),
        sa.Column("live_room_id", sa.Integer(), nullable=True),
        sa.Column("goods_fen", sa.BigInteger(), nullable=False),
        sa.Column("shipping_fen", sa.BigInteger(), nullable=False),
        sa.Column("discount_fen", sa.BigInteger(), nullable=False),
        sa.Column("payable_fen", sa.BigInteger(), nullable=False),
        sa.Column("paid_fen", sa.BigInteger(), nullable=False),
        sa.Column("refunded_fen", sa.BigInteger(), nullable=False),
        sa.Column("receiver", sa.JSON(), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("shipped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_reason", sa.String(), nullable=True),
        sa.Column("auto_receive_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "refunded_fen >= 0 AND refunded_fen <= paid_fen", name=op.f("ck_orders_refunded")
        ),
        sa.ForeignKeyConstraint(["buyer_id"], ["accounts.id"], name=op.f("fk_orders_buyer_id")),
        sa.ForeignKeyConstraint(
            ["distributor_id"], ["distributors.id"], name=op.f("fk_orders_distributor_id")
        ),
        sa.ForeignKeyConstraint(
            ["group_id"], ["group_buy_groups.id"], name=op.f("fk_orders_group_id")
        ),
        sa.ForeignKeyConstraint(
            ["live_room_id"], ["live_rooms.id"], name=op.f("fk_orders_live_room_id")
        ),
        sa.ForeignKeyConstraint(
            ["supplier_id"], ["suppliers.id"], name=op.f("fk_orders_supplier_id")
        ),
        sa.ForeignKeyConstraint(["trade_id"], ["trades.id"], name=op.f("fk_orders_trade_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
        sa.UniqueConstraint("no", name=op.f("uq_orders_no")),
        sa.UniqueConstraint("trade_id", "supplier_id", name=op.f("uq_orders_trade_id_supplier_id")),
    )
    op.create_index("ix_orders_buyer_id_id", "orders", ["buyer_id", "id"], unique=False)
    op.create_index(op.f("ix_orders_distributor_id"), "orders", ["distributor_id"], unique=False)
    op.create_index(op.f("ix_orders_group_id"), "orders", ["group_id"], unique=False)
    op.create_index(
        "ix_orders_supplier_id_status_id", "orders", ["supplier_id", "status", "id"], unique=False
    )
    op.create_table(
        "group_buy_members",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("group_id", sa.Integer(), nullable=False),
        sa.Column("activity_id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("seat_no", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("hold_expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_group_buy_members_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["activity_id"],
            ["group_buy_activities.id"],
            name=op.f("fk_group_buy_members_activity_id"),
        ),
        sa.ForeignKeyConstraint(
            ["group_id"], ["group_buy_groups.id"], name=op.f("fk_group_buy_members_group_id")
        ),
        sa.ForeignKeyConstraint(
            ["order_id"], ["orders.id"], name=op.f("fk_group_buy_members_order_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_group_buy_members")),
        sa.UniqueConstraint("order_id", name=op.f("uq_group_buy_members_order_id")),
    )
    op.create_index(
        op.f("ix_group_buy_members_account_id"), "group_buy_members", ["account_id"], unique=False
    )
    op.create_index(
        op.f("ix_group_buy_members_group_id"), "group_buy_members", ["group_id"], unique=False
    )
    op.create_index(
        "ix_group_buy_members_status_hold_expires_at",
        "group_buy_members",
        ["status", "hold_expires_at"],
        unique=False,
    )
    op.create_index(
        "uq_group_buy_members_account",
        "group_buy_members",
        ["activity_id", "account_id"],
        unique=True,
        sqlite_where=sa.text("status IN ('HELD', 'JOINED')"),
        postgresql_where=sa.text("status IN ('HELD', 'JOINED')"),
    )
    op.create_index(
        "uq_group_buy_members_seat",
        "group_buy_members",
        ["group_id", "seat_no"],
        unique=True,
        sqlite_where=sa.text("status IN ('HELD', 'JOINED', 'SUCCEEDED')"),
        postgresql_where=sa.text("status IN ('HELD', 'JOINED', 'SUCCEEDED')"),
    )
    op.create_table(
        "order_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("actor_role", sa.String(), nullable=False),
        sa.Column("actor_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("from_status", sa.String(), nullable=True),
        sa.Column("to_status", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_events_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_events")),
    )
    op.create_index(op.f("ix_order_events_order_id"), "order_events", ["order_id"], unique=False)
    op.create_table(
        "order_lines",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("sku_id", sa.Integer(), nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price_fen", sa.BigInteger(), nullable=False),
        sa.Column("supply_price_fen", sa.BigInteger(), nullable=False),
        sa.Column("discount_fen", sa.BigInteger(), nullable=False),
        sa.Column("shipping_fen", sa.BigInteger(), nullable=False),
        sa.Column("payable_fen", sa.BigInteger(), nullable=False),
        sa.Column("paid_fen", sa.BigInteger(), nullable=False),
        sa.Column("refunded_fen", sa.BigInteger(), nullable=False),
        sa.Column("shipped_quantity", sa.Integer(), nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_order_lines_quantity")),
        sa.CheckConstraint(
            "refunded_fen >= 0 AND refunded_fen <= paid_fen", name=op.f("ck_order_lines_refunded")
        ),
        sa.CheckConstraint(
            "shipped_quantity >= 0 AND shipped_quantity <= quantity",
            name=op.f("ck_order_lines_shipped"),
        ),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_lines_order_id")),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_order_lines_product_id")
        ),
        sa.ForeignKeyConstraint(["sku_id"], ["skus.id"], name=op.f("fk_order_lines_sku_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_lines")),
    )
    op.create_index(op.f("ix_order_lines_order_id"), "order_lines", ["order_id"], unique=False)
    op.create_index(op.f("ix_order_lines_product_id"), "order_lines", ["product_id"], unique=False)
    op.create_index(op.f("ix_order_lines_sku_id"), "order_lines", ["sku_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_order_lines_sku_id"), table_name="order_lines")
    op.drop_index(op.f("ix_order_lines_product_id"), table_name="order_lines")
    op.drop_index(op.f("ix_order_lines_order_id"), table_name="order_lines")
    op.drop_table("order_lines")
    op.drop_index(op.f("ix_order_events_order_id"), table_name="order_events")
    op.drop_table("order_events")
    op.drop_index(
        "uq_group_buy_members_seat",
        table_name="group_buy_members",
        sqlite_where=sa.text("status IN ('HELD', 'JOINED', 'SUCCEEDED')"),
        postgresql_where=sa.text("status IN ('HELD', 'JOINED', 'SUCCEEDED')"),
    )
    op.drop_index(
        "uq_group_buy_members_account",
        table_name="group_buy_members",
        sqlite_where=sa.text("status IN ('HELD', 'JOINED')"),
        postgresql_where=sa.text("status IN ('HELD', 'JOINED')"),
    )
    op.drop_index("ix_group_buy_members_status_hold_expires_at", table_name="group_buy_members")
    op.drop_index(op.f("ix_group_buy_members_group_id"), table_name="group_buy_members")
    op.drop_index(op.f("ix_group_buy_members_account_id"), table_name="group_buy_members")
    op.drop_table("group_buy_members")
    op.drop_index("ix_orders_supplier_id_status_id", table_name="orders")
    op.drop_index(op.f("ix_orders_group_id"), table_name="orders")
    op.drop_index(op.f("ix_orders_distributor_id"), table_name="orders")
    op.drop_index("ix_orders_buyer_id_id", table_name="orders")
    op.drop_table("orders")
    op.drop_index("ix_group_buy_groups_status_expires_at", table_name="group_buy_groups")
    op.drop_index(op.f("ix_group_buy_groups_product_id"), table_name="group_buy_groups")
    op.drop_index(op.f("ix_group_buy_groups_leader_id"), table_name="group_buy_groups")
    op.drop_index(op.f("ix_group_buy_groups_activity_id"), table_name="group_buy_groups")
    op.drop_table("group_buy_groups")
    op.drop_index(op.f("ix_group_buy_activity_skus_sku_id"), table_name="group_buy_activity_skus")
    op.drop_table("group_buy_activity_skus")
    op.drop_index(op.f("ix_group_buy_activities_product_id"), table_name="group_buy_activities")
    op.drop_table("group_buy_activities")
    op.drop_index("ix_trades_status_expires_at", table_name="trades")
    op.drop_index(op.f("ix_trades_buyer_id"), table_name="trades")
    op.drop_table("trades")
