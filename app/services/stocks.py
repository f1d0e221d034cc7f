"""Stock: units are reserved at checkout, allocated when paid, and leave with the parcel."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, update

from app.db import Reader, Unit
from app.errors import OutOfStock
from app.events import StockChanged
from app.rules.stock import Units, absorbed, count
from app.statements import Prepared, among, bind
from app.tables.columns import table
from app.tables.products import StockMovementRow, StockReservationRow, StockRow

STOCKS = table(StockRow)
RESERVATIONS = table(StockReservationRow)
MOVEMENTS = table(StockMovementRow)

ORDER = "ORDER"  # the owner of a reservation; a SKU has one supplier, hence one order of a trade

COUNTS = (STOCKS.c.on_hand, STOCKS.c.allocated, STOCKS.c.reserved, STOCKS.c.shortfall)

_ONE_LOCKED = Prepared(
    select(*COUNTS).where(STOCKS.c.sku_id == bind("sku")).with_for_update(key_share=True)
)
_MANY = Prepared(select(STOCKS.c.sku_id, *COUNTS).where(among(STOCKS.c.sku_id, "skus")))
_MANY_LOCKED = Prepared(
    select(STOCKS.c.id)
    .where(among(STOCKS.c.sku_id, "skus"))
    .order_by(STOCKS.c.sku_id)
    .with_for_update(key_share=True)
)
_RESERVE = Prepared(
    update(STOCKS)
    .where(
        STOCKS.c.sku_id == bind("sku"),
        STOCKS.c.on_hand - STOCKS.c.allocated - STOCKS.c.reserved >= bind("units"),
        STOCKS.c.shortfall == 0,
    )
    .values(reserved=STOCKS.c.reserved + bind("units"), version=STOCKS.c.version + 1)
)
_CHANGE = Prepared(
    update(STOCKS)
    .where(STOCKS.c.sku_id == bind("sku"))
    .values(
        {one.name: one + bind(f"more_{one.name}") for one in COUNTS}
        | {"version": STOCKS.c.version + 1}
    )
)
_HOLD = Prepared(
    insert(RESERVATIONS).values(
        sku_id=bind("sku"),
        quantity=bind("units"),
        owner_type=bind("owner"),
        owner_id=bind("owner_key"),
        status="HELD",
        expires_at=bind("until"),
    )
)
_HELD = Prepared(
    select(*RESERVATIONS.c)
    .where(
        RESERVATIONS.c.owner_type == bind("owner"),
        RESERVATIONS.c.owner_id == bind("owner_key"),
        RESERVATIONS.c.status.in_(("HELD", "ALLOCATED")),
    )
    .order_by(RESERVATIONS.c.sku_id)
)
_CLOSE = Prepared(
    update(RESERVATIONS)
    .where(RESERVATIONS.c.id == bind("key"), RESERVATIONS.c.status == bind("old_status"))
    .values(status=bind("new_status"))
)
_NOTE = Prepared(
    insert(MOVEMENTS).values(
        sku_id=bind("sku"),
        kind=bind("what"),
        delta=bind("change"),
        quantity=bind("units"),
        ref_type=bind("cause"),
        ref_id=bind("cause_key"),
        created_at=bind("now"),
    )
)
_FIRST_COUNT = Prepared(
    lambda insert: (
        insert(STOCKS)
        .values(
            sku_id=bind("sku"),
            on_hand=0,
            allocated=0,
            reserved=0,
            shortfall=0,
            source_version=-1,
            version=0,
        )
        .on_conflict_do_nothing()
    )
)
_COUNT = Prepared(
    update(STOCKS)
    .where(STOCKS.c.sku_id == bind("sku"), STOCKS.c.source_version < bind("source"))
    .values(
        on_hand=bind("counted"),
        shortfall=bind("short"),
        source_version=bind("source"),
        version=STOCKS.c.version + 1,
    )
)


async def available(db: Reader, sku_ids: Collection[int]) -> dict[int, int]:
    """Units free to sell; 0 for a SKU without stock."""
    rows = await db.all(_MANY, {"skus": sku_ids})
    free = {row.sku_id: free_in(row) for row in rows}
    return {sku_id: free.get(sku_id, 0) for sku_id in sku_ids}


def free_in(row: Any) -> int:
    """Units free to sell, of a row with the columns of `COUNTS`; they are None without stock."""
    return 0 if row.on_hand is None else _units(row).available


async def lock(unit: Unit, sku_ids: Iterable[int]) -> None:
    """Takes the rows of these SKUs in one order, so that two units never wait for each other.

    Needed before touching SKUs of several owners; SQLite has its one write lock instead.
    """
    if unit.db.dialect != "sqlite":
        await unit.db.all(_MANY_LOCKED, {"skus": sorted(set(sku_ids))})


async def reserve(
    unit: Unit, owner_type: str, owner_id: int, units: Mapping[int, int], expires_at: datetime
) -> None:
    """Keeps {sku_id: quantity} for one owner: one guarded statement per SKU, sorted.

    Raises OutOfStock for the first SKU that has too few.
    """
    for sku_id, quantity in sorted(units.items()):
        if not await unit.changed(_RESERVE, {"sku": sku_id, "units": quantity}):
            raise OutOfStock(sku_id, (await available(unit.db, [sku_id]))[sku_id])
        held = {
            "sku": sku_id,
            "units": quantity,
            "owner": owner_type,
            "owner_key": owner_id,
            "until": expires_at,
        }
        await unit.insert(_HOLD, held)
        _tell(unit, sku_id)
        await _note(unit, "RESERVE", sku_id, quantity, owner_type, owner_id)


async def release(unit: Unit, owner_type: str, owner_id: int) -> int:
    """Gives back what an owner holds, paid or not; a repetition finds nothing. How many SKUs."""
    released = 0
    for row in await _held(unit, owner_type, owner_id):
        if not await _close(unit, row, "RELEASED"):
            continue
        stock = await _locked(unit, row.sku_id)
        column = "reserved" if row.status == "HELD" else "allocated"
        swallowed = absorbed(stock.shortfall, row.quantity)
        _tell(unit, row.sku_id)
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
    """Turns an owner's reservation into paid units; a repetition finds nothing. How many SKUs.

    Nothing is told: what was reserved was not for sale already.
    """
    allocated = 0
    for row in await _held(unit, owner_type, owner_id):
        if row.status != "HELD" or not await _close(unit, row, "ALLOCATED"):
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
    await unit.execute(_FIRST_COUNT, {"sku": sku_id})
    before = await _locked(unit, sku_id)
    after = count(_units(before), on_hand)
    counted = {
        "sku": sku_id,
        "counted": after.on_hand,
        "short": after.shortfall,
        "source": source_version,
    }
    if not await unit.changed(_COUNT, counted):
        return False
    if after.available != _units(before).available:
        _tell(unit, sku_id)
    delta = after.on_hand - before.on_hand
    await _note(unit, "SYNC", sku_id, abs(delta), "SOURCE", source_version, delta=delta)
    return True


def _tell(unit: Unit, sku_id: int) -> None:
    """Notes that the free units of a SKU change, in the unit's one event for all of them."""
    told = next((one for one in unit.events if isinstance(one, StockChanged)), None)
    if told is None:
        unit.emit(StockChanged([sku_id]))
    elif sku_id not in told.sku_ids:
        told.sku_ids.append(sku_id)


def _units(row: Any) -> Units:
    return Units(row.on_hand, row.allocated, row.reserved, row.shortfall)


async def _locked(unit: Unit, sku_id: int) -> Row[Any]:
    row = await unit.db.first(_ONE_LOCKED, {"sku": sku_id})
    assert row is not None
    return row


async def _held(unit: Unit, owner_type: str, owner_id: int) -> list[Row[Any]]:
    return await unit.db.all(_HELD, {"owner": owner_type, "owner_key": owner_id})


async def _close(unit: Unit, reservation: Row[Any], status: str) -> int:
    change = {"key": reservation.id, "old_status": reservation.status, "new_status": status}
    return await unit.changed(_CLOSE, change)


async def _change(unit: Unit, sku_id: int, deltas: Mapping[str, int]) -> None:
    more = {f"more_{one.name}": deltas.get(one.name, 0) for one in COUNTS}
    await unit.changed(_CHANGE, {"sku": sku_id, **more})


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
    noted = {
        "sku": sku_id,
        "what": kind,
        "change": delta,
        "units": quantity,
        "cause": ref_type,
        "cause_key": ref_id,
        "now": unit.clock(),
    }
    await unit.insert(_NOTE, noted)
