"""The yardstick: the measured operations as plain routes, written by hand for speed.

What it does: the same bytes as Jishi's operations, the same rules about who sees what, the same
bearer check, the same refusals of a full cart, one transaction a change. Global ids, cursors,
tokens and the rules of money are the mall's own; everything else is SQL for exactly these answers,
joined where Jishi reads level by level, on one connection that runs in the event loop.

What it does not: choose fields, take any other operation, log, limit, cache, serve guests' carts or
PostgreSQL. A statement that waits makes every other request wait with it.
"""

import os
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app import ids, money
from app.auth import Tokens, Viewer
from app.clock import utc_now
from app.errors import (
    BadUserInput,
    InvalidToken,
    LimitExceeded,
    MallError,
    NotFound,
    OutOfStock,
    RequestError,
    SkuUnavailable,
    Unauthenticated,
)
from app.ids import CursorSigner
from app.rules.pricing import Item, Quote, ShippingTerms, honoured_price, quote
from app.rules.stock import Units, check_quantity, is_on_sale

DATABASE = "BENCH_DATABASE"  # names of environment variables
SECRET = "JISHI_SECRET"  # noqa: S105
_SCOPE = "products:SALES:"
_LINES = 100  # of a cart, as many as Jishi shows

_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=5000",
    "PRAGMA temp_store=MEMORY",
)
# walks the index from the best seller down; the plus keeps SQLite from looking up the status
_PRODUCTS_AFTER = """
SELECT p.id, p.title, p.subtitle, p.image, p.status, p.min_price_fen, p.max_price_fen,
  p.sold_count, p.rating_bp, s.id, s.name
FROM products p CROSS JOIN suppliers s ON s.id = p.supplier_id AND s.status = 'APPROVED'
WHERE +p.status IN ('ON_SALE', 'PRE_SALE') AND (p.sold_count, p.id) < (:sold, :key)
ORDER BY p.sold_count DESC, p.id DESC LIMIT :size
"""
_PRODUCTS = _PRODUCTS_AFTER.replace(" AND (p.sold_count, p.id) < (:sold, :key)", "")
_PRODUCT = """
SELECT p.title, p.subtitle, p.description, p.image, p.status, p.min_price_fen, p.max_price_fen,
  p.sold_count, p.rating_bp, p.is_fresh, p.return_days, p.customer_limit,
  s.id, s.name, s.rating_bp, s.ship_from, s.shipping_fen, c.id, c.name
FROM products p JOIN suppliers s ON s.id = p.supplier_id JOIN categories c ON c.id = p.category_id
WHERE p.id = ? AND p.status IN ('ON_SALE', 'PRE_SALE') AND s.status = 'APPROVED'
"""
_OPTIONS = """
SELECT id, name, choices FROM product_options WHERE product_id = ? ORDER BY sort, id LIMIT 10
"""
_SKUS = """
SELECT k.id, k.code, k.price_fen, k.market_price_fen, k.options, k.weight_g,
  coalesce(t.on_hand, 0), coalesce(t.allocated, 0), coalesce(t.reserved, 0),
  coalesce(t.shortfall, 0)
FROM skus k LEFT JOIN stocks t ON t.sku_id = k.id
WHERE k.product_id = ? AND k.status = 'ON_SALE' ORDER BY k.id LIMIT 100
"""
_GROUPS = """
SELECT id, status, size, held_count, expires_at FROM group_buy_groups
WHERE product_id = ? AND status = 'OPEN' AND (paid_count > 0 OR leader_id = ?)
ORDER BY expires_at, id LIMIT 10
"""
_CART = """
SELECT c.id, c.version, (SELECT a.province FROM addresses a WHERE a.account_id = c.account_id
  ORDER BY a.is_default DESC, a.id LIMIT 1)
FROM carts c WHERE c.account_id = ? AND c.status = 'ACTIVE'
"""
_CART_LINES = """
SELECT l.id, l.sku_id, k.supplier_id, l.quantity, k.price_fen, v.live_price_fen, r.status,
  k.status, p.status, s.status, l.is_selected, s.shipping_fen, s.remote_surcharge_fen,
  s.free_shipping_from_fen, k.code, p.id, p.title, p.image, s.name
FROM cart_lines l JOIN skus k ON k.id = l.sku_id JOIN products p ON p.id = k.product_id
JOIN suppliers s ON s.id = k.supplier_id LEFT JOIN live_rooms r ON r.id = l.live_room_id
LEFT JOIN live_products v ON v.room_id = l.live_room_id AND v.sku_id = l.sku_id
WHERE l.cart_id = ? ORDER BY l.id
"""
_COST_LINES = """
SELECT l.id, l.sku_id, k.supplier_id, l.quantity, k.price_fen, v.live_price_fen, r.status,
  k.status, p.status, s.status, l.is_selected, s.shipping_fen, s.remote_surcharge_fen,
  s.free_shipping_from_fen
FROM cart_lines l JOIN skus k ON k.id = l.sku_id JOIN products p ON p.id = k.product_id
JOIN suppliers s ON s.id = k.supplier_id LEFT JOIN live_rooms r ON r.id = l.live_room_id
LEFT JOIN live_products v ON v.room_id = l.live_room_id AND v.sku_id = l.sku_id
WHERE l.cart_id = ? ORDER BY l.id
"""
_SELLABLE = """
SELECT k.product_id, k.price_fen, k.status, p.status, s.status, p.customer_limit,
  coalesce(t.on_hand, 0), coalesce(t.allocated, 0), coalesce(t.reserved, 0),
  coalesce(t.shortfall, 0)
FROM skus k JOIN products p ON p.id = k.product_id JOIN suppliers s ON s.id = k.supplier_id
LEFT JOIN stocks t ON t.sku_id = k.id WHERE k.id = ?
"""
_LIVE_OFFER = """
SELECT v.live_price_fen, r.status FROM live_products v JOIN live_rooms r ON r.id = v.room_id
WHERE v.room_id = ? AND v.sku_id = ?
"""
_TOUCHED_CART = """
INSERT INTO carts (account_id, status, version, updated_at) VALUES (?, 'ACTIVE', 1, ?)
ON CONFLICT (account_id) WHERE status = 'ACTIVE'
DO UPDATE SET version = version + 1, updated_at = excluded.updated_at RETURNING id
"""
_PUT = """
INSERT INTO cart_lines (cart_id, sku_id, quantity, price_when_added_fen, live_room_id, added_at,
  is_selected) VALUES (?, ?, ?, ?, ?, ?, 1)
ON CONFLICT (cart_id, sku_id) DO UPDATE SET quantity = quantity + excluded.quantity,
  price_when_added_fen = excluded.price_when_added_fen,
  live_room_id = coalesce(excluded.live_room_id, live_room_id), is_selected = 1
RETURNING quantity
"""
_IN_CART = """
SELECT sum(l.quantity) FROM cart_lines l JOIN skus k ON k.id = l.sku_id
WHERE l.cart_id = ? AND k.product_id = ?
"""
_BOUGHT = """
SELECT coalesce(sum(l.quantity), 0) FROM order_lines l JOIN orders o ON o.id = l.order_id
WHERE o.buyer_id = ? AND o.status NOT IN ('CANCELLED', 'CLOSED') AND l.product_id = ?
"""

