"""The invented mall: written through the domain services, the same for the same seed number.

Receipt numbers and waybills of providers apart, which are random by nature.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Table, func, select

from app.db import Database
from app.seed import documents, goods, groups, people, rooms, shelves, trades
from app.seed.documents import Names
from app.seed.world import FULL, SMALL, Hands, Progress, World
from app.services import policies
from app.services.group_buys_seats import GROUPS
from app.services.live_rooms import ROOMS
from app.services.live_rooms_talk import MESSAGES
from app.services.orders import ORDERS, TRADES
from app.services.policies import CLAUSES, DOCUMENTS
from app.services.products import PRODUCTS, SKUS, SUPPLIERS


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
    """Whether nobody supplies this mall yet."""
    async with database.read() as db:
        return await db.first(select(SUPPLIERS.c.id).limit(1)) is None


async def seed(database: Database, *, full: bool, now: datetime, progress: Progress) -> Counts:
    """Fills an empty database, wholly or not at all; `progress` is told (what, done, of how many).

    One transaction: who interrupts it finds the database as it was. The database's clock is moved
    through the invented past and put back at the end. Events of that past are nobody's news: they
    are not stored.
    """
    clock = Hands(now)
    before, database.clock = database.clock, clock
    try:
        async with database.unit() as unit:
            world = World(unit, clock, now, FULL if full else SMALL, progress)
            await _settle(world)
            await _trade(world)
            await _broadcast(world)
            unit.events.clear()
    finally:
        database.clock = before
    return await _counted(database)


async def _settle(world: World) -> None:
    shelf = shelves.read()
    await people.enrol_staff(world)
    await goods.enrol_suppliers(world, shelf)
    await goods.store_categories(world, shelf)
    await goods.store_products(world, shelf)
    await people.enrol_shoppers(world)
    await people.enrol_distributors(world)
    await _store_policies(world)


async def _store_policies(world: World) -> None:
    names = Names({one.maker.name: one.id for one in world.suppliers}, world.categories)
    drafts = documents.read_all(names)
    for number, draft in enumerate(drafts, 1):
        world.clock.now = min(draft.valid_from, world.now)
        await policies.store_document(world.unit, draft)
        world.progress("规则文档", number, len(drafts))


async def _trade(world: World) -> None:
    """Orders and groups by the time they began, so that newer ones have higher keys."""
    activities = await groups.store_activities(world)
    agenda = [*trades.jobs(world), *groups.jobs(world, activities)]
    agenda.sort(key=lambda job: job[0])
    for number, (_, run) in enumerate(agenda, 1):
        await run(world)
        world.unit.events.clear()
        world.progress("订单与拼团", number, len(agenda))


async def _broadcast(world: World) -> None:
    for place in range(world.scale.rooms):
        await rooms.hold(world, place)
        world.progress("直播间", place + 1, world.scale.rooms)


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
