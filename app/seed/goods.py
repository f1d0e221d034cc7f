"""Inventing goods: suppliers, the category tree, products with SKUs and prices, and their stock."""

from urllib.parse import quote

from app.auth import Role, Viewer
from app.seed.people import enrol
from app.seed.shelves import Maker, Option, Shelves, Ware
from app.seed.world import Good, Item, Supplier, World
from app.services import products_store, stocks, suppliers
from app.services.products_store import ProductDraft, SkuDraft
from app.services.suppliers import SupplierDraft

_HUES = (28, 190, 340, 210, 150, 320, 260, 45, 0, 120)
_FRESH = "生鲜冷链"
_PLAIN = 5  # the first products stay as they are: on sale and in stock


async def enrol_suppliers(world: World, shelves: Shelves) -> None:
    """`supplier-1` and so on, in the order of the shelves; the last two are not approved."""
    for number, maker in enumerate(shelves.makers, 1):
        world.clock.now = world.ago(days=420 - 5 * number)
        supplier_id = await suppliers.enrol(world.unit, _draft(maker))
        account_id = await enrol(
            world.unit,
            f"supplier-{number}",
            f"{maker.name}客服",
            Role.SUPPLIER,
            subject_id=supplier_id,
        )
        viewer = Viewer(Role.SUPPLIER, account_id, supplier_id)
        world.suppliers.append(Supplier(supplier_id, maker, viewer))


async def store_categories(world: World, shelves: Shelves) -> None:
    for top_sort, (top, middle) in enumerate(shelves.tree.items()):
        top_id = await products_store.store_category(world.unit, name=top, sort=top_sort)
        world.categories[top] = top_id
        for sort, (name, leaves) in enumerate(middle.items()):
            middle_id = await products_store.store_category(
                world.unit, name=name, parent_id=top_id, sort=sort
            )
            world.categories.setdefault(name, middle_id)
            for leaf_sort, leaf in enumerate(leaves):
                world.categories[leaf] = await products_store.store_category(
                    world.unit, name=leaf, parent_id=middle_id, sort=leaf_sort
                )


async def store_products(world: World, shelves: Shelves) -> None:
    """One product per template and series, all templates once before any twice."""
    wares = [(ware, series) for series in range(world.scale.series) for ware in shelves.wares]
    wares = [one for one in wares if one[1] < len(_supplier(world, one[0].maker).maker.series)]
    wares = wares[: world.scale.products]
    for place, (ware, series) in enumerate(wares):
        await _store_product(world, ware, series, place)
        world.progress("商品", place + 1, len(wares))


async def _store_product(world: World, ware: Ware, series: int, place: int) -> None:
    supplier = _supplier(world, ware.maker)
    world.clock.now = world.ago(days=world.dice.randint(125, 200), hours=place % 24)
    draft = _product(world, supplier, ware, series, place)
    product_id, sku_ids = await products_store.store(world.unit, draft)
    items = []
    for number, (sku_id, sku) in enumerate(zip(sku_ids, draft.skus, strict=True)):
        on_hand = _on_hand(world, place, number)
        await stocks.sync(world.unit, sku_id, on_hand, 1)
        if on_hand > 100:
            items.append(
                Item(
                    sku_id,
                    product_id,
                    world.suppliers.index(supplier),
                    sku.price_fen,
                    sku.distributor_price_fen,
                )
            )
    if draft.status == "ON_SALE" and supplier.maker.status == "APPROVED" and items:
        world.goods.append(Good(product_id, ware.noun, tuple(items)))


def _product(world: World, supplier: Supplier, ware: Ware, series: int, place: int) -> ProductDraft:
    dice, maker = world.dice, supplier.maker
    title = maker.series[series] + ware.noun
    is_fresh = maker.category == _FRESH
    return ProductDraft(
        supplier_id=supplier.id,
        category_id=world.categories[ware.leaf],
        title=title,
        subtitle=ware.line,
        description=_description(maker, ware, title),
        image=_picture(ware.noun, _HUES[world.suppliers.index(supplier)]),
        status=_status(place),
        sort=place,
        rating_bp=dice.randint(8800, 9900),
        is_fresh=is_fresh,
        return_days=ware.return_days,
        warranty_months=ware.months,
        customer_limit=ware.limit,
        options={one.name: tuple(one.choices) for one in _options(ware, series)},
        skus=tuple(_skus(world, supplier, ware, series, place)),
    )


