"""The mall that is measured: 1,000 products of 4 SKUs, groups to join, carts to read and to fill.

Nothing in it is random, so that two files made on two days hold the same rows.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import product as combinations
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, insert, text
from sqlmodel import SQLModel

from app import migrate, search
from app.auth import Role, Tokens, Viewer
from app.clock import utc_now
from app.tables.accounts import AccountRoleRow, AccountRow, AddressRow
from app.tables.carts import CartLineRow, CartRow
from app.tables.columns import table
from app.tables.group_buys import GroupBuyActivityRow, GroupBuyActivitySkuRow, GroupBuyRow
from app.tables.live_rooms import LiveProductRow, LiveRoomRow
from app.tables.products import CategoryRow, ProductOptionRow, ProductRow, SkuRow, StockRow
from app.tables.suppliers import SupplierRow

SUPPLIERS, SUSPENDED = 20, 20  # the last one is suspended: its goods are hidden
PRODUCTS = 1_000
DETAIL = 500  # the product whose page is read: 8 SKUs, two options, 5 groups to join
SHOPPERS = 200
READER = 1  # reads the cart; the other shoppers add to theirs
LINES = 5  # of every cart
ROOM = 1

_MADE_AT = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
_UNTIL = datetime(2036, 3, 2, 4, 0, tzinfo=UTC)  # groups stay open however late the run
_COLOURS = ("曜石黑", "云雾白", "青黛", "落日橘")
_SIZES = ("标准装", "家庭装")
_WARES = (
    "山野小米",
    "冷锻炒锅",
    "棉柔浴巾",
    "桂花乌龙",
    "婴儿湿巾",
    "空气炸锅",
    "手冲咖啡",
    "竹浆抽纸",
)
_LINES = ("产地直发，当季新货", "三层工艺，经久耐用", "轻柔亲肤，敏感可用", "小批慢制，限量供应")


def make(file: Path) -> None:
    """A migrated and filled database; runs an event loop of its own."""
    migrate.upgrade(f"sqlite+aiosqlite:///{file}")
    fill(file)


def fill(file: Path) -> None:
    """Fills the empty, migrated database, in one transaction."""
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        for rows in (_suppliers(), _categories(), _goods(), _people(), _groups(), _room()):
            _insert(connection, rows)
        _insert(connection, _carts(connection))
        _index(connection)
    engine.dispose()
    with sqlite3.connect(file) as check:
        orphans = check.execute("PRAGMA foreign_key_check").fetchall()
        assert not orphans, orphans
    check.close()


def token(secret: str, shopper: int) -> str:
    """What a shopper of this mall sends as bearer, good for hours."""
    hours = Tokens(secret, utc_now, access_life=timedelta(hours=12))
    return hours.issue(Viewer(Role.CONSUMER, shopper))


def additions(file: Path) -> list[tuple[int, int]]:
    """(shopper, SKU) of every cart but the reader's; neighbours belong to different shoppers."""
    with sqlite3.connect(file) as look:
        found: list[tuple[int, int, int]] = look.execute(
            "SELECT row_number() OVER (PARTITION BY cart_id ORDER BY l.id), account_id, sku_id"
            " FROM cart_lines l JOIN carts c ON c.id = l.cart_id WHERE account_id <> ?",
            (READER,),
        ).fetchall()
    look.close()
    return [(shopper, sku) for _, shopper, sku in sorted(found)]


def _insert(connection: Connection, rows: Iterable[SQLModel]) -> None:
    """Inserts rows that carry their keys, table by table in the order of their first row."""
    by_kind: dict[type[SQLModel], list[dict[str, Any]]] = {}
    for row in rows:
        by_kind.setdefault(type(row), []).append(row.model_dump())
    for kind, values in by_kind.items():
        connection.execute(insert(table(kind)), values)


def _suppliers() -> Iterator[SQLModel]:
    for key in range(1, SUPPLIERS + 1):
        yield SupplierRow(
            id=key,
            name=f"集市供应商{key:02d}",
            status="SUSPENDED" if key == SUSPENDED else "APPROVED",
            category="日用百货",
            rating_bp=9_000 + 37 * key,
            ship_from="浙江杭州",
            shipping_fen=600 + 100 * (key % 4),
            remote_surcharge_fen=1_000,
            free_shipping_from_fen=None if key % 5 == 0 else 9_900,
            created_at=_MADE_AT,
        )


