"""Distributors as clients see them."""

import strawberry

from app.services import distributors
from schema.fields import Entity, column, entity, key


@entity("分销商店铺。A distributor's shop.", visible_to=distributors.visible_to)
class Distributor(Entity):
    id: strawberry.ID = key()
    shop_name: str = column("店名。Name of the shop.")
    slug: str = column("店铺短名。Short name in links.")
    level: int = column("层级，1 或 2。Tier, 1 or 2.")
