"""Free units over websockets: told once to all who follow the same SKUs, in the roles they have."""

import pytest

from app.auth import Role
from tests.serving import Server, Socket, gid

pytestmark = pytest.mark.asyncio(loop_scope="module")

FOLLOW = """subscription($skus: [ID!]!, $after: String) {
  stockUpdated(skuIds: $skus, after: $after) {
    ... on StreamEvent { cursor } ... on StockUpdate { levels { available } } } }"""


async def heard(mine: Socket) -> tuple[list[int], str]:
    told = await mine.data("1", "stockUpdated")
    return [one["available"] for one in told["levels"]], told["cursor"]


async def test_who_follows_the_same_skus_hears_the_same_and_others_nothing(server: Server) -> None:
    mall = server.mall
    product, other = await mall.product(stock=9), await mall.product(stock=5)
    token = server.resources.tokens.issue(await mall.account(Role.SUPPLIER, subject_id=1))
    given = {"skus": [gid("Sku", product.sku_id)]}
    async with (
        server.socket() as one,
        server.socket(token) as two,
        server.socket() as third,
    ):
        for socket in (one, two):
            await socket.start("1", FOLLOW, given)
            assert (await heard(socket))[0] == [9]
        await third.start("1", FOLLOW, {"skus": [gid("Sku", other.sku_id)]})
        assert (await heard(third))[0] == [5]
        for left in (8, 7):
            await mall.order(await mall.consumer(), product.sku_id)
            told = [await heard(socket) for socket in (one, two)]
            assert [levels for levels, _ in told] == [[left]] * 2
            assert told[0] == told[1]
        await mall.order(await mall.consumer(), other.sku_id, 2)
        assert (await heard(third))[0] == [3]
    await server.deserted("stock")


async def test_what_concerns_others_is_no_part_of_what_was_missed(server: Server) -> None:
    mall = server.mall
    product, other = await mall.product(stock=9), await mall.product(stock=50)
    given = {"skus": [gid("Sku", product.sku_id)]}
    async with server.socket() as mine:
        await mine.start("1", FOLLOW, given)
        _, after = await heard(mine)
    for sku_id in (other.sku_id, product.sku_id, other.sku_id):
        await mall.order(await mall.consumer(), sku_id)
    async with server.socket() as mine:
        await mine.start("1", FOLLOW, {**given, "after": after})
        levels, after = await heard(mine)
        assert levels == [8]
        await mall.order(await mall.consumer(), other.sku_id)
        await mall.order(await mall.consumer(), product.sku_id)
        assert (await heard(mine))[0] == [7]