def _categories() -> Iterator[SQLModel]:
    for root in range(1, 6):
        yield CategoryRow(id=root, name=f"一级类目{root}", path=f"/{root}/", sort=root)
    for leaf in range(6, 26):
        root = 1 + leaf % 5
        yield CategoryRow(
            id=leaf, parent_id=root, name=f"二级类目{leaf}", path=f"/{root}/{leaf}/", sort=leaf
        )


def _goods() -> Iterator[SQLModel]:
    sku_id = 0
    for key in range(1, PRODUCTS + 1):
        skus = _skus(key, sku_id + 1)
        sku_id = skus[-1].id
        prices = [sku.price_fen for sku in skus if sku.status == "ON_SALE"]
        yield _product(key, min(prices), max(prices))
        for sort, (name, choices) in enumerate(_options(key).items()):
            yield ProductOptionRow(
                id=2 * key - 1 + sort, product_id=key, name=name, choices=list(choices), sort=sort
            )
        for sku in skus:
            yield sku
            # plenty: nobody who adds to a cart ever reaches the end of it
            yield StockRow(
                id=sku.id, sku_id=sku.id, on_hand=500_000 + sku.id, allocated=sku.id % 7, reserved=3
            )


def _product(key: int, low_fen: int, high_fen: int) -> ProductRow:
    title = f"{_WARES[key % 8]} {key:04d} 号"
    return ProductRow(
        id=key,
        supplier_id=_supplier_of(key),
        category_id=6 + key % 20,
        title=title,
        subtitle=_LINES[key % 4],
        description=f"{title}：{_LINES[key % 4]}。签收次日起 7 天无理由退货。",
        image=f"/pictures/{key:04d}.webp",
        status=_status_of(key),
        sort=key,
        min_price_fen=low_fen,
        max_price_fen=high_fen,
        sold_count=key * 7_919 % 500,  # two products share each count: their keys decide
        rating_bp=8_800 + key % 1_100,
        search_tokens=search.tokens(title),
        created_at=_MADE_AT + timedelta(minutes=key),
    )


def _skus(product_id: int, first: int) -> list[SkuRow]:
    made = []
    options = _options(product_id)
    for place, values in enumerate(combinations(*options.values())):
        price = 990 + product_id * 37 % 400 * 50 + 200 * place
        chosen = dict(zip(options, values, strict=True))
        is_delisted = place == 3 and product_id % 20 == 11
        made.append(
            SkuRow(
                id=first + place,
                product_id=product_id,
                supplier_id=_supplier_of(product_id),
                code=f"{product_id:04d}-{place + 1}",
                option_key=";".join(f"{name}={value}" for name, value in chosen.items()),
                options=chosen,
                supply_price_fen=price * 6 // 10,
                distributor_price_fen=price * 8 // 10,
                price_fen=price,
                market_price_fen=price * 13 // 10,
                weight_g=250 + 50 * place,
                status="DELISTED" if is_delisted else "ON_SALE",
            )
        )
    return made


def _options(product_id: int) -> dict[str, tuple[str, ...]]:
    colours = _COLOURS if product_id == DETAIL else _COLOURS[:2]
    return {"颜色": colours, "规格": _SIZES}


def _supplier_of(product_id: int) -> int:
    return 1 + product_id % SUPPLIERS


def _status_of(product_id: int) -> str:
    if product_id % 50 == 7:
        return "DELISTED"
    return "PRE_SALE" if product_id % 40 == 3 else "ON_SALE"


def _people() -> Iterator[SQLModel]:
    for key in range(1, SHOPPERS + 1):
        yield AccountRow(id=key, nickname=f"爱逛集市的{key}号", created_at=_MADE_AT)
        yield AccountRoleRow(id=key, account_id=key, role=Role.CONSUMER)
        yield AddressRow(
            id=key,
            account_id=key,
            receiver=f"收货人{key}",
            phone=f"138{key:08d}",
            province="新疆维吾尔自治区" if key % 10 == 0 else "浙江省",
            city="乌鲁木齐市" if key % 10 == 0 else "杭州市",
            street=f"文三路 {key} 号",
            is_default=True,
        )


