"""拼团 through the schema: opening, joining, refusals, and the stream of one group."""

import asyncio
from collections import Counter
from datetime import timedelta

from app import ids
from app.auth import Role, Viewer
from app.rules.group_buys import Overflow
from app.tables.group_buys import GroupBuyRow
from app.workers import expiries
from tests.factories import START, Mall
from tests.resolvers.conftest import BAD_IDS, Api, gid, mutation

SEAT = """... on GroupBuySeat {
    groupBuy { id status held joined remaining members { seatNo status nickname } }
    trade { id status payable { amountMinor } orders { groupBuy { id } } } }
  ... on Problem { code } ... on AlreadyInGroupBuyProblem { groupBuyId }
  ... on OutOfStockProblem { available }"""
OPEN = mutation("openGroupBuy", SEAT)
JOIN = mutation("joinGroupBuy", f"{SEAT} ... on GroupBuyFullProblem {{ size }}")
LEAVE = mutation(
    "leaveGroupBuy",
    """... on GroupBuy { status held joined members { seatNo status } }
  ... on Problem { code } ... on WrongStateProblem { state }""",
)
STOP = mutation(
    "stopGroupBuyActivity", "... on GroupBuyActivity { status } ... on Problem { code }"
)
PAY = "mutation($input: PayTradeInput!) { payTrade(input: $input) { __typename } }"
GROUP = """query($id: ID!) { groupBuy(id: $id) { id status held joined remaining
  members { seatNo status nickname } product { id } activity { size } } }"""
UPDATED = """subscription($id: ID!, $after: String) { groupBuyUpdated(id: $id, after: $after) {
  __typename
  ... on GroupBuyUpdate { cursor cause held joined remaining status expiresAt
    groupBuy { status members { seatNo } } }
  ... on StreamGap { cursor } } }"""
LIST = """query($productId: ID, $after: String, $first: Int! = 20) {
  groupBuys(productId: $productId, after: $after, first: $first) {
    nodes { id } totalCount pageInfo { endCursor } } }"""


def seat(sku_id: int, key: str = "k-1", **place: object) -> dict[str, object]:
    return {"skuId": gid("Sku", sku_id), "idempotencyKey": key, **place}


async def test_a_group_is_seen_once_its_leader_has_paid(api: Api, mall: Mall) -> None:
    leader, product = await mall.consumer(), await mall.product()
    activity = gid("GroupBuyActivity", await mall.activity(product, price_fen=1990))
    made = await api.ask(OPEN, leader, input=seat(product.sku_id, activityId=activity))
    group = made["groupBuy"]["id"]
    assert made["groupBuy"]["status"] == "PENDING"
    assert made["trade"]["payable"] == {"amountMinor": 1990 + 800}
    assert made["trade"]["orders"] == [{"groupBuy": {"id": group}}]
    assert await api.ask(GROUP, id=group) is None
    assert (await api.ask(LIST))["totalCount"] == 0
    given = {"tradeId": made["trade"]["id"], "idempotencyKey": "p"}
    await api.ask(PAY, leader, input=given)
    seen = await api.ask(GROUP, id=group)
    assert (seen["status"], seen["held"], seen["joined"], seen["remaining"]) == ("OPEN", 1, 1, 2)
    assert [member["seatNo"] for member in seen["members"]] == [1]
    assert (await api.ask(LIST))["nodes"] == [{"id": group}]


async def test_names_of_others_are_masked(api: Api, mall: Mall) -> None:
    group = await mall.group_buy()
    key = gid("GroupBuy", group.id)
    (mine,) = (await api.ask(GROUP, group.leader, id=key))["members"]
    (others,) = (await api.ask(GROUP, id=key))["members"]
    assert others["nickname"] == f"{mine['nickname'][0]}**{mine['nickname'][-1]}"


async def test_the_last_paid_seat_fills_the_group(api: Api, mall: Mall) -> None:
    group = await mall.group_buy(size=2)
    shopper, key = await mall.consumer(), gid("GroupBuy", group.id)
    made = await api.ask(JOIN, shopper, input=seat(group.sku_id, groupBuyId=key))
    assert (made["groupBuy"]["status"], made["groupBuy"]["remaining"]) == ("OPEN", 0)
    await api.ask(PAY, shopper, input={"tradeId": made["trade"]["id"], "idempotencyKey": "p"})
    seen = await api.ask(GROUP, id=key)
    assert (seen["status"], seen["joined"]) == ("FILLED", 2)
    assert [member["status"] for member in seen["members"]] == ["SUCCEEDED"] * 2


