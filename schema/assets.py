"""Uploaded pictures as clients see them."""

from datetime import datetime

import strawberry

from app.services import assets
from schema.fields import Entity, column, computed, entity, key


def url_of(link: str) -> str:
    return f"/assets/{link}"


@entity("上传的图片，本人可见。An uploaded picture, its owner's.", visible_to=assets.visible_to)
class Asset(Entity):
    id: strawberry.ID = key()
    media_type: str = column("媒体类型。image/jpeg or image/png.")
    bytes: int = column("字节数。Size in bytes.", name="size_bytes")
    width: int = column("宽（像素）。Width in pixels.")
    height: int = column("高（像素）。Height in pixels.")
    url: str = computed(
        "link", by=url_of, description="地址；知道地址者可见。Whoever has it may see the picture."
    )
    created_at: datetime = column("上传时间。When it was uploaded.")
