"""The invented mall: written through the domain services, the same for the same seed number.

Receipt numbers and waybills of providers apart, which are random by nature.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Table, func, select

from app.db import Database, Unit
from app.seed import documents, goods, groups, people, rooms, shelves, trades
from app.seed.documents import Names
from app.seed.world import FULL, SMALL, Hands, Progress, World
from app.services import policies
from app.services.group_buys_seats import GROUPS
from app.services.live_rooms import MESSAGES, ROOMS
from app.services.orders import ORDERS, TRADES
from app.services.policies import CLAUSES, DOCUMENTS
from app.services.products import PRODUCTS, SKUS, SUPPLIERS

_CHUNK = 10


@dataclass(frozen=True, slots=True)
class Counts:
    suppliers: int
    products: int
    skus: int
    trades: int
    orders: int
    groups: int
    rooms: int
    messages: int
    policies: int
    clauses: int


async def is_empty(database: Database) -> bool:
    """Whether nothing was sold here yet: no supplier, no product."""
    async with database.read() as db:
        return await db.value(select(func.count()).select_from(SUPPLIERS)) == 0


async def seed(database: Database, *, full: bool, now: datetime, progress: Progress) -> Counts:
    """Fills an empty database; `progress` is told (what, done, of how many).

    The database's clock is moved through the invented past and put back at the end. Events of
    that past are nobody's news: they are not stored.
    """
    clock = Hands(now)
    world = World(database, clock, now, FULL if full else SMALL, progress)
    before, database.clock = database.clock, clock
    try:
        await _settle(world)
        await _trade(world)
        await _broadcast(world)
    finally:
        database.clock = before
    return await _counted(database)


async def _settle(world: World) -> None:
    shelf = shelves.read()
    async with _quiet(world) as unit:
        await people.enrol_staff(world, unit)
        await goods.enrol_suppliers(world, unit, shelf)
        await goods.store_categories(world, unit, shelf)
    await goods.store_products(world, shelf)
    async with _quiet(world) as unit:
        await people.enrol_shoppers(world, unit)
        await people.enrol_distributors(world, unit)
    async with _quiet(world) as unit:
        await _store_policies(world, unit)


async def _store_policies(world: World, unit: Unit) -> None:
    names = Names({one.maker.name: one.id for one in world.suppliers}, world.categories)
    drafts = documents.read_all(names)
    for number, draft in enumerate(drafts, 1):
        world.clock.now = min(draft.valid_from, world.now)
        await policies.store_document(unit, draft)
        world.progress("规则文档", number, len(drafts))


async def _trade(world: World) -> None:
    """Orders and groups by the time they began, so that newer ones have higher keys."""
    async with _quiet(world) as unit:
        activities = await groups.store_activities(world, unit)
    agenda = [*trades.jobs(world), *groups.jobs(world, activities)]
    agenda.sort(key=lambda job: job[0])
    for begin in range(0, len(agenda), _CHUNK):
        async with _quiet(world) as unit:
            for _, run in agenda[begin : begin + _CHUNK]:
                await run(world, unit)
        world.progress("订单与拼团", min(begin + _CHUNK, len(agenda)), len(agenda))


async def _broadcast(world: World) -> None:
    for place in range(world.scale.rooms):
        async with _quiet(world) as unit:
            await rooms.hold(world, unit, place)
        world.progress("直播间", place + 1, world.scale.rooms)


@asynccontextmanager
async def _quiet(world: World) -> AsyncGenerator[Unit]:
    async with world.database.unit() as unit:
        yield unit
        unit.events.clear()


async def _counted(database: Database) -> Counts:
    async def count(of: Table) -> int:
        async with database.read() as db:
            return int(await db.value(select(func.count()).select_from(of)))

    return Counts(
        suppliers=await count(SUPPLIERS),
        products=await count(PRODUCTS),
        skus=await count(SKUS),
        trades=await count(TRADES),
        orders=await count(ORDERS),
        groups=await count(GROUPS),
        rooms=await count(ROOMS),
        messages=await count(MESSAGES),
        policies=await count(DOCUMENTS),
        clauses=await count(CLAUSES),
    )