async def test_a_repetition_gets_the_same_seat(api: Api, mall: Mall) -> None:
    group, shopper = await mall.group_buy(), await mall.consumer()
    given = seat(group.sku_id, groupBuyId=gid("GroupBuy", group.id))
    first = await api.ask(JOIN, shopper, input=given)
    async with mall.unchanged():
        assert await api.ask(JOIN, shopper, input=given) == first
    problem = await api.problem(JOIN, shopper, input=given | {"quantity": 2})
    assert problem["code"] == "IDEMPOTENCY_KEY_REUSED"


async def test_a_full_group_refuses_one_more(api: Api, mall: Mall) -> None:
    group = await mall.group_buy(size=2)
    await mall.hold(group, await mall.consumer())
    given = seat(group.sku_id, groupBuyId=gid("GroupBuy", group.id))
    problem = await api.problem(JOIN, await mall.consumer(), input=given)
    assert problem == {"code": "GROUP_BUY_FULL", "size": 2}


async def test_a_group_whose_time_is_up_refuses(api: Api, mall: Mall) -> None:
    group = await mall.group_buy()
    mall.clock.advance(hours=2)
    given = seat(group.sku_id, groupBuyId=gid("GroupBuy", group.id))
    problem = await api.problem(JOIN, await mall.consumer(), input=given)
    assert problem == {"code": "GROUP_BUY_EXPIRED"}


async def test_one_seat_in_an_activity_is_enough(api: Api, mall: Mall) -> None:
    group = await mall.group_buy()
    given = seat(group.sku_id, groupBuyId=gid("GroupBuy", group.id))
    problem = await api.problem(JOIN, group.leader, input=given)
    already = {"code": "ALREADY_IN_GROUP_BUY", "groupBuyId": gid("GroupBuy", group.id)}
    assert problem == already
    activity = gid("GroupBuyActivity", group.activity_id)
    problem = await api.problem(OPEN, group.leader, input=seat(group.sku_id, activityId=activity))
    assert problem == already


async def test_an_activity_that_does_not_run_refuses(api: Api, mall: Mall) -> None:
    product = await mall.product()
    key = await mall.activity(product, status="ENDED")
    given = seat(product.sku_id, activityId=gid("GroupBuyActivity", key))
    problem = await api.problem(OPEN, await mall.consumer(), input=given)
    assert problem == {"code": "ACTIVITY_NOT_RUNNING"}


async def test_goods_that_are_sold_out_or_not_in_the_activity_refuse(api: Api, mall: Mall) -> None:
    viewer, product, other = (
        await mall.consumer(),
        await mall.product(stock=0),
        await mall.product(),
    )
    activity = gid("GroupBuyActivity", await mall.activity(product))
    problem = await api.problem(OPEN, viewer, input=seat(product.sku_id, activityId=activity))
    assert problem == {"code": "OUT_OF_STOCK", "available": 0}
    problem = await api.problem(OPEN, viewer, input=seat(other.sku_id, activityId=activity))
    assert problem == {"code": "NOT_FOUND"}


async def test_a_wrong_quantity_or_key_is_refused(api: Api, mall: Mall) -> None:
    group, viewer = await mall.group_buy(), await mall.consumer()
    given = seat(group.sku_id, groupBuyId=gid("GroupBuy", group.id))
    for change, code in (
        ({"quantity": 0}, "INVALID_INPUT"),
        ({"quantity": -1}, "INVALID_INPUT"),
        ({"quantity": 1000}, "LIMIT_EXCEEDED"),
        ({"idempotencyKey": ""}, "INVALID_INPUT"),
    ):
        problem = await api.problem(JOIN, viewer, input=given | change)
        assert problem["code"] == code, change


