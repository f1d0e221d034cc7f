"""The measured operations on strawberry as its documentation and SQLModel's teach them.

Types with a resolver for each field that is read elsewhere, a data loader for each kind of row, an
async session for each look, `strawberry.asgi.GraphQL` as the application. The same tables, rules
and answers as Jishi's; no document cache, no second look at what was measured slow.
"""

import asyncio
import os
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Self

import strawberry
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel import and_, col, func, or_, select, tuple_
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.dataloader import DataLoader

from app import ids, money
from app.auth import Tokens, Viewer
from app.clock import utc_now
from app.errors import (
    LimitExceeded,
    MallError,
    NotFound,
    OutOfStock,
    SkuUnavailable,
    Unauthenticated,
)
from app.ids import CursorSigner
from app.rules.pricing import Item, ShippingTerms, honoured_price, quote
from app.rules.stock import Units, check_quantity, is_on_sale
from app.tables.accounts import AddressRow
from app.tables.carts import CartLineRow, CartRow
from app.tables.group_buys import GroupBuyRow
from app.tables.live_rooms import LiveProductRow, LiveRoomRow
from app.tables.orders import OrderLineRow, OrderRow
from app.tables.products import CategoryRow, ProductOptionRow, ProductRow, SkuRow, StockRow
from app.tables.suppliers import SupplierRow
from bench.handwritten import DATABASE, SECRET

SCOPE = "products:SALES:"
SHOWN = ("ON_SALE", "PRE_SALE")
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=5000",
    "PRAGMA temp_store=MEMORY",
)


@strawberry.enum
class ProductSort(StrEnum):
    SALES = "SALES"


def approved() -> Any:
    return select(SupplierRow.id).where(SupplierRow.status == "APPROVED")


def shown() -> Any:
    return and_(col(ProductRow.status).in_(SHOWN), col(ProductRow.supplier_id).in_(approved()))


@strawberry.type
class Money:
    amount_minor: int

    @strawberry.field
    def formatted(self) -> str:
        return money.formatted(self.amount_minor)


@strawberry.type
class PriceRange:
    low: Money
    high: Money


@strawberry.type
class PageInfo:
    has_next_page: bool
    end_cursor: str | None


@strawberry.type
class Supplier:
    id: strawberry.ID
    name: str
    rating_bp: int
    ship_from: str
    shipping: Money

    @classmethod
    def of(cls, row: SupplierRow) -> Self:
        return cls(
            id=gid("Supplier", row.id),
            name=row.name,
            rating_bp=row.rating_bp,
            ship_from=row.ship_from,
            shipping=Money(amount_minor=row.shipping_fen),
        )


@strawberry.type
class Category:
    id: strawberry.ID
    name: str


@strawberry.type
class ProductOption:
    id: strawberry.ID
    name: str
    choices: list[str]


@strawberry.type
class OptionValue:
    name: str
    value: str


@strawberry.type
class GroupBuy:
    id: strawberry.ID
    status: str
    size: int
    held: int
    expires_at: datetime

    @strawberry.field
    def remaining(self) -> int:
        return self.size - self.held


@strawberry.type
class Sku:
    key: strawberry.Private[int]
    product_id: strawberry.Private[int]
    id: strawberry.ID
    code: str
    price: Money
    market_price: Money
    options: list[OptionValue]
    weight_g: int

    @classmethod
    def of(cls, row: SkuRow) -> Self:
        return cls(
            key=row.id,
            product_id=row.product_id,
            id=gid("Sku", row.id),
            code=row.code,
            price=Money(amount_minor=row.price_fen),
            market_price=Money(amount_minor=row.market_price_fen),
            options=[OptionValue(name=name, value=value) for name, value in row.options.items()],
            weight_g=row.weight_g,
        )

    @strawberry.field
    async def available(self, info: strawberry.Info) -> int:
        return await load(info, "available", self.key)  # type: ignore[no-any-return]

    @strawberry.field
    async def product(
        self, info: strawberry.Info
    ) -> Annotated["Product", strawberry.lazy("bench.docs_style.app")] | None:
        return await load(info, "product", self.product_id)  # type: ignore[no-any-return]