Handler = Callable[[Request], Awaitable[Response]]


class Routes:
    """One connection, held open, in the thread of the event loop."""

    def __init__(self, file: str, secret: str) -> None:
        self._tokens, self._cursors = Tokens(secret, utc_now), CursorSigner(secret)
        self._db = sqlite3.connect(file, isolation_level=None)
        for pragma in _PRAGMAS:
            self._db.execute(pragma)
        self._ready = self._page(24, None)

    async def products(self, request: Request) -> Response:
        variables = await _variables(request)
        first = variables["first"]
        if not 1 <= first <= 100:
            raise BadUserInput("first", "须在 1 到 100 之间", "must be from 1 to 100")
        return _answer(self._page(first, variables.get("after")))

    async def ready(self, _request: Request) -> Response:
        return _answer(self._ready)

    async def product(self, request: Request) -> Response:
        variables = await _variables(request)
        viewer = self._viewer(request)
        try:
            key = ids.key_of("Product", variables["id"])
        except NotFound:
            return _answer(b'{"data":{"product":null}}')
        execute = self._db.execute
        execute("BEGIN")
        try:
            found = execute(_PRODUCT, (key,)).fetchone()
            options = execute(_OPTIONS, (key,)).fetchall()
            skus = execute(_SKUS, (key,)).fetchall()
            groups = execute(_GROUPS, (key, viewer.id)).fetchall()
        finally:
            execute("COMMIT")
        product = None if found is None else _product(key, found, options, skus, groups)
        return _answer(orjson.dumps({"data": {"product": product}}))

    async def cart(self, request: Request) -> Response:
        viewer = self._viewer(request)
        execute = self._db.execute
        execute("BEGIN")
        try:
            found = execute(_CART, (viewer.id,)).fetchone()
            lines = [] if found is None else execute(_CART_LINES, (found[0],)).fetchall()
        finally:
            execute("COMMIT")
        cart = None if found is None else _cart(found, lines)
        return _answer(orjson.dumps({"data": {"cart": cart}}))

    async def add(self, request: Request) -> Response:
        variables = await _variables(request)
        viewer = self._viewer(request)
        if viewer.id is None:
            raise Unauthenticated
        execute = self._db.execute
        execute("BEGIN IMMEDIATE")
        try:
            cart_id = self._put(viewer.id, variables["input"])
            found = execute(_CART, (viewer.id,)).fetchone()
            lines = execute(_COST_LINES, (cart_id,)).fetchall()
            execute("COMMIT")
        except BaseException:
            execute("ROLLBACK")
            raise
        changed = {
            "id": ids.encode("Cart", cart_id),
            "version": found[1],
            "lines": [
                {"id": ids.encode("CartLine", line[0]), "quantity": line[3]}
                for line in lines[:_LINES]
            ],
            "cost": {"payable": {"amountMinor": _quote(lines, found[2]).payable_fen}},
        }
        return _answer(orjson.dumps({"data": {"addCartLine": {"cart": changed}}}))

    def close(self) -> None:
        self._db.close()

    def _viewer(self, request: Request) -> Viewer:
        given = request.headers.get("authorization")
        if not given:
            return Viewer()
        scheme, _, token = given.partition(" ")
        if scheme.lower() != "bearer":
            raise InvalidToken
        return self._tokens.read(token.strip())

    def _page(self, first: int, after: str | None) -> bytes:
        if after is None:
            rows = self._db.execute(_PRODUCTS, {"size": first + 1}).fetchall()
        else:
            sold, key = self._cursors.read(_SCOPE, after)
            place = {"sold": sold, "key": key, "size": first + 1}
            rows = self._db.execute(_PRODUCTS_AFTER, place).fetchall()
        page = rows[:first]
        nodes = [
            {
                "id": ids.encode("Product", key),
                "title": title,
                "subtitle": subtitle,
                "image": image,
                "status": status,
                "priceRange": {
                    "low": {"amountMinor": low, "formatted": money.formatted(low)},
                    "high": {"amountMinor": high, "formatted": money.formatted(high)},
                },
                "soldCount": sold,
                "ratingBp": rating,
                "supplier": {"id": ids.encode("Supplier", supplier_id), "name": name},
            }
            for (
                key, title, subtitle, image, status, low, high, sold, rating, supplier_id, name,
            ) in page
        ]  # fmt: skip
        end = self._cursors.sign(_SCOPE, [page[-1][7], page[-1][0]]) if page else None
        info = {"hasNextPage": len(rows) > first, "endCursor": end}
        return orjson.dumps({"data": {"products": {"nodes": nodes, "pageInfo": info}}})

    def _put(self, account_id: int, given: dict[str, Any]) -> int:
        """Puts units into the account's cart; raises what `app.services.carts.add_line` does."""
        sku_id, quantity, room = (
            ids.key_of("Sku", given["skuId"]),
            given.get("quantity", 1),
            given.get("liveRoomId"),
        )
        room_id = None if room is None else ids.key_of("LiveRoom", room)
        check_quantity(quantity)
        execute, now = self._db.execute, _stored(utc_now())
        sku = execute(_SELLABLE, (sku_id,)).fetchone()
        if sku is None:
            raise NotFound("Sku")
        product_id, price_fen, status, product_status, supplier_status, limit, *units = sku
        if not is_on_sale(status, product_status, supplier_status):
            raise SkuUnavailable(sku_id)
        if room_id is not None:
            offer = execute(_LIVE_OFFER, (room_id, sku_id)).fetchone()
            if offer is None:
                raise NotFound("LiveRoom")
            price_fen = honoured_price(price_fen, *offer)
            room_id = room_id if offer[1] == "LIVE" else None
        ((cart_id,),) = execute(_TOUCHED_CART, (account_id, now))
        ((total,),) = execute(_PUT, (cart_id, sku_id, quantity, price_fen, room_id, now))
        check_quantity(total)
        if limit is not None:
            (in_cart,) = execute(_IN_CART, (cart_id, product_id)).fetchone()
            (bought,) = execute(_BOUGHT, (account_id, product_id)).fetchone()
            if in_cart > max(0, limit - bought):
                raise LimitExceeded(max(0, limit - bought))
        free = Units(*units).available
        if total > free:
            raise OutOfStock(sku_id, free)
        return int(cart_id)