async def test_an_id_of_nothing_is_not_found(api: Api, mall: Mall) -> None:
    group, viewer = await mall.group_buy(), await mall.consumer()
    for wrong in (*BAD_IDS, gid("GroupBuy", 999), gid("GroupBuyActivity", 999)):
        for query, given in (
            (JOIN, seat(group.sku_id, groupBuyId=wrong)),
            (OPEN, seat(group.sku_id, activityId=wrong)),
            (JOIN, seat(1, groupBuyId=gid("GroupBuy", group.id)) | {"skuId": wrong}),
        ):
            assert (await api.problem(query, viewer, input=given))["code"] == "NOT_FOUND"
        assert await api.ask(GROUP, id=wrong) is None
        assert (await api.ask(LIST, productId=wrong))["nodes"] == []


async def test_guests_sign_in_first_and_suppliers_do_not_shop(api: Api, mall: Mall) -> None:
    group = await mall.group_buy()
    join = seat(group.sku_id, groupBuyId=gid("GroupBuy", group.id))
    opening = seat(group.sku_id, activityId=gid("GroupBuyActivity", group.activity_id))
    supplier = await mall.account(Role.SUPPLIER, subject_id=1)
    for query, given in ((JOIN, join), (OPEN, opening)):
        assert await api.code(query, input=given) == "UNAUTHENTICATED"
        assert await api.code(query, supplier, input=given) == "FORBIDDEN"


async def test_forty_shoppers_never_share_four_seats(api: Api, mall: Mall) -> None:
    group = await mall.group_buy(size=5)
    key = gid("GroupBuy", group.id)

    async def join(shopper: Viewer) -> str:
        made = await api.ask(JOIN, shopper, input=seat(group.sku_id, groupBuyId=key))
        if "code" in made:
            code: str = made["code"]
            return code
        given = {"tradeId": made["trade"]["id"], "idempotencyKey": "p"}
        return str((await api.ask(PAY, shopper, input=given))["__typename"])

    told = Counter(await asyncio.gather(*(join(one) for one in await mall.shoppers(40))))
    assert told == {"Trade": 4, "GROUP_BUY_FULL": 36}
    row = await mall.row(GroupBuyRow, group.id)
    assert (row.status, row.held_count, row.paid_count) == ("FILLED", 5, 5)


async def test_the_stream_shows_the_group_and_then_each_change(api: Api, mall: Mall) -> None:
    group = await mall.group_buy(size=3)
    async with api.stream(UPDATED, id=gid("GroupBuy", group.id)) as events:
        first = await events.next()
        assert (first["cause"], first["held"], first["joined"]) == ("SNAPSHOT", 1, 1)
        for _ in range(2):
            assert await mall.join(group, await mall.consumer()) == "joined"
        seen = [await events.next() for _ in range(5)]
    told = [(one["cause"], one["held"], one["joined"]) for one in seen]
    assert told == [
        ("HELD", 2, 1),
        ("JOINED", 2, 2),
        ("HELD", 3, 2),
        ("JOINED", 3, 3),
        ("FILLED", 3, 3),
    ]
    assert seen[-1]["groupBuy"]["status"] == "FILLED"
    assert mall.bus._subscribers == {}


async def test_resuming_loses_and_doubles_nothing(api: Api, mall: Mall) -> None:
    group = await mall.group_buy(size=4)
    key = gid("GroupBuy", group.id)
    async with api.stream(UPDATED, id=key) as events:
        await events.next()
        await mall.join(group, await mall.consumer())
        after = (await events.next())["cursor"]
    await mall.join(group, await mall.consumer())
    async with api.stream(UPDATED, id=key, after=after) as events:
        await mall.join(group, await mall.consumer())
        seen = [await events.next() for _ in range(6)]
    causes = ["JOINED", "HELD", "JOINED", "HELD", "JOINED", "FILLED"]
    assert [one["cause"] for one in seen] == causes
    assert [one["joined"] for one in seen] == [2, 2, 3, 3, 4, 4]


async def test_the_snapshots_cursor_resumes_as_well(api: Api, mall: Mall) -> None:
    group = await mall.group_buy()
    key = gid("GroupBuy", group.id)
    async with api.stream(UPDATED, id=key) as events:
        after = (await events.next())["cursor"]
    await mall.hold(group, await mall.consumer())
    async with api.stream(UPDATED, id=key, after=after) as events:
        assert (await events.next())["cause"] == "HELD"