@strawberry.type
class Product:
    key: strawberry.Private[int]
    supplier_id: strawberry.Private[int]
    category_id: strawberry.Private[int]
    id: strawberry.ID
    title: str
    subtitle: str
    description: str
    image: str
    status: str
    price_range: PriceRange
    sold_count: int
    rating_bp: int
    is_fresh: bool
    return_days: int
    customer_limit: int | None

    @classmethod
    def of(cls, row: ProductRow) -> Self:
        return cls(
            key=row.id,
            supplier_id=row.supplier_id,
            category_id=row.category_id,
            id=gid("Product", row.id),
            title=row.title,
            subtitle=row.subtitle,
            description=row.description,
            image=row.image,
            status=row.status,
            price_range=PriceRange(
                low=Money(amount_minor=row.min_price_fen),
                high=Money(amount_minor=row.max_price_fen),
            ),
            sold_count=row.sold_count,
            rating_bp=row.rating_bp,
            is_fresh=row.is_fresh,
            return_days=row.return_days,
            customer_limit=row.customer_limit,
        )

    @strawberry.field
    async def supplier(self, info: strawberry.Info) -> Supplier | None:
        return await load(info, "supplier", self.supplier_id)  # type: ignore[no-any-return]

    @strawberry.field
    async def category(self, info: strawberry.Info) -> Category | None:
        return await load(info, "category", self.category_id)  # type: ignore[no-any-return]

    @strawberry.field
    async def options(self, info: strawberry.Info) -> list[ProductOption]:
        return await load(info, "options", self.key)  # type: ignore[no-any-return]

    @strawberry.field
    async def skus(self, info: strawberry.Info) -> list[Sku]:
        return await load(info, "skus", self.key)  # type: ignore[no-any-return]

    @strawberry.field
    async def group_buys(self, info: strawberry.Info) -> list[GroupBuy]:
        return await load(info, "group_buys", self.key)  # type: ignore[no-any-return]


@strawberry.type
class ProductConnection:
    nodes: list[Product]
    page_info: PageInfo


@strawberry.type
class CartLine:
    key: strawberry.Private[int]
    sku_id: strawberry.Private[int]
    id: strawberry.ID
    quantity: int
    is_selected: bool

    @strawberry.field
    async def sku(self, info: strawberry.Info) -> Sku | None:
        return await load(info, "sku", self.sku_id)  # type: ignore[no-any-return]

    @strawberry.field
    async def unit_price(self, info: strawberry.Info) -> Money | None:
        return await load(info, "unit_price", self.key)  # type: ignore[no-any-return]


@strawberry.type
class CartCost:
    goods: Money
    shipping: Money
    payable: Money


@strawberry.type
class CartGroup:
    supplier_id: strawberry.Private[int]
    goods: Money

    @strawberry.field
    async def supplier(self, info: strawberry.Info) -> Supplier | None:
        return await load(info, "supplier", self.supplier_id)  # type: ignore[no-any-return]


@strawberry.type
class Priced:
    """What a cart costs, in all and by supplier; read once for both fields."""

    cost: CartCost
    groups: list[CartGroup]


@strawberry.type
class Cart:
    key: strawberry.Private[int]
    id: strawberry.ID
    version: int

    @classmethod
    def of(cls, row: CartRow) -> Self:
        return cls(key=row.id, id=gid("Cart", row.id), version=row.version)

    @strawberry.field
    async def lines(self, info: strawberry.Info) -> list[CartLine]:
        return await load(info, "lines", self.key)  # type: ignore[no-any-return]

    @strawberry.field
    async def cost(self, info: strawberry.Info) -> CartCost:
        priced: Priced = await load(info, "priced", self.key)
        return priced.cost

    @strawberry.field
    async def groups(self, info: strawberry.Info) -> list[CartGroup]:
        priced: Priced = await load(info, "priced", self.key)
        return priced.groups


