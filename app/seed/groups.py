"""Inventing group-buys: activities, groups that filled, failed or are open, and refunds."""

from datetime import timedelta
from functools import partial

from sqlalchemy import insert

from app.seed import lives
from app.seed.trades import Job
from app.seed.world import Good, Shopper, World
from app.services import group_buys, group_buys_end, refunds
from app.services.group_buys import ACTIVITY_SKUS
from app.services.group_buys_seats import ACTIVITIES

_HOUR = 3600
# noun, size, hours a group has
_PLANS = (
    ("五常稻花香大米", 3, 24),
    ("云柔纸尿裤", 2, 24),
    ("可视空气炸锅", 5, 24),
    ("原木抽纸", 3, 12),
    ("阿克苏冰糖心苹果", 3, 6),
    ("积雪草补水面膜", 2, 12),
    ("抗菌中筒袜", 5, 24),
    ("线圈笔记本", 3, 1),
)
_RUN = timedelta(days=40)


class Activity:
    """One activity of the seed and who has a seat in it now; seats are taken by `take`."""

    def __init__(self, key: int, good: Good, size: int, duration: timedelta) -> None:
        self.key, self.good, self.size, self.duration = key, good, size, duration
        self._seated: set[int] = set()

    def take(self, world: World, count: int, *, keep: bool) -> list[Shopper]:
        """`count` shoppers without a seat here; with `keep` theirs stays taken."""
        free = [place for place in range(1, world.scale.buyers) if place not in self._seated]
        chosen = world.dice.sample(free, count)
        if keep:
            self._seated.update(chosen)
        return [world.shoppers[place] for place in chosen]


async def store_activities(world: World) -> list[Activity]:
    """Activities that began long ago and go on; the price is some way below the shop's."""
    world.clock.now = world.ago(days=world.scale.days)
    made = []
    for place in range(world.scale.activities):
        if place < len(_PLANS):
            noun, size, hours = _PLANS[place]
            good = world.good(noun)
        else:
            good = world.goods[(place * 13) % len(world.goods)]
            size, hours = (2, 3, 5)[place % 3], (1, 6, 24)[place % 3]
        key = await world.unit.insert(
            insert(ACTIVITIES).values(
                product_id=good.product_id,
                title=f"{good.noun} {size} 人团",
                status="RUNNING",
                size=size,
                duration_s=hours * _HOUR,
                hold_s=600,
                order_limit=2,
                starts_at=world.clock.now,
                ends_at=world.now + _RUN,
                created_at=world.clock.now,
            )
        )
        for item in good.items:
            price = item.price_fen * world.dice.randint(8700, 9200) // 100_000 * 10
            await world.unit.execute(
                insert(ACTIVITY_SKUS).values(activity_id=key, sku_id=item.sku_id, price_fen=price)
            )
        made.append(Activity(key, good, size, timedelta(hours=hours)))
    return made


def jobs(world: World, activities: list[Activity]) -> list[Job]:
    """Groups of the past and of now. The first activities have what the tour shows."""
    me = world.shoppers[0]
    made = [
        _failed(world, activities[2], [me, *activities[2].take(world, 1, keep=False)], days=3),
        _open(world, activities[0], [*activities[0].take(world, 1, keep=True), me], left_h=9),
        _open(world, activities[1], activities[1].take(world, 1, keep=True), left_h=1 / 6),
    ]
    count = world.scale.groups - len(made)
    for place in range(count):
        activity = activities[place % len(activities)]
        share = place / count
        if share < 0.4:
            people = activity.take(world, activity.size, keep=False)
            made.append(_filled(world, activity, people))
        elif share < 0.55:
            people = activity.take(world, world.dice.randint(1, activity.size - 1), keep=False)
            days = world.dice.randint(4, world.scale.days - 2)
            made.append(_failed(world, activity, people, days=days))
        else:
            hours = activity.duration / timedelta(hours=1)
            activity = activities[0] if place % 2 else activity
            people = activity.take(world, 1, keep=True)
            made.append(_open(world, activity, people, left_h=hours * world.dice.uniform(0.4, 0.9)))
    return made


def _filled(world: World, activity: Activity, people: list[Shopper]) -> Job:
    begin = world.ago(days=world.dice.uniform(8, world.scale.days - 1))

    async def run(world: World) -> None:
        world.clock.now = begin
        trades = await _gather(world, activity, people)
        for shopper, trade_id in zip(people, trades, strict=True):
            await lives.complete(world, shopper, trade_id)

    return begin, run


def _failed(world: World, activity: Activity, people: list[Shopper], *, days: float) -> Job:
    """Ends without filling; money is back after a day, but consumer-1's is still on its way."""
    begin = world.ago(days=days)

    async def run(world: World) -> None:
        world.clock.now = begin
        await _gather(world, activity, people)
        world.clock.now = begin + activity.duration + timedelta(minutes=10)
        while await group_buys_end.expire_due(world.unit):
            pass
        world.clock.pass_(hours=world.dice.randint(8, 20))
        while (task := await refunds.take(world.unit)) is not None:
            if people[0] is not world.shoppers[0]:
                await refunds.complete(world.unit, task.refund_id)

    return begin, run


def _open(world: World, activity: Activity, people: list[Shopper], *, left_h: float) -> Job:
    """Still open; the last to join did so a moment ago."""
    begin = world.now + timedelta(hours=left_h) - activity.duration

    async def run(world: World) -> None:
        world.clock.now = begin
        await _gather(world, activity, people)

    return begin, run


async def _gather(world: World, activity: Activity, people: list[Shopper]) -> list[int]:
    """The first opens a group and pays, the others join and pay; their trades."""
    sku_id = activity.good.items[0].sku_id
    trades, group_id = [], 0
    for place, shopper in enumerate(people):
        seat = partial(
            group_buys.open_group if place == 0 else group_buys.join,
            world.unit,
            shopper.viewer,
            sku_id=sku_id,
            quantity=1,
            idempotency_key=f"seed-{world.dice.getrandbits(64):x}",
            address=shopper.address,
        )
        if place == 0:
            group_id, trade_id = await seat(activity_id=activity.key)
        else:
            world.clock.pass_(minutes=world.dice.randint(1, 4))
            _, trade_id = await seat(group_buy_id=group_id)
        await lives.pay(world, shopper, trade_id)
        trades.append(trade_id)
    return trades