def _groups() -> Iterator[SQLModel]:
    """Five groups to join, one that nobody has paid for yet, one that is full."""
    first = _first_sku(DETAIL)
    yield GroupBuyActivityRow(
        id=1,
        product_id=DETAIL,
        title="三人成团",
        status="RUNNING",
        size=3,
        duration_s=86_400,
        starts_at=_MADE_AT,
        ends_at=_UNTIL,
        created_at=_MADE_AT,
    )
    for sku_id in range(first, first + 8):
        yield GroupBuyActivitySkuRow(id=sku_id, activity_id=1, sku_id=sku_id, price_fen=900)
    for key, (status, paid) in enumerate([("OPEN", 1)] * 5 + [("PENDING", 0), ("FILLED", 3)], 1):
        yield GroupBuyRow(
            id=key,
            activity_id=1,
            product_id=DETAIL,
            leader_id=READER + key,
            size=3,
            held_count=max(1, paid),
            paid_count=paid,
            status=status,
            expires_at=_UNTIL - timedelta(hours=key),  # the last to open is the first to end
            filled_at=_MADE_AT if status == "FILLED" else None,
            created_at=_MADE_AT,
        )


def _room() -> Iterator[SQLModel]:
    """A live room with one SKU of the reader's cart at the room's own price."""
    product_id = _sold_products()[0]
    yield LiveRoomRow(
        id=ROOM,
        host_id=SHOPPERS,
        title="晚间专场",
        status="LIVE",
        starts_at=_MADE_AT,
        started_at=_MADE_AT,
        created_at=_MADE_AT,
    )
    yield LiveProductRow(
        id=1,
        room_id=ROOM,
        product_id=product_id,
        sku_id=_first_sku(product_id),
        live_price_fen=880,
        position=0,
    )


def _carts(connection: Connection) -> Iterator[SQLModel]:
    prices = {row.id: row.price_fen for row in connection.execute(text("SELECT * FROM skus"))}
    for shopper in range(1, SHOPPERS + 1):
        yield CartRow(id=shopper, account_id=shopper, version=LINES, updated_at=_MADE_AT)
        for place, sku_id in enumerate(_cart_skus(shopper)):
            yield CartLineRow(
                id=LINES * (shopper - 1) + place + 1,
                cart_id=shopper,
                sku_id=sku_id,
                quantity=1 + place % 2,
                is_selected=place != 3,
                price_when_added_fen=prices[sku_id],
                live_room_id=ROOM if shopper == READER and place == 0 else None,
                added_at=_MADE_AT,
            )


def _cart_skus(shopper: int) -> list[int]:
    """First SKUs of five products; the fifth comes from the supplier of the first."""
    sold = _sold_products()
    start = (shopper - 1) * LINES % (len(sold) - 2 * SUPPLIERS)
    first = sold[start]
    chosen = [*sold[start : start + LINES - 1]]
    chosen.append(
        next(key for key in sold[start + LINES :] if key % SUPPLIERS == first % SUPPLIERS)
    )
    return [_first_sku(key) for key in chosen]


def _sold_products() -> list[int]:
    return [
        key
        for key in range(1, PRODUCTS + 1)
        if _status_of(key) == "ON_SALE" and _supplier_of(key) != SUSPENDED
    ]


def _first_sku(product_id: int) -> int:
    """Four SKUs a product, eight for the one that is looked at."""
    return 4 * (product_id - 1) + 1 + (4 if product_id > DETAIL else 0)


def _index(connection: Connection) -> None:
    """Lets the search find every product by its title."""
    products = connection.execute(text("SELECT id, title FROM products")).all()
    connection.execute(
        text("INSERT INTO product_search (rowid, bigrams, words) VALUES (:key, :bigrams, :words)"),
        [
            {
                "key": product.id,
                "bigrams": " ".join(search.bigrams(product.title)),
                "words": " ".join(search.words(product.title)),
            }
            for product in products
        ],
    )