@strawberry.interface
class Problem:
    code: str
    message: str


@strawberry.type
class Refusal(Problem):
    pass


@strawberry.type
class CartChanged:
    cart: Cart


@strawberry.input
class AddCartLineInput:
    sku_id: strawberry.ID
    quantity: int = 1


@strawberry.type
class Query:
    @strawberry.field
    async def products(
        self,
        info: strawberry.Info,
        first: int = 20,
        after: str | None = None,
        sort: ProductSort = ProductSort.SALES,  # noqa: ARG002  the only one here
    ) -> ProductConnection:
        mall: Mall = info.context["mall"]
        statement = select(ProductRow).where(shown())
        if after is not None:
            place = tuple_(col(ProductRow.sold_count), col(ProductRow.id))
            statement = statement.where(place < tuple(mall.cursors.read(SCOPE, after)))
        ordered = statement.order_by(col(ProductRow.sold_count).desc(), col(ProductRow.id).desc())
        async with AsyncSession(mall.engine) as session:
            rows = (await session.exec(ordered.limit(first + 1))).all()
        page = rows[:first]
        end = mall.cursors.sign(SCOPE, [page[-1].sold_count, page[-1].id]) if page else None
        return ProductConnection(
            nodes=[Product.of(row) for row in page],
            page_info=PageInfo(has_next_page=len(rows) > first, end_cursor=end),
        )

    @strawberry.field
    async def product(self, info: strawberry.Info, id: strawberry.ID) -> Product | None:
        try:
            return await load(info, "product", ids.key_of("Product", id))  # type: ignore[no-any-return]
        except NotFound:
            return None

    @strawberry.field
    async def cart(self, info: strawberry.Info) -> Cart | None:
        mall: Mall = info.context["mall"]
        async with AsyncSession(mall.engine) as session:
            row = await current_cart(session, info.context["viewer"])
        return None if row is None else Cart.of(row)


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def add_cart_line(
        self, info: strawberry.Info, input: AddCartLineInput
    ) -> Annotated[CartChanged | Refusal, strawberry.union("AddCartLineResult")]:
        mall: Mall = info.context["mall"]
        viewer: Viewer = info.context["viewer"]
        try:
            async with mall.writing, AsyncSession(mall.engine, expire_on_commit=False) as session:
                cart = await add_line(session, viewer, input)
                await session.commit()
        except Unauthenticated:
            raise
        except MallError as refused:
            return Refusal(code=refused.code, message=refused.message("zh"))
        return CartChanged(cart=Cart.of(cart))


async def add_line(session: AsyncSession, viewer: Viewer, given: AddCartLineInput) -> CartRow:
    check_quantity(given.quantity)
    account_id = viewer.account_id
    sku = await session.get(SkuRow, ids.key_of("Sku", given.sku_id))
    if sku is None:
        raise NotFound("Sku")
    product = await session.get_one(ProductRow, sku.product_id)
    supplier = await session.get_one(SupplierRow, sku.supplier_id)
    if not is_on_sale(sku.status, product.status, supplier.status):
        raise SkuUnavailable(sku.id)
    now = utc_now()
    cart = await current_cart(session, viewer)
    if cart is None:
        cart = CartRow(account_id=account_id, updated_at=now)
        session.add(cart)
        await session.flush()
    cart.version += 1
    cart.updated_at = now
    mine = select(CartLineRow).where(CartLineRow.cart_id == cart.id, CartLineRow.sku_id == sku.id)
    line = (await session.exec(mine)).first()
    if line is None:
        line = CartLineRow(
            cart_id=cart.id,
            sku_id=sku.id,
            quantity=given.quantity,
            price_when_added_fen=sku.price_fen,
            added_at=now,
        )
    else:
        line.quantity += given.quantity
        line.price_when_added_fen = sku.price_fen
        line.is_selected = True
    session.add_all([cart, line])
    await session.flush()
    await check_line(session, account_id, product, line)
    return cart


