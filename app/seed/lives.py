"""What happens to an order after checkout: paid, sent with a trace, received."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from app.rules.shipments import ShipmentStatus
from app.seed import names
from app.seed.world import Item, Shopper, Supplier, World
from app.services import carts, checkout, orders, orders_place, payments, shipments

_WAYBILLS: Mapping[str, str] = {
    "SF": "SF{:012d}",
    "ZTO": "7{:013d}",
    "YTO": "YT{:013d}",
    "STO": "77{:013d}",
    "YUNDA": "4{:014d}",
    "JD": "JD{:013d}",
    "EMS": "1{:012d}",
    "JTSD": "JT{:013d}",
    "DBL": "DPK{:012d}",
    "LLYS": "LL{:012d}",
}
_S = ShipmentStatus
# hours after the parcel was made, code
_NODES = (
    (4, _S.PICKED_UP),
    (11, _S.IN_TRANSIT),
    (21, _S.IN_TRANSIT),
    (38, _S.IN_TRANSIT),
    (44, _S.OUT_FOR_DELIVERY),
    (49, _S.DELIVERED),
)
DELIVERED_AFTER = timedelta(hours=_NODES[-1][0])


async def buy(world: World, shopper: Shopper, picks: Sequence[tuple[Item, int]]) -> int:
    """Puts goods into the cart and orders them, at the clock's time; the trade."""
    viewer = shopper.viewer
    cart_id = 0
    for item, quantity in picks:
        cart_id = await carts.add_line(world.unit, viewer, sku_id=item.sku_id, quantity=quantity)
    priced = await carts.priced(world.unit.db, viewer, cart_id, province=shopper.address.province)
    return await orders_place.place(
        world.unit,
        viewer,
        expected_payable_fen=priced.payable_fen,
        idempotency_key=f"seed-{world.dice.getrandbits(64):x}",
        address=shopper.address,
    )


async def pay(world: World, shopper: Shopper, trade_id: int) -> None:
    """Pays some minutes after the order, in time."""
    world.clock.pass_(seconds=world.dice.randint(20, 300))
    attempt = await payments.start(world.unit, shopper.viewer, trade_id=trade_id)
    await checkout.settle(
        world.unit,
        payment_id=attempt.payment_id,
        provider_event_id=f"{attempt.provider_no}-paid",
        amount_fen=attempt.amount_fen,
    )


async def send(
    world: World,
    order: Any,
    at: datetime,
    *,
    lines: Mapping[int, int] | None = None,
) -> int:
    """Ships an order, or some of its lines, and lets the parcel travel until now."""
    world.clock.now = at
    supplier = next(one for one in world.suppliers if one.id == order.supplier_id)
    carrier = world.dice.choice(supplier.maker.carriers)
    waybill = _WAYBILLS[carrier].format(world.dice.randrange(10**11))
    shipment_id = await shipments.ship(
        world.unit,
        supplier.viewer,
        order_id=order.id,
        carrier_code=carrier,
        waybill=waybill,
        lines=lines,
    )
    texts = _texts(world, supplier, order.receiver["city"])
    for (hours, code), text in zip(_NODES, texts, strict=True):
        happened_at = at + timedelta(hours=hours, minutes=world.dice.randint(0, 50))
        if happened_at < world.now:
            world.clock.now = happened_at
            await shipments.trace(
                world.unit, shipment_id=shipment_id, happened_at=happened_at, code=code, text=text
            )
    return shipment_id


async def receive(world: World, shopper: Shopper, order: Any, at: datetime) -> None:
    world.clock.now = min(at, world.now)
    await orders.confirm(world.unit, shopper.viewer, order_id=order.id)


async def complete(world: World, shopper: Shopper, trade_id: int) -> None:
    """Sends and receives all orders of a paid trade; some suppliers send two parcels."""
    paid_at = world.clock.now
    for order in await orders.of_trade(world.unit.db, trade_id):
        sent_at = paid_at + timedelta(hours=world.dice.randint(5, 40))
        lines = await world.unit.db.all(
            orders.LINES.select()
            .where(orders.LINES.c.order_id == order.id)
            .order_by(orders.LINES.c.id)
        )
        if len(lines) > 1 and world.dice.random() < 0.4:
            await send(world, order, sent_at, lines={lines[0].id: lines[0].quantity})
            sent_at += timedelta(hours=20)
        await send(world, order, sent_at)
        kept_waiting = timedelta(hours=world.dice.randint(3, 70))
        await receive(world, shopper, order, sent_at + DELIVERED_AFTER + kept_waiting)


def _texts(world: World, supplier: Supplier, city: str) -> list[str]:
    dice, origin = world.dice, supplier.maker.ship_from
    hub = dice.choice(names.NODES)
    courier = f"{dice.choice(names.COURIERS)}，电话 139-0000-{dice.randint(0, 9999):04d}"
    place = "本人签收" if dice.random() < 0.6 else f"已由{dice.choice(names.STATIONS)}代收"
    return [
        f"【{origin}】快递员已揽收",
        f"【{origin}】快件已发往{hub}",
        f"快件到达【{hub}】",
        f"快件离开【{hub}】，发往{city}",
        f"【{city}】派送中，快递员{courier}",
        f"【{city}】{place}，感谢使用",
    ]
