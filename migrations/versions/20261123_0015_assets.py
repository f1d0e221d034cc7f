"""Uploaded pictures."""

import sqlalchemy as sa
from alembic import op

revision = "0015_assets"
down_revision = "0014_sessions"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "assets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("link", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["accounts.id"], name=op.f("fk_assets_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assets")),
        sa.UniqueConstraint("link", name=op.f("uq_assets_link")),
        sa.UniqueConstraint("owner_id", "sha256", name=op.f("uq_assets_owner_id_sha256")),
    )
    op.create_index(
        op.f("ix_assets_owner_id_created_at"), "assets", ["owner_id", "created_at"], unique=False
    )
    op.create_index(op.f("ix_assets_sha256"), "assets", ["sha256"], unique=False)


def downgrade() -> None:
    op.drop_table("assets")