async def check_line(
    session: AsyncSession, account_id: int, product: ProductRow, line: CartLineRow
) -> None:
    check_quantity(line.quantity)
    if product.customer_limit is not None:
        in_cart = await session.exec(
            select(func.sum(CartLineRow.quantity))
            .join(SkuRow, col(SkuRow.id) == CartLineRow.sku_id)
            .where(CartLineRow.cart_id == line.cart_id, SkuRow.product_id == product.id)
        )
        bought = await session.exec(
            select(func.coalesce(func.sum(OrderLineRow.quantity), 0))
            .join(OrderRow, col(OrderRow.id) == OrderLineRow.order_id)
            .where(
                OrderRow.buyer_id == account_id,
                col(OrderRow.status).not_in(("CANCELLED", "CLOSED")),
                OrderLineRow.product_id == product.id,
            )
        )
        most = max(0, product.customer_limit - bought.one())
        if in_cart.one() > most:
            raise LimitExceeded(most)
    stock = (await session.exec(select(StockRow).where(StockRow.sku_id == line.sku_id))).first()
    free = 0 if stock is None else units_of(stock)
    if line.quantity > free:
        raise OutOfStock(line.sku_id, free)


async def current_cart(session: AsyncSession, viewer: Viewer) -> CartRow | None:
    mine = select(CartRow).where(CartRow.account_id == viewer.id, CartRow.status == "ACTIVE")
    return (await session.exec(mine)).first()