async def test_a_cursor_from_before_a_restart_is_a_gap_and_goes_on(api: Api, mall: Mall) -> None:
    group = await mall.group_buy()
    key = gid("GroupBuy", group.id)
    topic = f"group_buy:{group.id}"
    old = api.resources.cursors.sign(topic, ["another", "3"])
    async with api.stream(UPDATED, id=key, after=old) as events:
        gap = await events.next()
        assert gap["__typename"] == "StreamGap"
        await mall.hold(group, await mall.consumer())
        assert (await events.next())["cause"] == "HELD"
    async with api.stream(UPDATED, id=key, after=gap["cursor"]) as events:
        assert (await events.next())["cause"] == "HELD"


async def test_a_cursor_of_nobody_or_of_another_group_is_refused(api: Api, mall: Mall) -> None:
    mine, other = await mall.group_buy(), await mall.group_buy()
    async with api.stream(UPDATED, id=gid("GroupBuy", other.id)) as events:
        foreign = (await events.next())["cursor"]
    for after in ("", "nonsense", foreign):
        async with api.stream(UPDATED, id=gid("GroupBuy", mine.id), after=after) as events:
            assert await events.code() == "BAD_CURSOR"


async def test_a_group_that_is_not_there_has_no_stream(api: Api, mall: Mall) -> None:
    product = await mall.product()
    activity = gid("GroupBuyActivity", await mall.activity(product))
    leader = await mall.consumer()
    made = await api.ask(OPEN, leader, input=seat(product.sku_id, activityId=activity))
    unpaid = made["groupBuy"]["id"]
    for key in (*BAD_IDS, gid("GroupBuy", 999), unpaid):
        async with api.stream(UPDATED, id=key) as events:
            assert await events.code() == "NOT_FOUND"
    async with api.stream(UPDATED, leader, id=unpaid) as events:
        assert (await events.next())["cause"] == "SNAPSHOT"