def create_app(file: str, secret: str) -> Starlette:
    routes = Routes(file, secret)

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, MallError)
        if isinstance(error, RequestError):
            told = {"message": error.message("zh"), "extensions": {"code": error.code}}
            return _answer(orjson.dumps({"errors": [told]}), 401)
        told = {"code": error.code, "message": error.message("zh")}
        return _answer(orjson.dumps({"data": {_FIELDS[request.url.path]: told}}))

    paths: dict[str, Handler] = {
        "/q1": routes.products,
        "/q2": routes.product,
        "/q3": routes.cart,
        "/m1": routes.add,
        "/ready": routes.ready,
    }
    made = Starlette(
        routes=[Route(path, handler, methods=["POST"]) for path, handler in paths.items()],
        exception_handlers={MallError: refused},
    )
    made.state.routes = routes
    return made


_FIELDS = {"/m1": "addCartLine"}


def from_environment() -> Starlette:
    """What uvicorn's --factory calls."""
    return create_app(os.environ[DATABASE], os.environ[SECRET])


async def _variables(request: Request) -> dict[str, Any]:
    variables: dict[str, Any] = orjson.loads(await request.body())["variables"]
    return variables


def _answer(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type="application/json")


def _product(
    key: int, found: Any, options: list[Any], skus: list[Any], groups: list[Any]
) -> dict[str, Any]:
    (
        title, subtitle, description, image, status, low, high, sold, rating, is_fresh, days, limit,
        supplier_id, supplier, supplier_rating, ship_from, shipping, category_id, category,
    ) = found  # fmt: skip
    return {
        "id": ids.encode("Product", key),
        "title": title,
        "subtitle": subtitle,
        "description": description,
        "image": image,
        "status": status,
        "priceRange": {
            "low": {"amountMinor": low, "formatted": money.formatted(low)},
            "high": {"amountMinor": high, "formatted": money.formatted(high)},
        },
        "soldCount": sold,
        "ratingBp": rating,
        "isFresh": bool(is_fresh),
        "returnDays": days,
        "customerLimit": limit,
        "supplier": {
            "id": ids.encode("Supplier", supplier_id),
            "name": supplier,
            "ratingBp": supplier_rating,
            "shipFrom": ship_from,
            "shipping": {"amountMinor": shipping},
        },
        "category": {"id": ids.encode("Category", category_id), "name": category},
        "options": [
            {"id": ids.encode("ProductOption", one), "name": name, "choices": orjson.loads(choices)}
            for one, name, choices in options
        ],
        "skus": [
            {
                "id": ids.encode("Sku", one),
                "code": code,
                "price": {"amountMinor": price, "formatted": money.formatted(price)},
                "marketPrice": {"amountMinor": market},
                "options": [
                    {"name": name, "value": value} for name, value in orjson.loads(chosen).items()
                ],
                "available": Units(*units).available,
                "weightG": weight,
            }
            for one, code, price, market, chosen, weight, *units in skus
        ],
        "groupBuys": [
            {
                "id": ids.encode("GroupBuy", one),
                "status": status,
                "size": size,
                "held": held,
                "remaining": size - held,
                "expiresAt": _shown(expires_at),
            }
            for one, status, size, held, expires_at in groups
        ],
    }


