"""Lotteries in live rooms: the promised seed, who takes part, who has won."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import SQLModel

from app.tables.columns import instant, key, ref

IS_OPEN = text("status = 'OPEN'")


class LiveLotteryRow(SQLModel, table=True):
    """`seed` is nobody's business until the status is DRAWN."""

    __tablename__ = "live_lotteries"
    __table_args__ = (
        CheckConstraint("winner_count > 0", name="winner_count"),
        Index("ix_live_lotteries_status_closes_at", "status", "closes_at"),
        Index(
            "uq_live_lotteries_open",
            "room_id",
            unique=True,
            sqlite_where=IS_OPEN,
            postgresql_where=IS_OPEN,
        ),
    )

    id: int = key()
    room_id: int = ref("live_rooms.id")
    prize: str
    keyword: str
    winner_count: int
    status: str  # OPEN, DRAWN, CANCELLED
    commit_hash: str
    seed: str
    list_digest: str | None = None
    entry_count: int = 0
    opened_at: datetime = instant()
    closes_at: datetime = instant()
    drawn_at: datetime | None = instant(default=None, nullable=True)


class LiveLotteryEntryRow(SQLModel, table=True):
    """`name` is masked, and kept as it was: it is part of the list that is drawn from."""

    __tablename__ = "live_lottery_entries"
    __table_args__ = (
        UniqueConstraint("lottery_id", "number"),
        UniqueConstraint("lottery_id", "account_id"),
        Index("ix_live_lottery_entries_lottery_id_prize_place", "lottery_id", "prize_place"),
    )

    id: int = key()
    lottery_id: int = ref("live_lotteries.id", index=False)
    account_id: int = ref("accounts.id", index=False)
    number: int
    name: str
    prize_place: int | None = None  # 1 for the first prize, none for those who have not won
    is_winner: bool = False
    created_at: datetime = instant()