async def test_pages_of_groups_follow_each_other(api: Api, mall: Mall) -> None:
    groups = [await mall.group_buy() for _ in range(3)]
    seen, after = [], None
    for _ in range(3):
        page = await api.ask(LIST, first=1, after=after)
        seen += [node["id"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
    assert seen == [gid("GroupBuy", group.id) for group in groups]


async def test_running_activities_show_their_prices_and_groups(api: Api, mall: Mall) -> None:
    group = await mall.group_buy(price_fen=1990)
    query = """{ groupBuyActivities { id skus { sku { id } price { amountMinor } }
      groupBuys { id } } }"""
    assert await api.ask(query) == [
        {
            "id": gid("GroupBuyActivity", group.activity_id),
            "skus": [{"sku": {"id": gid("Sku", group.sku_id)}, "price": {"amountMinor": 1990}}],
            "groupBuys": [{"id": gid("GroupBuy", group.id)}],
        }
    ]


async def test_an_update_needs_no_second_look(api: Api, mall: Mall) -> None:
    group = await mall.group_buy(size=3, duration_s=3600)
    known = ("cause", "status", "held", "joined", "remaining", "expiresAt")
    async with api.stream(UPDATED, id=gid("GroupBuy", group.id)) as events:
        seen = [await events.next()]
        await mall.join(group, await mall.consumer())
        seen += [await events.next() for _ in range(2)]
        await mall.leave(group, group.leader)
        seen += [await events.next() for _ in range(2)]
        mall.clock.advance(hours=1)
        await expiries.once(mall.database)
        seen.append(await events.next())
    until = (START + timedelta(hours=1)).isoformat()
    assert [tuple(one[name] for name in known) for one in seen] == [
        ("SNAPSHOT", "OPEN", 1, 1, 2, until),
        ("HELD", "OPEN", 2, 1, 1, until),
        ("JOINED", "OPEN", 2, 2, 1, until),
        ("RELEASED", "OPEN", 1, 1, 2, until),
        ("LEADER_CHANGED", "OPEN", 1, 1, 2, until),
        ("EXPIRED", "FAILED", 1, 1, 2, until),
    ]


async def test_a_group_that_opens_is_told_to_its_leader(api: Api, mall: Mall) -> None:
    leader, product = await mall.consumer(), await mall.product()
    activity = gid("GroupBuyActivity", await mall.activity(product))
    made = await api.ask(OPEN, leader, input=seat(product.sku_id, activityId=activity))
    async with api.stream(UPDATED, leader, id=made["groupBuy"]["id"]) as events:
        assert (await events.next())["status"] == "PENDING"
        given = {"tradeId": made["trade"]["id"], "idempotencyKey": "p"}
        await api.ask(PAY, leader, input=given)
        opened = await events.next()
    assert (opened["cause"], opened["status"], opened["joined"]) == ("OPENED", "OPEN", 1)


async def test_a_member_leaves_and_a_repetition_gets_the_same_answer(api: Api, mall: Mall) -> None:
    group, member = await mall.group_buy(size=3), await mall.consumer()
    await mall.join(group, member)
    given = {"groupBuyId": gid("GroupBuy", group.id), "idempotencyKey": "k"}
    left = await api.ask(LEAVE, member, input=given)
    assert (left["status"], left["held"], left["joined"]) == ("OPEN", 1, 1)
    async with mall.unchanged():
        assert await api.ask(LEAVE, member, input=given) == left
    assert left["members"] == [
        {"seatNo": 1, "status": "JOINED"},
        {"seatNo": 2, "status": "LEFT"},
    ]


async def test_a_full_group_is_not_left(api: Api, mall: Mall) -> None:
    group, member = await mall.group_buy(size=2), await mall.consumer()
    await mall.join(group, member)
    given = {"groupBuyId": gid("GroupBuy", group.id), "idempotencyKey": "k"}
    problem = await api.problem(LEAVE, member, input=given)
    assert problem == {"code": "WRONG_STATE", "state": "FILLED"}
    problem = await api.problem(LEAVE, member, input=given | {"idempotencyKey": ""})
    assert problem["code"] == "INVALID_INPUT"
    for wrong in (*BAD_IDS, gid("GroupBuy", 999)):
        problem = await api.problem(LEAVE, member, input=given | {"groupBuyId": wrong})
        assert problem == {"code": "NOT_FOUND"}


async def test_a_supplier_stops_an_activity_once(api: Api, mall: Mall) -> None:
    product = await mall.product()
    activity_id = await mall.activity(product)
    group = await mall.opened(activity_id, product.sku_id)
    supplier = await mall.supplier_viewer(product.supplier_id)
    given = {"activityId": gid("GroupBuyActivity", activity_id)}
    async with api.stream(UPDATED, id=gid("GroupBuy", group.id)) as events:
        await events.next()
        assert await api.ask(STOP, supplier, input=given) == {"status": "STOPPED"}
        told = await events.next()
    assert (told["cause"], told["status"]) == ("STOPPED", "FAILED")
    async with mall.unchanged():
        assert await api.ask(STOP, supplier, input=given) == {"status": "STOPPED"}


async def test_ones_own_choice_for_late_money_is_ones_own_to_see(api: Api, mall: Mall) -> None:
    group, shopper = await mall.group_buy(size=3), await mall.consumer()
    given = seat(group.sku_id, groupBuyId=gid("GroupBuy", group.id), overflow="OPEN_NEW")
    made = await api.ask(JOIN, shopper, input=given)
    await mall.pay(shopper, ids.key_of("Trade", made["trade"]["id"]))
    query = "query($id: ID!) { groupBuy(id: $id) { members { overflow } } }"
    for viewer, seen in ((shopper, [None, "OPEN_NEW"]), (Viewer(), [None, None])):
        told = await api.ask(query, viewer, id=gid("GroupBuy", group.id))
        assert [one["overflow"] for one in told["members"]] == seen


async def test_a_lost_seat_shows_where_its_late_money_went(api: Api, mall: Mall) -> None:
    group, shopper = await mall.group_buy(size=3), await mall.consumer()
    trade_id = await mall.hold(group, shopper, overflow=Overflow.OTHER_GROUP)
    tell = await mall.told_late(shopper, trade_id, minutes=10)
    await expiries.once(mall.database)
    await tell()
    query = """query($id: ID!) { groupBuy(id: $id) { members {
      status movedTo { status seatNo groupBuy { id } } } } }"""
    key = gid("GroupBuy", group.id)
    seats = (await api.ask(query, shopper, id=key))["members"]
    assert [(one["status"], one["movedTo"]) for one in seats] == [
        ("JOINED", None),
        ("RELEASED", {"status": "JOINED", "seatNo": 2, "groupBuy": {"id": key}}),
        ("JOINED", None),
    ]
