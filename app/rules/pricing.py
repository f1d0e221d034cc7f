"""What goods cost: their price, shipping per supplier, discounts, and the share of each line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from app import money

REMOTE_PROVINCES = ("新疆", "西藏")  # the seed's surcharge provinces, DOMAIN 6


class Item(NamedTuple):
    """Units of one SKU; `key` tells items apart and breaks ties (a cart line's id)."""

    key: int
    sku_id: int
    supplier_id: int
    quantity: int
    unit_price_fen: int

    @property
    def goods_fen(self) -> int:
        return self.quantity * self.unit_price_fen


class ShippingTerms(NamedTuple):
    """One supplier's fees; goods from `free_from_fen` on travel free, never without a surcharge."""

    fee_fen: int
    remote_surcharge_fen: int
    free_from_fen: int | None


class QuotedLine(NamedTuple):
    item: Item
    shipping_fen: int
    discount_fen: int

    @property
    def payable_fen(self) -> int:
        return self.item.goods_fen + self.shipping_fen - self.discount_fen


class Parcel(NamedTuple):
    """The part of a quote that one supplier fulfils: an order to be."""

    supplier_id: int
    lines: tuple[QuotedLine, ...]
    goods_fen: int
    shipping_fen: int

    @property
    def discount_fen(self) -> int:
        return sum(line.discount_fen for line in self.lines)

    @property
    def payable_fen(self) -> int:
        return sum(line.payable_fen for line in self.lines)


@dataclass(frozen=True, slots=True)
class Quote:
    parcels: tuple[Parcel, ...]

    @property
    def goods_fen(self) -> int:
        return sum(parcel.goods_fen for parcel in self.parcels)

    @property
    def shipping_fen(self) -> int:
        return sum(parcel.shipping_fen for parcel in self.parcels)

    @property
    def discount_fen(self) -> int:
        return sum(parcel.discount_fen for parcel in self.parcels)

    @property
    def payable_fen(self) -> int:
        return sum(parcel.payable_fen for parcel in self.parcels)


def honoured_price(price_fen: int, live_price_fen: int | None, room_status: str | None) -> int:
    """The price of a unit: a live room's price holds while the room is live, never after."""
    if live_price_fen is not None and is_offered(live_price_fen, room_status):
        return live_price_fen
    return price_fen


def is_offered(live_price_fen: int | None, room_status: str | None) -> bool:
    """Whether a room sells this now: it is live, and the goods are on its shelf."""
    return live_price_fen is not None and room_status == "LIVE"


def is_remote(province: str | None) -> bool:
    return province is not None and province.startswith(REMOTE_PROVINCES)


def shipping_fee(terms: ShippingTerms, goods_fen: int, province: str | None) -> int:
    """What one supplier asks for sending goods of that worth; nothing for no goods."""
    if goods_fen == 0:
        return 0
    is_free = terms.free_from_fen is not None and goods_fen >= terms.free_from_fen
    fee_fen = 0 if is_free else terms.fee_fen
    return fee_fen + (terms.remote_surcharge_fen if is_remote(province) else 0)


def quote(
    items: Sequence[Item],
    terms: Mapping[int, ShippingTerms],
    *,
    province: str | None,
    discount_fen: int = 0,
) -> Quote:
    """Splits items per supplier and every amount per line, to the fen (DOMAIN 3.2, 4).

    Shares go by the worth of the lines, ties by `key`; `terms` is keyed by supplier. Raises
    ValueError for a discount that the goods cannot bear.
    """
    ordered = sorted(items, key=attrgetter("supplier_id", "key"))
    if not 0 <= discount_fen <= sum(item.goods_fen for item in ordered):
        raise ValueError("a discount lies between nothing and the goods")
    by_key = sorted(ordered, key=attrgetter("key"))
    weights = [item.goods_fen for item in by_key]
    shares = money.split(discount_fen, weights) if by_key else []
    discounts = dict(zip((item.key for item in by_key), shares, strict=True))
    return Quote(
        tuple(
            _parcel(supplier_id, tuple(group), terms[supplier_id], province, discounts)
            for supplier_id, group in groupby(ordered, key=attrgetter("supplier_id"))
        )
    )


def _parcel(
    supplier_id: int,
    items: tuple[Item, ...],
    terms: ShippingTerms,
    province: str | None,
    discounts: Mapping[int, int],
) -> Parcel:
    worth = [item.goods_fen for item in items]
    goods_fen = sum(worth)
    fee_fen = shipping_fee(terms, goods_fen, province)
    shares = money.split(fee_fen, worth)
    lines = [
        QuotedLine(item, share, discounts[item.key])
        for item, share in zip(items, shares, strict=True)
    ]
    return Parcel(supplier_id, tuple(lines), goods_fen, fee_fen)
