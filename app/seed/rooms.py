"""Inventing live rooms: goods, pins, likes, a draw, and chatter with words that nobody gets to see."""

from datetime import timedelta

from sqlalchemy import update

from app.auth import Viewer
from app.seed import names
from app.seed.world import Item, World
from app.services import (
    live_rooms,
    live_rooms_lottery,
    live_rooms_shelf,
    live_rooms_talk,
    live_rooms_ticks,
    live_rooms_viewers,
)
from app.services.live_rooms import ROOMS

_TITLES = (
    "团长选品日：厨房好物专场",
    "小树苗母婴 · 新手爸妈答疑",
    "周末秋冬穿搭直播",
    "粮油产地溯源回放",
    "家清囤货夜",
    "文具开箱：开学季预告",
)
_STATES = ("LIVE", "LIVE", "SCHEDULED", "REPLAY_READY", "PAUSED", "SCHEDULED")


async def hold(world: World, place: int) -> None:
    """The room number `place`, in the state it is known for."""
    state = _STATES[place]
    host, items = _host(world, place)
    begin = {
        "SCHEDULED": world.now + timedelta(hours=20 + 5 * place),
        "REPLAY_READY": world.ago(days=2),
        "PAUSED": world.ago(hours=2),
    }.get(state, world.ago(minutes=50 + 10 * place))
    world.clock.now = min(begin, world.now) - timedelta(days=1)
    goods = world.dice.sample(items, min(len(items), world.dice.randint(20, 40)))
    room_id = await live_rooms.schedule(
        world.unit,
        host,
        title=_TITLES[place],
        starts_at=begin,
        goods=[(item.sku_id, _live_price(world, item)) for item in goods],
    )
    # nobody is behind the invented hosts: their rooms stay as they are
    never = update(ROOMS).where(ROOMS.c.id == room_id).values(due_at=None)
    if state == "SCHEDULED":
        await world.unit.execute(never)
        return
    world.clock.now = begin
    await live_rooms.start(world.unit, host, room_id=room_id)
    on_air = sum(one != "SCHEDULED" for one in _STATES[: world.scale.rooms])
    await _show(world, host, room_id, world.scale.messages // on_air)
    if state == "PAUSED":
        await live_rooms.pause(world.unit, host, room_id=room_id)
    if state == "REPLAY_READY":
        await live_rooms.end(world.unit, host, room_id=room_id)
        await live_rooms.offer_replay(world.unit, host, room_id=room_id)
    await world.unit.execute(never)


async def _show(world: World, host: Viewer, room_id: int, messages: int) -> None:
    """Forty minutes on air: people write and like, goods are pinned, something is drawn."""
    dice = world.dice
    shelf = await world.unit.db.all(
        live_rooms_shelf.products_visible_to(host).where(
            live_rooms_shelf.LIVE_PRODUCTS.c.room_id == room_id
        )
    )
    pause_s = 2400 / messages
    pins = {messages * part // 4 for part in range(4)}
    watching = live_rooms_viewers.Presence()
    for number in range(messages):
        world.clock.pass_(seconds=pause_s)
        if number == messages // 4:
            await _open_lottery(world, host, room_id)
        if number in pins:
            await live_rooms_shelf.pin(
                world.unit, host, room_id=room_id, live_product_id=dice.choice(shelf).id
            )
        text = dice.choice(names.RUDE if number % 25 == 24 else names.CHATTER)
        shopper = world.shoppers[number % world.scale.buyers]
        await live_rooms_talk.post(world.unit, shopper.viewer, room_id=room_id, text=text)
        if number % 5 == 0:
            likes = dice.randint(1, 100)
            await live_rooms_talk.like(world.unit, shopper.viewer, room_id=room_id, count=likes)
            watching.seen(room_id, shopper.viewer)
        if number % 10 == 9:
            await live_rooms_ticks.tick(world.unit, room_id)
    await live_rooms_viewers.note(world.unit, watching.take())
    await live_rooms_viewers.count(world.unit, [room_id])
    await live_rooms_lottery.draw_due(world.unit)
    await live_rooms_ticks.tick(world.unit, room_id)


async def _open_lottery(world: World, host: Viewer, room_id: int) -> None:
    """Who says what many say anyway takes part."""
    await live_rooms_lottery.open_one(
        world.unit,
        host,
        room_id=room_id,
        prize="山野小米一袋",
        keyword="好",
        winners=3,
        lasts_s=1500,
        seed=world.dice.randbytes(32).hex(),
    )


def _host(world: World, place: int) -> tuple[Viewer, list[Item]]:
    """Distributors show everybody's goods, suppliers their own."""
    items = [item for good in world.goods for item in good.items]
    if place % 2 == 0:
        return world.hosts[place % len(world.hosts)], items
    number = {1: 2, 3: 0, 5: 7}[place]
    return world.suppliers[number].viewer, [one for one in items if one.supplier == number]


def _live_price(world: World, item: Item) -> int:
    room = item.price_fen - item.distributor_price_fen
    return item.price_fen - world.dice.randint(room // 3, room) // 10 * 10
