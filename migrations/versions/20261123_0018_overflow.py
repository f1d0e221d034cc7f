"""What a buyer wants of late money, where it took him, and the order of automatic receipts."""

import sqlalchemy as sa
from alembic import op

revision = "0018_overflow"
down_revision = "0017_rooms"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("group_buy_members") as members:
        members.add_column(
            sa.Column("overflow", sa.String(), server_default="REFUND", nullable=False)
        )
        members.add_column(sa.Column("moved_to_id", sa.Integer(), nullable=True))
        members.create_foreign_key(
            op.f("fk_group_buy_members_moved_to_id"), "group_buy_members", ["moved_to_id"], ["id"]
        )
    op.create_index(
        "ix_orders_status_auto_receive_at", "orders", ["status", "auto_receive_at"], unique=False
    )


def downgrade() -> None:
    op.drop_index("ix_orders_status_auto_receive_at", table_name="orders")
    with op.batch_alter_table("group_buy_members") as members:
        members.drop_constraint(op.f("fk_group_buy_members_moved_to_id"), type_="foreignkey")
        members.drop_column("moved_to_id")
        members.drop_column("overflow")