def _cart(found: tuple[int, int, str | None], lines: list[Any]) -> dict[str, Any]:
    cart_id, version, province = found
    counted = _quote(lines, province)
    goods = {parcel.supplier_id: parcel.goods_fen for parcel in counted.parcels}
    suppliers = {line[2]: (line[9] == "APPROVED", line[18]) for line in lines}
    return {
        "id": ids.encode("Cart", cart_id),
        "version": version,
        "lines": [_line(*line) for line in lines[:_LINES]],
        "cost": {
            "goods": {"amountMinor": counted.goods_fen},
            "shipping": {"amountMinor": counted.shipping_fen},
            "payable": {"amountMinor": counted.payable_fen},
        },
        "groups": [
            {
                "supplier": {"id": ids.encode("Supplier", key), "name": name} if shown else None,
                "goods": {"amountMinor": goods.get(key, 0)},
            }
            for key, (shown, name) in sorted(suppliers.items())
        ],
    }


def _line(
    key: int, sku_id: int, supplier_id: int, quantity: int, price: int, live_price: int | None,
    room: str | None, status: str, product_status: str, supplier_status: str, is_selected: int,
    _fee: int, _surcharge: int, _free_from: int | None, code: str, product_id: int, title: str,
    image: str, supplier: str,
) -> dict[str, Any]:  # fmt: skip
    sku = None
    if is_on_sale(status, product_status, supplier_status):
        sku = {
            "id": ids.encode("Sku", sku_id),
            "code": code,
            "price": {"amountMinor": price},
            "product": {
                "id": ids.encode("Product", product_id),
                "title": title,
                "image": image,
                "supplier": {"id": ids.encode("Supplier", supplier_id), "name": supplier},
            },
        }
    return {
        "id": ids.encode("CartLine", key),
        "quantity": quantity,
        "isSelected": bool(is_selected),
        "unitPrice": {"amountMinor": honoured_price(price, live_price, room)},
        "sku": sku,
    }


def _quote(lines: list[Any], province: str | None) -> Quote:
    """The mall's own rule over the selected lines that are on sale."""
    items = [
        Item(line[0], line[1], line[2], line[3], honoured_price(*line[4:7]))
        for line in lines
        if line[10] and is_on_sale(*line[7:10])
    ]
    terms = {line[2]: ShippingTerms(*line[11:14]) for line in lines}
    return quote(items, terms, province=province)


def _stored(now: datetime) -> str:
    """An instant as SQLAlchemy writes it."""
    return now.replace(tzinfo=None).isoformat(" ", "microseconds")


def _shown(stored: str) -> str:
    return datetime.fromisoformat(stored).replace(tzinfo=UTC).isoformat()
