"""Stock: units are reserved at checkout, allocated when paid, and leave with the parcel."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, update

from app.db import Reader, Unit
from app.errors import OutOfStock
from app.rules.stock import Units, absorbed, count
from app.tables.columns import table
from app.tables.products import StockMovementRow, StockReservationRow, StockRow

STOCKS = table(StockRow)
RESERVATIONS = table(StockReservationRow)
MOVEMENTS = table(StockMovementRow)

ORDER = "ORDER"  # the owner of a reservation; a SKU has one supplier, hence one order of a trade


async def available(db: Reader, sku_ids: Collection[int]) -> dict[int, int]:
    """Units free to sell; 0 for a SKU without stock."""
    rows = await db.all(select(*STOCKS.c).where(STOCKS.c.sku_id.in_(sku_ids)))
    free = {row.sku_id: _units(row).available for row in rows}
    return {sku_id: free.get(sku_id, 0) for sku_id in sku_ids}


async def lock(unit: Unit, sku_ids: Iterable[int]) -> None:
    """Takes the rows of these SKUs in one order, so that two units never wait for each other.

    Needed before touching SKUs of several owners; SQLite has its one write lock instead.
    """
    if unit.db.dialect != "sqlite":
        rows = select(STOCKS.c.id).where(STOCKS.c.sku_id.in_(sorted(set(sku_ids))))
        await unit.db.all(rows.order_by(STOCKS.c.sku_id).with_for_update(key_share=True))


async def reserve(
    unit: Unit, owner_type: str, owner_id: int, units: Mapping[int, int], expires_at: datetime
) -> None:
    """Keeps {sku_id: quantity} for one owner: one guarded statement per SKU, sorted.

    Raises OutOfStock for the first SKU that has too few.
    """
    for sku_id, quantity in sorted(units.items()):
        free = STOCKS.c.on_hand - STOCKS.c.allocated - STOCKS.c.reserved
        taken = await unit.changed(
            update(STOCKS)
            .where(STOCKS.c.sku_id == sku_id, free >= quantity, STOCKS.c.shortfall == 0)
            .values(reserved=STOCKS.c.reserved + quantity, version=STOCKS.c.version + 1)
        )
        if not taken:
            raise OutOfStock(sku_id, (await available(unit.db, [sku_id]))[sku_id])
        await unit.insert(
            insert(RESERVATIONS).values(
                sku_id=sku_id,
                quantity=quantity,
                owner_type=owner_type,
                owner_id=owner_id,
                status="HELD",
                expires_at=expires_at,
            )
        )
        await _note(unit, "RESERVE", sku_id, quantity, owner_type, owner_id)


async def release(unit: Unit, owner_type: str, owner_id: int) -> int:
    """Gives back what an owner holds, paid or not; a repetition finds nothing. How many SKUs."""
    released = 0
    for row in await _held(unit, owner_type, owner_id, ("HELD", "ALLOCATED")):
        if not await _close(unit, row, "RELEASED"):
            continue
        stock = await _locked(unit, row.sku_id)
        column = "reserved" if row.status == "HELD" else "allocated"
        swallowed = absorbed(stock.shortfall, row.quantity)
        await _change(
            unit,
            row.sku_id,
            {column: -row.quantity, "on_hand": -swallowed, "shortfall": -swallowed},
        )
        await _note(
            unit, "RELEASE", row.sku_id, row.quantity, owner_type, owner_id, delta=-swallowed
        )
        released += 1
    return released


async def allocate(unit: Unit, owner_type: str, owner_id: int) -> int:
    """Turns an owner's reservation into paid units; a repetition finds nothing. How many SKUs."""
    allocated = 0
    for row in await _held(unit, owner_type, owner_id, ("HELD",)):
        if not await _close(unit, row, "ALLOCATED"):
            continue
        await _change(unit, row.sku_id, {"reserved": -row.quantity, "allocated": row.quantity})
        await _note(unit, "ALLOCATE", row.sku_id, row.quantity, owner_type, owner_id)
        allocated += 1
    return allocated


async def ship(unit: Unit, shipment_id: int, units: Mapping[int, int]) -> None:
    """Lets allocated units {sku_id: quantity} leave with a parcel."""
    for sku_id, quantity in sorted(units.items()):
        await _change(unit, sku_id, {"allocated": -quantity, "on_hand": -quantity})
        await _note(unit, "SHIP", sku_id, quantity, "SHIPMENT", shipment_id, delta=-quantity)


async def sync(unit: Unit, sku_id: int, on_hand: int, source_version: int) -> bool:
    """Takes over a supplier's count; False for one that is not newer than the last.

    A count below what is promised becomes a shortfall: sales stop until it is made up.
    """
    await unit.insert_new(STOCKS, sku_id=sku_id, on_hand=0, source_version=-1)
    before = await _locked(unit, sku_id)
    after = count(_units(before), on_hand)
    taken = await unit.changed(
        update(STOCKS)
        .where(STOCKS.c.sku_id == sku_id, STOCKS.c.source_version < source_version)
        .values(
            on_hand=after.on_hand,
            shortfall=after.shortfall,
            source_version=source_version,
            version=STOCKS.c.version + 1,
        )
    )
    if not taken:
        return False
    delta = after.on_hand - before.on_hand
    await _note(unit, "SYNC", sku_id, abs(delta), "SOURCE", source_version, delta=delta)
    return True


def _units(row: Row[Any]) -> Units:
    return Units(row.on_hand, row.allocated, row.reserved, row.shortfall)


async def _locked(unit: Unit, sku_id: int) -> Row[Any]:
    query = select(*STOCKS.c).where(STOCKS.c.sku_id == sku_id)
    row = await unit.db.first(query.with_for_update(key_share=True))
    assert row is not None
    return row


async def _held(
    unit: Unit, owner_type: str, owner_id: int, statuses: Sequence[str]
) -> list[Row[Any]]:
    return await unit.db.all(
        select(*RESERVATIONS.c)
        .where(
            RESERVATIONS.c.owner_type == owner_type,
            RESERVATIONS.c.owner_id == owner_id,
            RESERVATIONS.c.status.in_(statuses),
        )
        .order_by(RESERVATIONS.c.sku_id)
    )


async def _close(unit: Unit, reservation: Row[Any], status: str) -> int:
    return await unit.changed(
        update(RESERVATIONS)
        .where(RESERVATIONS.c.id == reservation.id, RESERVATIONS.c.status == reservation.status)
        .values(status=status)
    )


async def _change(unit: Unit, sku_id: int, deltas: Mapping[str, int]) -> None:
    changes = {name: STOCKS.c[name] + delta for name, delta in deltas.items() if delta}
    await unit.changed(
        update(STOCKS)
        .where(STOCKS.c.sku_id == sku_id)
        .values(version=STOCKS.c.version + 1, **changes)
    )


async def _note(
    unit: Unit,
    kind: str,
    sku_id: int,
    quantity: int,
    ref_type: str,
    ref_id: int,
    *,
    delta: int = 0,
) -> None:
    await unit.insert(
        insert(MOVEMENTS).values(
            sku_id=sku_id,
            kind=kind,
            delta=delta,
            quantity=quantity,
            ref_type=ref_type,
            ref_id=ref_id,
            created_at=unit.clock(),
        )
    )
