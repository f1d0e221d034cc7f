"""Uploaded pictures: a row per owner and picture, a file per picture."""

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from app.tables.columns import instant, key, ref


class AssetRow(SQLModel, table=True):
    """`link` is drawn at random and leads to the file: who has it may see the picture."""

    __tablename__ = "assets"
    __table_args__ = (
        UniqueConstraint("owner_id", "sha256"),
        Index("ix_assets_owner_id_created_at", "owner_id", "created_at"),
    )

    id: int = key()
    owner_id: int = ref("accounts.id", index=False)
    link: str = Field(unique=True)
    sha256: str = Field(index=True)  # of the file as it is kept
    media_type: str
    size_bytes: int
    width: int
    height: int
    created_at: datetime = instant()
