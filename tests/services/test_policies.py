"""Policies: the clause found is the one in force for date, audience, supplier and goods."""

from datetime import UTC, datetime
from typing import Any

import pytest

from app.auth import Role, Viewer
from app.services import policies, products_store
from app.services.policies import ClauseDraft, PolicyDraft, RecordDraft
from tests.factories import Mall

OLD, NEW = datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 7, 1, tzinfo=UTC)
TODAY = datetime(2026, 3, 2, tzinfo=UTC)


async def stored(mall: Mall, code: str, text: str, **more: Any) -> int:
    """A document of one clause with one record, `days` of topic `code`."""
    days = more.pop("days", 7)
    values: dict[str, Any] = {
        "version": 1,
        "title": "规则",
        "audience": "ALL",
        "valid_from": OLD,
        "clauses": (ClauseDraft("1", "范围", text, (RecordDraft(code, "", {}, {"days": days}),)),),
    }
    async with mall.unit() as unit:
        return await policies.store_document(unit, PolicyDraft(code=code, **values | more))


async def found(mall: Mall, text: str, **scope: Any) -> list[str]:
    values: dict[str, Any] = {"audience": "CONSUMER", "at": TODAY}
    async with mall.database.read() as db:
        clauses = await policies.search_clauses(db, text=text, **values | scope)
    return [one.text for one in clauses]


async def days(mall: Mall, topic: str, **scope: Any) -> list[int]:
    values: dict[str, Any] = {"audience": "CONSUMER", "at": TODAY}
    async with mall.database.read() as db:
        rows = await policies.records(db, topics=[topic], **values | scope)
    return [row.value["days"] for row in rows]


async def two_versions(mall: Mall) -> None:
    old, new = "付款后 15 天内降价可以退差价", "付款后 7 天内降价可以退差价"
    await stored(mall, "price", old, days=15, valid_to=NEW)
    await stored(mall, "price", new, days=7, version=2, valid_from=NEW)


async def test_the_version_in_force_on_the_day_is_found(any_mall: Mall) -> None:
    mall = any_mall
    await two_versions(mall)
    assert await found(mall, "降价了退差价吗") == ["付款后 7 天内降价可以退差价"]
    before = datetime(2025, 6, 30, tzinfo=UTC)
    assert await found(mall, "降价了退差价吗", at=before) == ["付款后 15 天内降价可以退差价"]
    assert await days(mall, "price") == [7]
    assert await days(mall, "price", at=before) == [15]
    assert await found(mall, "降价", at=datetime(2023, 1, 1, tzinfo=UTC)) == []


async def test_the_newest_of_two_valid_versions_counts(any_mall: Mall) -> None:
    mall = any_mall
    await stored(mall, "invoice", "发票三天内开具", days=3)
    await stored(mall, "invoice", "发票当天开具", days=0, version=2)
    assert await found(mall, "发票") == ["发票当天开具"]
    assert await days(mall, "invoice") == [0]


async def test_a_suppliers_own_rule_replaces_the_general_one(any_mall: Mall) -> None:
    mall = any_mall
    own, other = await mall.supplier(), await mall.supplier()
    await stored(mall, "warranty", "小家电保修 12 个月", days=365)
    special = PolicyDraft(
        code="warranty-own",
        version=1,
        title="本店保修",
        audience="ALL",
        valid_from=OLD,
        supplier_id=own,
        clauses=(
            ClauseDraft(
                "1", "", "本店保修 24 个月", (RecordDraft("warranty", "", {}, {"days": 730}),)
            ),
        ),
    )
    async with mall.unit() as unit:
        await policies.store_document(unit, special)
    assert await found(mall, "保修多久", supplier_id=own) == ["本店保修 24 个月"]
    assert await found(mall, "保修多久", supplier_id=other) == ["小家电保修 12 个月"]
    assert await found(mall, "保修多久") == ["小家电保修 12 个月"]
    assert await days(mall, "warranty", supplier_id=own) == [730]
    assert await days(mall, "warranty") == [365]


async def test_an_override_that_is_not_yet_valid_leaves_the_general_rule(mall: Mall) -> None:
    own = await mall.supplier()
    await stored(mall, "warranty", "保修 12 个月", days=365)
    await stored(
        mall, "warranty", "保修 24 个月", version=2, supplier_id=own, valid_from=NEW, days=730
    )
    assert await days(mall, "warranty", supplier_id=own, at=OLD) == [365]
    assert await days(mall, "warranty", supplier_id=own) == [730]


async def test_a_rule_for_a_category_holds_below_it_and_not_elsewhere(any_mall: Mall) -> None:
    mall = any_mall
    async with mall.unit() as unit:
        fresh = await products_store.store_category(unit, name="生鲜", sort=0)
        fruit = await products_store.store_category(unit, name="水果", parent_id=fresh, sort=0)
        cloth = await products_store.store_category(unit, name="服饰", sort=1)
    await stored(mall, "fresh_claim", "坏果 24 小时内拍照包赔", category_id=fresh)
    for category, texts in ((fruit, 1), (fresh, 1), (cloth, 0), (None, 1)):
        assert len(await found(mall, "坏果怎么赔", category_id=category)) == texts, category


@pytest.mark.parametrize(
    ("role", "codes"),
    [
        (Role.GUEST, ["all"]),
        (Role.CONSUMER, ["all"]),
        (Role.DISTRIBUTOR, ["all", "shops"]),
        (Role.SUPPLIER, ["all", "makers"]),
        (Role.ADMIN, ["all", "makers", "shops"]),
    ],
)
async def test_each_role_reads_its_own_rules(mall: Mall, role: Role, codes: list[str]) -> None:
    for code, audience in (("all", "ALL"), ("shops", "DISTRIBUTOR"), ("makers", "SUPPLIER")):
        await stored(mall, code, f"结算周期说明 {code}", audience=audience)
    assert (
        sorted(text.split()[-1] for text in await found(mall, "结算周期", audience=role)) == codes
    )
    async with mall.database.read() as db:
        rows = await db.all(policies.visible_to(Viewer(role, 1, 1)))
        clauses = await db.all(policies.clauses_visible_to(Viewer(role, 1, 1)))
    assert sorted(row.code for row in rows) == codes
    assert len(clauses) == len(codes)


async def test_the_clause_that_fits_best_comes_first(any_mall: Mall) -> None:
    mall = any_mall
    texts = [
        "质量问题的退货运费由商家承担",
        "七天无理由退货的运费由买家承担",
        "发票可以在订单完成后三十天内申请",
        "拼团失败后一到三个工作日退款",
    ]
    for number, text in enumerate(texts):
        await stored(mall, f"rule-{number}", text)
    assert (await found(mall, "质量有问题退货运费谁出"))[0] == texts[0]
    assert (await found(mall, "拼团没成功钱什么时候退"))[0] == texts[3]
    assert await found(mall, "发票", limit=1) == [texts[2]]
    assert await found(mall, "量子纠缠") == []


@pytest.mark.parametrize("text", ["", "？？", '" OR 退货 NEAR("', "a" * 100_000])
async def test_hostile_questions_are_only_text(any_mall: Mall, text: str) -> None:
    await stored(any_mall, "rule", "发票可以在订单完成后申请")
    assert await found(any_mall, text) == []