class Mall:
    """The engine, and what each data loader reads."""

    def __init__(self, file: str, secret: str) -> None:
        self.engine = engine_of(file)
        self.tokens, self.cursors = Tokens(secret, utc_now), CursorSigner(secret)
        self.writing = asyncio.Lock()  # SQLite has one writer: the others wait here

    def loaders(self, viewer: Viewer) -> dict[str, DataLoader[int, Any]]:
        """Fresh ones for each request."""
        reads: dict[str, Callable[[list[int]], Awaitable[Sequence[Any]]]] = {
            "supplier": self.suppliers,
            "category": self.categories,
            "product": self.products,
            "sku": self.skus,
            "options": self.options_of,
            "skus": self.skus_of,
            "group_buys": lambda keys: self.groups_of(keys, viewer),
            "available": self.available,
            "lines": self.lines_of,
            "unit_price": self.unit_prices,
            "priced": lambda keys: self.priced(keys, viewer),
        }
        return {name: DataLoader(load_fn=read) for name, read in reads.items()}

    async def all(self, statement: Any) -> Sequence[Any]:
        async with AsyncSession(self.engine) as session:
            return (await session.exec(statement)).all()  # type: ignore[no-any-return]

    async def suppliers(self, keys: list[int]) -> list[Supplier | None]:
        visible = select(SupplierRow).where(SupplierRow.status == "APPROVED")
        rows = await self.all(visible.where(col(SupplierRow.id).in_(keys)))
        return in_order(keys, {row.id: Supplier.of(row) for row in rows})

    async def categories(self, keys: list[int]) -> list[Category | None]:
        rows = await self.all(select(CategoryRow).where(col(CategoryRow.id).in_(keys)))
        found = {row.id: Category(id=gid("Category", row.id), name=row.name) for row in rows}
        return in_order(keys, found)

    async def products(self, keys: list[int]) -> list[Product | None]:
        rows = await self.all(select(ProductRow).where(col(ProductRow.id).in_(keys), shown()))
        return in_order(keys, {row.id: Product.of(row) for row in rows})

    async def skus(self, keys: list[int]) -> list[Sku | None]:
        rows = await self.all(
            select(SkuRow)
            .join(ProductRow, col(ProductRow.id) == SkuRow.product_id)
            .where(col(SkuRow.id).in_(keys), SkuRow.status == "ON_SALE", shown())
        )
        return in_order(keys, {row.id: Sku.of(row) for row in rows})

    async def options_of(self, keys: list[int]) -> list[list[ProductOption]]:
        rows = await self.all(
            select(ProductOptionRow)
            .where(col(ProductOptionRow.product_id).in_(keys))
            .order_by(col(ProductOptionRow.sort), col(ProductOptionRow.id))
        )
        return by_parent(
            keys,
            (
                (
                    row.product_id,
                    ProductOption(
                        id=gid("ProductOption", row.id), name=row.name, choices=row.choices
                    ),
                )
                for row in rows
            ),
            limit=10,
        )

    async def skus_of(self, keys: list[int]) -> list[list[Sku]]:
        rows = await self.all(
            select(SkuRow)
            .where(col(SkuRow.product_id).in_(keys), SkuRow.status == "ON_SALE")
            .order_by(col(SkuRow.id))
        )
        return by_parent(keys, ((row.product_id, Sku.of(row)) for row in rows), limit=100)

    async def groups_of(self, keys: list[int], viewer: Viewer) -> list[list[GroupBuy]]:
        may_see = or_(col(GroupBuyRow.paid_count) > 0, GroupBuyRow.leader_id == viewer.id)
        rows = await self.all(
            select(GroupBuyRow)
            .where(col(GroupBuyRow.product_id).in_(keys), GroupBuyRow.status == "OPEN", may_see)
            .order_by(col(GroupBuyRow.expires_at), col(GroupBuyRow.id))
        )
        return by_parent(
            keys,
            (
                (
                    row.product_id,
                    GroupBuy(
                        id=gid("GroupBuy", row.id),
                        status=row.status,
                        size=row.size,
                        held=row.held_count,
                        expires_at=row.expires_at.astimezone(UTC),
                    ),
                )
                for row in rows
            ),
            limit=10,
        )

    async def available(self, keys: list[int]) -> list[int]:
        rows = await self.all(select(StockRow).where(col(StockRow.sku_id).in_(keys)))
        found = {row.sku_id: units_of(row) for row in rows}
        return [found.get(key, 0) for key in keys]

    async def lines_of(self, keys: list[int]) -> list[list[CartLine]]:
        rows = await self.all(
            select(CartLineRow)
            .where(col(CartLineRow.cart_id).in_(keys))
            .order_by(col(CartLineRow.id))
        )
        return by_parent(
            keys,
            (
                (
                    row.cart_id,
                    CartLine(
                        key=row.id,
                        sku_id=row.sku_id,
                        id=gid("CartLine", row.id),
                        quantity=row.quantity,
                        is_selected=row.is_selected,
                    ),
                )
                for row in rows
            ),
            limit=100,
        )

    async def unit_prices(self, keys: list[int]) -> list[Money | None]:
        rows = await self.all(lines_with_goods().where(col(CartLineRow.id).in_(keys)))
        found = {
            line.id: Money(amount_minor=price_of(sku, room, offer))
            for line, sku, _, _, room, offer in rows
        }
        return in_order(keys, found)

    async def priced(self, keys: list[int], viewer: Viewer) -> list[Priced]:
        addresses = await self.all(
            select(AddressRow)
            .where(AddressRow.account_id == viewer.id)
            .order_by(col(AddressRow.is_default).desc(), col(AddressRow.id))
            .limit(1)
        )
        province = addresses[0].province if addresses else None
        rows = await self.all(lines_with_goods().where(col(CartLineRow.cart_id).in_(keys)))
        return [price([row for row in rows if row[0].cart_id == key], province) for key in keys]