def _skus(world: World, supplier: Supplier, ware: Ware, series: int, place: int) -> list[SkuDraft]:
    dice = world.dice
    supply_bp, shop_bp, market_bp = (
        dice.randint(5400, 6600),
        dice.randint(7600, 8600),
        dice.randint(11_500, 14_000),
    )
    options = _options(ware, series)
    steps = {one.name: dict(zip(one.choices, one.steps, strict=True)) for one in options}
    chosen = products_store.choices_of({one.name: tuple(one.choices) for one in options})
    made = []
    for number, choice in enumerate(chosen, 1):
        extra = sum(steps[name][value] for name, value in choice.items())
        price = ware.price_fen + extra + 500 * series
        made.append(
            SkuDraft(
                code=f"{supplier.id:02d}-{place:04d}-{number:02d}",
                options=choice,
                supply_price_fen=price * supply_bp // 10_000,
                distributor_price_fen=price * shop_bp // 10_000,
                price_fen=price,
                market_price_fen=price * market_bp // 1_000_000 * 100,
                weight_g=ware.weight_g,
            )
        )
    return made


def _options(ware: Ware, series: int) -> list[Option]:
    """The first series has every option; later ones of a many-sided ware keep only its first."""
    return ware.options if series == 0 or len(ware.options) < 3 else ware.options[:1]


def _status(place: int) -> str:
    if place > _PLAIN and place % 23 == 22:
        return "DELISTED"
    return "PRE_SALE" if place > _PLAIN and place % 29 == 28 else "ON_SALE"


def _on_hand(world: World, place: int, number: int) -> int:
    """Some products are sold out, some have a SKU with the last one to three units."""
    if place > _PLAIN and place % 19 == 18:
        return 0
    if place > _PLAIN and place % 9 == 8 and number == 0:
        return world.dice.randint(1, 3)
    return world.dice.randint(600, 3000)


def _description(maker: Maker, ware: Ware, title: str) -> str:
    back = (
        "生鲜商品不支持七天无理由退货，坏果破损请在签收后 24 小时内拍照申请赔付。"
        if ware.return_days == 0
        else f"支持签收次日起 {ware.return_days} 天无理由退货。"
    )
    warranty = f"整机保修 {ware.months} 个月。" if ware.months else ""
    return f"{title}：{ware.line}。由{maker.name}从{maker.ship_from}发货。{back}{warranty}"


def _picture(noun: str, hue: int) -> str:
    """A square with the first sign of the name: a picture that needs no network."""
    svg = (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 96 96'>"
        f"<rect width='96' height='96' rx='12' fill='hsl({hue},45%,88%)'/>"
        f"<text x='48' y='62' font-size='40' text-anchor='middle' fill='hsl({hue},45%,32%)'>{noun[:1]}"
        "</text></svg>"
    )
    return "data:image/svg+xml," + quote(svg, safe=" ='/:,%-")


def _supplier(world: World, name: str) -> Supplier:
    return next(one for one in world.suppliers if one.maker.name == name)


def _draft(maker: Maker) -> SupplierDraft:
    return SupplierDraft(
        name=maker.name,
        status=maker.status,
        category=maker.category,
        rating_bp=maker.rating_bp,
        settle_cycle=maker.settle_cycle,
        ship_from=maker.ship_from,
        return_address=maker.return_address,
        platform_rate_bp=maker.rate_bp,
        shipping_fen=maker.shipping_fen,
        remote_surcharge_fen=maker.remote_fen,
        free_shipping_from_fen=maker.free_from_fen,
    )
