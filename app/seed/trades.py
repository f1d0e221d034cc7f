"""Inventing trades of the last weeks in every state, most of them long completed."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from app.seed import lives
from app.seed.world import Good, Item, Shopper, World
from app.services import orders, orders_cancel

_LIMITED = ("原切牛腱子", "声波电动牙刷")  # few units per person: nobody here counts them
Life = Callable[[World, Shopper, int], Awaitable[None]]
Job = tuple[datetime, Callable[[World], Awaitable[None]]]
# a life and its share of all trades; the rest is completed
_SHARES_BP = (
    ("cancelled", 300),
    ("expired", 300),
    ("sent", 800),
    ("partly", 200),
    ("waiting", 500),
    ("unpaid", 150),
)


def jobs(world: World) -> list[Job]:
    """The trades to invent, each with the time it begins at."""
    dice = world.dice
    crowd = world.shoppers[1 : world.scale.buyers]
    made = [_job(world, dice.choice(crowd), _kind(world)) for _ in range(world.scale.trades)]
    return made + _of_the_first(world)


def _of_the_first(world: World) -> list[Job]:
    """What consumer-1 can ask about: on its way, about to be sent, received days ago and long ago."""
    me = world.shoppers[0]
    told = (
        ("低糖电饭煲", timedelta(hours=47), _sent_at(timedelta(hours=20))),
        ("五常稻花香大米", timedelta(hours=10), _waiting),
        ("重磅纯棉T恤", timedelta(days=7), _received_at(timedelta(days=4), timedelta(days=3))),
        ("阿克苏冰糖心苹果", timedelta(days=21), _completed),
    )
    return [
        _begun(me, [(world.good(noun).items[0], 1)], world.now - ago, life)
        for noun, ago, life in told
    ]


def _job(world: World, shopper: Shopper, kind: str) -> Job:
    dice = world.dice
    hours = {
        "cancelled": dice.uniform(5, 24 * world.scale.days),
        "expired": dice.uniform(5, 24 * world.scale.days),
        "sent": dice.uniform(30, 70),
        "partly": dice.uniform(40, 70),
        "waiting": dice.uniform(0.5, 40),
        "unpaid": dice.uniform(0.05, 0.3),
    }.get(kind, dice.uniform(24 * 8, 24 * world.scale.days))
    picks = _pair(world) if kind == "partly" else _picks(world)
    return _begun(shopper, picks, world.ago(hours=hours), _LIVES[kind])


def _begun(shopper: Shopper, picks: list[tuple[Item, int]], at: datetime, life: Life) -> Job:
    async def run(world: World) -> None:
        world.clock.now = at
        await life(world, shopper, await lives.buy(world, shopper, picks))

    return at, run


def _kind(world: World) -> str:
    throw = world.dice.randrange(10_000)
    for kind, share in _SHARES_BP:
        throw -= share
        if throw < 0:
            return kind
    return "completed"


def _picks(world: World) -> list[tuple[Item, int]]:
    """One to three goods; every fourth trade buys from several suppliers."""
    dice = world.dice
    goods = world.goods if dice.random() < 0.25 else _of_one_supplier(world)
    chosen = dice.sample(goods, min(len(goods), dice.choices((1, 2, 3), (6, 3, 1))[0]))
    return [
        (dice.choice(good.items), dice.choices((1, 2, 3), (8, 2, 1))[0])
        for good in chosen
        if good.noun not in _LIMITED
    ] or [(world.goods[0].items[0], 1)]


def _pair(world: World) -> list[tuple[Item, int]]:
    """Two goods of one supplier, so that one of them can be sent alone."""
    goods = [good for good in _of_one_supplier(world) if good.noun not in _LIMITED]
    return [(good.items[0], 1) for good in world.dice.sample(goods, 2)]


def _of_one_supplier(world: World) -> list[Good]:
    supplier = world.dice.choice(world.goods).items[0].supplier
    return [good for good in world.goods if good.items[0].supplier == supplier]


async def _completed(world: World, shopper: Shopper, trade_id: int) -> None:
    await lives.pay(world, shopper, trade_id)
    await lives.complete(world, shopper, trade_id)


async def _cancelled(world: World, shopper: Shopper, trade_id: int) -> None:
    world.clock.pass_(minutes=world.dice.randint(2, 20))
    await orders_cancel.cancel_trade(world.unit, shopper.viewer, trade_id=trade_id)


async def _expired(world: World, _shopper: Shopper, _trade_id: int) -> None:
    world.clock.pass_(minutes=31)
    await orders_cancel.expire_due(world.unit)


async def _unpaid(_world: World, _shopper: Shopper, _trade_id: int) -> None:
    """The buyer still thinks it over."""


async def _waiting(world: World, shopper: Shopper, trade_id: int) -> None:
    await lives.pay(world, shopper, trade_id)


async def _sent(world: World, shopper: Shopper, trade_id: int) -> None:
    await lives.pay(world, shopper, trade_id)
    for order in await orders.of_trade(world.unit.db, trade_id):
        await lives.send(world, order, world.clock.now + timedelta(hours=12))


async def _partly(world: World, shopper: Shopper, trade_id: int) -> None:
    await lives.pay(world, shopper, trade_id)
    sent_at = world.clock.now + timedelta(hours=16)
    for order in await orders.of_trade(world.unit.db, trade_id):
        line = await world.unit.db.first(
            orders.LINES.select()
            .where(orders.LINES.c.order_id == order.id)
            .order_by(orders.LINES.c.id)
        )
        assert line is not None
        await lives.send(world, order, sent_at, lines={line.id: line.quantity})


def _sent_at(ago: timedelta) -> Life:
    async def life(world: World, shopper: Shopper, trade_id: int) -> None:
        await lives.pay(world, shopper, trade_id)
        for order in await orders.of_trade(world.unit.db, trade_id):
            await lives.send(world, order, world.now - ago)

    return life


def _received_at(arrived: timedelta, confirmed: timedelta) -> Life:
    async def life(world: World, shopper: Shopper, trade_id: int) -> None:
        await lives.pay(world, shopper, trade_id)
        for order in await orders.of_trade(world.unit.db, trade_id):
            await lives.send(world, order, world.now - arrived - lives.DELIVERED_AFTER)
            await lives.receive(world, shopper, order, world.now - confirmed)

    return life


_LIVES: dict[str, Life] = {
    "cancelled": _cancelled,
    "expired": _expired,
    "sent": _sent,
    "partly": _partly,
    "waiting": _waiting,
    "unpaid": _unpaid,
    "completed": _completed,
}