def price(rows: Sequence[Any], province: str | None) -> Priced:
    """By the mall's own rule."""
    items, terms = [], {}
    for line, sku, product, supplier, room, offer in rows:
        terms[supplier.id] = ShippingTerms(
            supplier.shipping_fen, supplier.remote_surcharge_fen, supplier.free_shipping_from_fen
        )
        if line.is_selected and is_on_sale(sku.status, product.status, supplier.status):
            unit_fen = price_of(sku, room, offer)
            items.append(Item(line.id, sku.id, supplier.id, line.quantity, unit_fen))
    counted = quote(items, terms, province=province)
    goods = {parcel.supplier_id: parcel.goods_fen for parcel in counted.parcels}
    return Priced(
        cost=CartCost(
            goods=Money(amount_minor=counted.goods_fen),
            shipping=Money(amount_minor=counted.shipping_fen),
            payable=Money(amount_minor=counted.payable_fen),
        ),
        groups=[
            CartGroup(supplier_id=key, goods=Money(amount_minor=goods.get(key, 0)))
            for key in sorted(terms)
        ],
    )


def lines_with_goods() -> Any:
    chosen: Any = select(  # type: ignore[call-overload]  # SQLModel types four entities at most
        CartLineRow, SkuRow, ProductRow, SupplierRow, LiveRoomRow, LiveProductRow
    )
    offered = and_(
        LiveProductRow.room_id == CartLineRow.live_room_id,
        LiveProductRow.sku_id == CartLineRow.sku_id,
    )
    return (
        chosen.join(SkuRow, SkuRow.id == CartLineRow.sku_id)
        .join(ProductRow, ProductRow.id == SkuRow.product_id)
        .join(SupplierRow, SupplierRow.id == SkuRow.supplier_id)
        .outerjoin(LiveRoomRow, LiveRoomRow.id == CartLineRow.live_room_id)
        .outerjoin(LiveProductRow, offered)
        .order_by(CartLineRow.id)
    )


def price_of(sku: SkuRow, room: LiveRoomRow | None, offer: LiveProductRow | None) -> int:
    live_fen = None if offer is None else offer.live_price_fen
    return honoured_price(sku.price_fen, live_fen, None if room is None else room.status)


def units_of(stock: StockRow) -> int:
    return Units(stock.on_hand, stock.allocated, stock.reserved, stock.shortfall).available


def gid(kind: str, key: int) -> strawberry.ID:
    return strawberry.ID(ids.encode(kind, key))


def in_order(keys: Sequence[int], found: dict[int, Any]) -> list[Any]:
    return [found.get(key) for key in keys]


def by_parent(keys: Sequence[int], pairs: Iterable[tuple[int, Any]], *, limit: int) -> list[Any]:
    found: dict[int, list[Any]] = defaultdict(list)
    for parent, child in pairs:
        found[parent].append(child)
    return [found[key][:limit] for key in keys]


def load(info: strawberry.Info, name: str, key: int) -> Any:
    return info.context["loaders"][name].load(key)


def engine_of(file: str) -> AsyncEngine:
    engine = create_async_engine(f"sqlite+aiosqlite:///{file}")

    @event.listens_for(engine.sync_engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    return engine


class App(GraphQL[dict[str, Any], None]):
    def __init__(self, mall: Mall) -> None:
        super().__init__(strawberry.Schema(query=Query, mutation=Mutation, types=[Refusal]))
        self._mall = mall

    async def get_context(
        self,
        request: Request | WebSocket,
        response: Response | WebSocket,  # noqa: ARG002
    ) -> dict[str, Any]:
        given = request.headers.get("authorization")
        viewer = self._mall.tokens.read(given.partition(" ")[2]) if given else Viewer()
        return {"mall": self._mall, "viewer": viewer, "loaders": self._mall.loaders(viewer)}


def from_environment() -> App:
    """What uvicorn's --factory calls."""
    return App(Mall(os.environ[DATABASE], os.environ[SECRET]))
