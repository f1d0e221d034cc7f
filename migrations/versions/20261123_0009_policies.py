"""Policy documents, clauses and structured records."""

import sqlalchemy as sa
from alembic import op

revision = "0009_policies"
down_revision = "0008_shipments"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "policy_documents",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("audience", sa.String(), nullable=False),
        sa.Column("category_id", sa.Integer(), nullable=True),
        sa.Column("supplier_id", sa.Integer(), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["category_id"], ["categories.id"], name=op.f("fk_policy_documents_category_id")
        ),
        sa.ForeignKeyConstraint(
            ["supplier_id"], ["suppliers.id"], name=op.f("fk_policy_documents_supplier_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_documents")),
        sa.UniqueConstraint("code", "version", name=op.f("uq_policy_documents_code_version")),
    )
    op.create_index(
        op.f("ix_policy_documents_category_id"), "policy_documents", ["category_id"], unique=False
    )
    op.create_index(
        op.f("ix_policy_documents_supplier_id"), "policy_documents", ["supplier_id"], unique=False
    )
    op.create_table(
        "policy_clauses",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("document_id", sa.Integer(), nullable=False),
        sa.Column("no", sa.String(), nullable=False),
        sa.Column("heading", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("search_tokens", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["document_id"], ["policy_documents.id"], name=op.f("fk_policy_clauses_document_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_clauses")),
        sa.UniqueConstraint("document_id", "no", name=op.f("uq_policy_clauses_document_id_no")),
    )
    op.create_table(
        "policy_records",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("clause_id", sa.Integer(), nullable=False),
        sa.Column("document_id", sa.Integer(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("condition_key", sa.String(), nullable=False),
        sa.Column("conditions", sa.JSON(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("audience", sa.String(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["clause_id"], ["policy_clauses.id"], name=op.f("fk_policy_records_clause_id")
        ),
        sa.ForeignKeyConstraint(
            ["document_id"], ["policy_documents.id"], name=op.f("fk_policy_records_document_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_records")),
        sa.UniqueConstraint(
            "clause_id",
            "topic",
            "condition_key",
            name=op.f("uq_policy_records_clause_id_topic_condition_key"),
        ),
    )
    op.create_index(
        op.f("ix_policy_records_document_id"), "policy_records", ["document_id"], unique=False
    )
    op.create_index("ix_policy_records_topic", "policy_records", ["topic"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_policy_records_topic", table_name="policy_records")
    op.drop_index(op.f("ix_policy_records_document_id"), table_name="policy_records")
    op.drop_table("policy_records")
    op.drop_table("policy_clauses")
    op.drop_index(op.f("ix_policy_documents_supplier_id"), table_name="policy_documents")
    op.drop_index(op.f("ix_policy_documents_category_id"), table_name="policy_documents")
    op.drop_table("policy_documents")
