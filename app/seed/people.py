"""Inventing people: suppliers' users, distributors, shoppers with addresses, agent and admin."""

from typing import Any

from sqlalchemy import insert

from app.auth import Role, Viewer
from app.db import Unit
from app.gateways.platforms import DEV
from app.rules.orders import Address
from app.seed import names
from app.seed.world import Shopper, World
from app.services import distributors
from app.services.accounts import ACCOUNTS, IDENTITIES, ROLES
from app.services.addresses import ADDRESSES


async def enrol_staff(world: World) -> None:
    world.clock.now = world.ago(days=400)
    for role, nickname in ((Role.AGENT, "客服小禾"), (Role.ADMIN, "平台管理员")):
        await enrol(world.unit, f"{role.lower()}-1", nickname, role)


async def enrol_shoppers(world: World) -> None:
    """`consumer-1` and so on; the first has two addresses, as has every third."""
    dice = world.dice
    total = world.scale.consumers
    rows: list[dict[str, Any]] = []
    for number in range(1, total + 1):
        world.clock.now = world.ago(days=dice.randint(150, 390), minutes=dice.randint(0, 1400))
        nickname = dice.choice(names.NICK_HEADS) + dice.choice(names.NICK_TAILS)
        place = names.PLACES[0] if number == 1 else dice.choice(names.PLACES)
        account_id = await enrol(
            world.unit,
            f"consumer-{number}",
            nickname,
            Role.CONSUMER,
            phone=f"138-0000-{number:04d}",
            region=place[0],
            tag=dice.choices(names.TAGS, (3, 4, 2, 1))[0],
        )
        receiver = dice.choice(names.SURNAMES) + dice.choice(names.GIVEN)
        places = [place]
        if number % 3 == 1:
            places.append(dice.choice(names.PLACES))
        homes = [_address(world, receiver, number, where) for where in places]
        rows += [_row(account_id, home, home is homes[0]) for home in homes]
        world.shoppers.append(Shopper(Viewer(Role.CONSUMER, account_id), homes[0]))
        if number % 20 == 0:
            world.progress("消费者", number, total)
    await world.unit.execute(insert(ADDRESSES), rows)
    world.progress("消费者", total, total)


async def enrol_distributors(world: World) -> None:
    """`distributor-1` and so on: leaders first, the others spread below them; all buy too."""
    dice, scale = world.dice, world.scale
    leaders: list[int] = []
    items = [item for good in world.goods for item in good.items]
    for number in range(1, scale.distributors + 1):
        world.clock.now = world.ago(days=dice.randint(130, 360))
        account_id = await enrol(
            world.unit,
            f"distributor-{number}",
            dice.choice(names.SHOP_HEADS) + "店长",
            Role.CONSUMER,
            phone=f"137-0000-{number:04d}",
        )
        is_leader = number <= scale.leaders
        shop_id = await distributors.enrol(
            world.unit,
            account_id=account_id,
            shop_name=names.SHOP_HEADS[number % 10] + names.SHOP_TAILS[number // 10 + number % 3],
            slug=f"shop-{number}",
            parent_id=None if is_leader else leaders[number % len(leaders)],
        )
        if is_leader:
            leaders.append(shop_id)
        await _grant(world.unit, account_id, Role.DISTRIBUTOR, shop_id)
        world.hosts.append(Viewer(Role.DISTRIBUTOR, account_id, shop_id))
        for item in dice.sample(items, min(scale.listings, len(items))):
            at_floor = dice.random() < 0.08
            markup_bp = 0 if at_floor else dice.randint(800, 3500)
            await distributors.list_sku(
                world.unit,
                distributor_id=shop_id,
                sku_id=item.sku_id,
                price_fen=item.distributor_price_fen * (10_000 + markup_bp) // 10_000,
            )
        world.progress("分销商", number, scale.distributors)


async def enrol(
    unit: Unit,
    open_id: str,
    nickname: str,
    role: Role,
    *,
    subject_id: int | None = None,
    **more: Any,
) -> int:
    """A person who signs in by the DEV platform; the key of the account."""
    account_id = await unit.insert(
        insert(ACCOUNTS).values(nickname=nickname, created_at=unit.clock(), **more)
    )
    await unit.execute(
        insert(IDENTITIES).values(account_id=account_id, platform=DEV, open_id=open_id)
    )
    await _grant(unit, account_id, role, subject_id)
    return account_id


async def _grant(unit: Unit, account_id: int, role: Role, subject_id: int | None) -> None:
    await unit.execute(
        insert(ROLES).values(account_id=account_id, role=role, subject_id=subject_id)
    )


def _address(world: World, receiver: str, number: int, place: tuple[str, str, str]) -> Address:
    province, city, street = place
    dice = world.dice
    door = f"{dice.randint(1, 300)} 号 {dice.randint(1, 20)} 栋 {dice.randint(101, 2502)} 室"
    return Address(receiver, f"138-0000-{number:04d}", province, city, f"{street} {door}")


def _row(account_id: int, address: Address, is_default: bool) -> dict[str, Any]:
    return {
        "account_id": account_id,
        "receiver": address.name,
        "phone": address.phone,
        "province": address.province,
        "city": address.city,
        "street": address.street,
        "is_default": is_default,
    }
