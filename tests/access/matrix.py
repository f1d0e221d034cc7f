"""Who may see and do what: every Node type and every root field, for every role.

Nodes: the grounds on which a role sees a row, joined by "+"; `facts.py` says which rows they are.
    all      every row                 public  rows that anybody may see
    own      rows of one's account     shop    rows of the supplier or shop one acts for
    handed   conversations that were handed to people
    -        none

Roots: what a role is told, asked for a thing that is not there and for one that is somebody
else's, in the same bytes.
    ok       an answer without errors  null    null, as for an id of nothing
    401      UNAUTHENTICATED           403     FORBIDDEN
    404      NOT_FOUND, a Problem of a mutation or the error of a stream
    any other word is the code itself
"""

from app import ids

NOBODY = 10**9  # a key that no row has
ROLES = (
    "guest",
    "guest with a cart",
    "consumer",
    "other consumer",
    "distributor",
    "supplier",
    "other supplier",
    "agent",
    "admin",
)

NODES = """
                    guest   cart    consumer    other       distributor      supplier    supplier2   agent       admin
Account             -       -       own         own         own              own         own         all         all
Address             -       -       own         own         own              own         own         own         own
Asset               -       -       own         own         own              own         own         all         all
AuditEntry          -       -       -           -           -                -           -           -           all
Cart                -       own     own         own         own              own         own         own         own
CartLine            -       own     own         own         own              own         own         own         own
Category            public  public  public      public      public           public      public      all         all
ChatMessage         -       -       own         own         own              own         own         own+handed  own+handed
Conversation        -       -       own         own         own              own         own         own+handed  own+handed
Distributor         public  public  public      public      public+shop      public      public      all         all
GroupBuy            public  public  public+own  public+own  public+own       public+own  public+own  all         all
GroupBuyActivity    public  public  public      public      public           public+shop public+shop all         all
GroupBuyActivitySku public  public  public      public      public           public+shop public+shop all         all
GroupBuyMember      public  public  public+own  public+own  public+own       public+own  public+own  all         all
LiveLottery         public  public  public+own  public+own  public+own       public+own  public+own  all         all
LiveLotteryEntry    public  public  public+own  public+own  public+own       public+own  public+own  all         all
LiveMessage         public  public  public+own  public+own  public+own       public+own  public+own  all         all
LiveMute            -       -       own         own         own              own         own         all         all
LiveProduct         public  public  public+own  public+own  public+own       public+own  public+own  all         all
LiveRoom            public  public  public+own  public+own  public+own       public+own  public+own  all         all
Notification        -       -       own         own         own              own         own         own         own
LiveRoomEvent       public  public  public+own  public+own  public+own       public+own  public+own  all         all
Order               -       -       own         own         own+shop         own+shop    own+shop    all         all
OrderEvent          -       -       own         own         own+shop         own+shop    own+shop    all         all
OrderLine           -       -       own         own         own+shop         own+shop    own+shop    all         all
Payment             -       -       own         own         own              own         own         all         all
Product             public  public  public      public      public           shop        shop        all         all
ProductOption       public  public  public      public      public           shop        shop        all         all
Refund              -       -       own         own         own              own+shop    own+shop    all         all
Shipment            -       -       own         own         own+shop         own+shop    own+shop    all         all
ShipmentLine        -       -       own         own         own+shop         own+shop    own+shop    all         all
Sku                 public  public  public      public      public           shop        shop        all         all
Supplier            public  public  public      public      public           public+shop public+shop all         all
TraceEvent          -       -       own         own         own+shop         own+shop    own+shop    all         all
Trade               -       -       own         own         own              own         own         all         all
"""

ROOTS = """
                                guest           cart            consumer        other           distributor     supplier        supplier2       agent           admin
Query.auditLog                  401             401             403             403             403             403             403             403             ok
Query.cart                      null            ok              ok              ok              null            null            null            null            null
Query.categories                ok              ok              ok              ok              ok              ok              ok              ok              ok
Query.conversations             401             401             ok              ok              ok              ok              ok              ok              ok
Query.groupBuy                  null            null            null            null            null            null            null            null            null
Query.groupBuyActivities        ok              ok              ok              ok              ok              ok              ok              ok              ok
Query.groupBuys                 ok              ok              ok              ok              ok              ok              ok              ok              ok
Query.liveLotteryEntries        ok              ok              ok              ok              ok              ok              ok              ok              ok
Query.liveRoom                  null            null            null            null            null            null            null            null            null
Query.liveRoomReplay            ok              ok              ok              ok              ok              ok              ok              ok              ok
Query.liveRooms                 ok              ok              ok              ok              ok              ok              ok              ok              ok
Query.node                      null            null            null            null            null            null            null            null            null
Query.nodes                     ok              ok              ok              ok              ok              ok              ok              ok              ok
Query.notifications             401             401             ok              ok              ok              ok              ok              ok              ok
Query.order                     null            null            null            null            null            null            null            null            null
Query.orders                    401             401             ok              ok              ok              ok              ok              ok              ok
Query.product                   null            null            null            null            null            null            null            null            null
Query.products                  ok              ok              ok              ok              ok              ok              ok              ok              ok
Query.viewer                    ok              ok              ok              ok              ok              ok              ok              ok              ok
Mutation.addCartLine            404             404             404             404             404             404             404             404             404
Mutation.addLiveProduct         401             401             403             403             404             404             404             403             404
Mutation.banLiveRoom            401             401             403             403             403             403             403             404             404
Mutation.beatLiveRoom           401             401             403             403             404             404             404             403             404
Mutation.cancelLiveRoom         401             401             403             403             404             404             404             403             404
Mutation.cancelReply            404             404             404             404             404             404             404             404             404
Mutation.cancelTrade            401             401             404             404             404             404             404             404             404
Mutation.confirmOrder           404             404             404             404             404             404             404             404             404
Mutation.endLiveRoom            401             401             403             403             404             404             404             403             404
Mutation.grantRole              401             401             403             403             403             403             403             403             404
Mutation.joinGroupBuy           401             401             404             404             404             403             403             403             403
Mutation.leaveGroupBuy          401             401             404             404             404             403             403             403             403
Mutation.liftLiveMute           401             401             403             403             404             404             404             404             404
Mutation.likeLiveRoom           404             404             404             404             404             404             404             404             404
Mutation.loginWithCode          LOGIN_REFUSED   LOGIN_REFUSED   LOGIN_REFUSED   LOGIN_REFUSED   LOGIN_REFUSED   LOGIN_REFUSED   LOGIN_REFUSED   LOGIN_REFUSED   LOGIN_REFUSED
Mutation.logout                 404             404             404             404             404             404             404             404             404
Mutation.logoutEverywhere       401             401             ok              ok              ok              ok              ok              ok              ok
Mutation.muteLiveViewer         401             401             403             403             404             404             404             404             404
Mutation.offerLiveRoomReplay    401             401             403             403             404             404             404             403             404
Mutation.openGroupBuy           401             401             404             404             404             403             403             403             403
Mutation.openLiveLottery        401             401             403             403             404             404             404             403             404
Mutation.pauseLiveRoom          401             401             403             403             404             404             404             403             404
Mutation.payTrade               401             401             404             404             404             404             404             404             404
Mutation.pinLiveProduct         401             401             403             403             404             404             404             403             404
Mutation.placeTrade             401             401             SKU_UNAVAILABLE CART_EMPTY      CART_EMPTY      403             403             403             403
Mutation.postLiveMessage        401             401             404             404             404             404             404             404             404
Mutation.readNotifications      401             401             404             404             404             404             404             404             404
Mutation.refreshSession         SESSION_ENDED   SESSION_ENDED   SESSION_ENDED   SESSION_ENDED   SESSION_ENDED   SESSION_ENDED   SESSION_ENDED   SESSION_ENDED   SESSION_ENDED
Mutation.releaseLiveMessage     401             401             403             403             404             404             404             404             404
Mutation.removeCartLine         404             404             404             404             404             404             404             404             404
Mutation.removeLiveProduct      401             401             403             403             404             404             404             403             404
Mutation.reorderLiveProducts    401             401             403             403             404             404             404             403             404
Mutation.revokeRole             401             401             403             403             403             403             403             403             404
Mutation.scheduleLiveRoom       401             401             403             403             INVALID_INPUT   INVALID_INPUT   INVALID_INPUT   403             INVALID_INPUT
Mutation.sendMessage            401             401             404             404             404             404             404             404             404
Mutation.shipOrder              401             401             403             403             403             404             404             403             403
Mutation.startLiveRoom          401             401             403             403             404             404             404             403             404
Mutation.stopGroupBuyActivity   401             401             403             403             403             404             404             403             404
Mutation.switchRole             401             401             ROLE_NOT_HELD   ROLE_NOT_HELD   ROLE_NOT_HELD   ROLE_NOT_HELD   ROLE_NOT_HELD   ROLE_NOT_HELD   ROLE_NOT_HELD
Mutation.updateCartLine         404             404             404             404             404             404             404             404             404
Subscription.chat               401             401             404             404             404             404             404             404             404
Subscription.chatEvents         404             404             404             404             404             404             404             404             404
Subscription.groupBuyUpdated    404             404             404             404             404             404             404             404             404
Subscription.liveRoomEvents     404             404             404             404             404             404             404             404             404
Subscription.notifications      401             401             ok              ok              ok              ok              ok              ok              ok
Subscription.orderUpdated       401             401             ok              ok              ok              ok              ok              ok              ok
Subscription.stockUpdated       404             404             404             404             404             404             404             404             404
Subscription.supplierOrders     401             401             403             403             ok              ok              ok              403             403
Subscription.liveRoomHostEvents 404             404             404             404             404             404             404             404             404
"""

PROBLEM = "__typename ... on Problem { code message }"


def _mutation(name: str, *, given: str = "", kind: str = "") -> str:
    """`$id` stands for the thing; `given` is what else the input needs."""
    return f"mutation {{ {name}(input: {{{kind}{', ' if kind and given else ''}{given}}}) {{ {PROBLEM} }} }}"


ASKS: dict[str, tuple[str, str]] = {
    "Query.auditLog": ("", "{ auditLog { nodes { id } } }"),
    "Query.cart": ("", "{ cart { id } }"),
    "Query.categories": ("", "{ categories { id } }"),
    "Query.conversations": ("", "{ conversations { id } }"),
    "Query.groupBuy": ("GroupBuy", '{ groupBuy(id: "$id") { id } }'),
    "Query.groupBuyActivities": ("", "{ groupBuyActivities { id } }"),
    "Query.groupBuys": ("", "{ groupBuys { nodes { id } } }"),
    "Query.liveLotteryEntries": (
        "LiveLottery",
        '{ liveLotteryEntries(lotteryId: "$id") { nodes { id } } }',
    ),
    "Query.liveRoom": ("LiveRoom", '{ liveRoom(id: "$id") { id } }'),
    "Query.liveRoomReplay": ("LiveRoom", '{ liveRoomReplay(roomId: "$id") { nodes { id } } }'),
    "Query.liveRooms": ("", "{ liveRooms { nodes { id } } }"),
    "Query.node": ("Trade", '{ node(id: "$id") { id } }'),
    "Query.nodes": ("Trade", '{ nodes(ids: ["$id"]) { id } }'),
    "Query.notifications": ("", "{ notifications { nodes { id } } }"),
    "Query.order": ("Order", '{ order(id: "$id") { id } }'),
    "Query.orders": ("", "{ orders { nodes { id } } }"),
    "Query.product": ("Product", '{ product(id: "$id") { id } }'),
    "Query.products": ("", "{ products { nodes { id } } }"),
    "Query.viewer": ("", "{ viewer { role } }"),
    # of a SKU that is not on sale a shopper is told just that: an old page may still show it
    "Mutation.addCartLine": (
        "",
        _mutation("addCartLine", kind=f'skuId: "{ids.encode("Sku", NOBODY)}"'),
    ),
    "Mutation.addLiveProduct": (
        "LiveRoom",
        _mutation("addLiveProduct", kind='roomId: "$id"', given='skuId: "$sku"'),
    ),
    "Mutation.banLiveRoom": (
        "LiveRoom",
        _mutation("banLiveRoom", kind='roomId: "$id"', given='reason: "虚假宣传"'),
    ),
    "Mutation.beatLiveRoom": ("LiveRoom", _mutation("beatLiveRoom", kind='roomId: "$id"')),
    "Mutation.cancelLiveRoom": ("LiveRoom", _mutation("cancelLiveRoom", kind='roomId: "$id"')),
    "Mutation.cancelReply": ("ChatMessage", _mutation("cancelReply", kind='messageId: "$id"')),
    "Mutation.cancelTrade": ("Trade", _mutation("cancelTrade", kind='tradeId: "$id"')),
    "Mutation.confirmOrder": ("Order", _mutation("confirmOrder", kind='orderId: "$id"')),
    "Mutation.endLiveRoom": ("LiveRoom", _mutation("endLiveRoom", kind='roomId: "$id"')),
    "Mutation.grantRole": (
        "Account",
        _mutation("grantRole", kind='accountId: "$id"', given="role: AGENT"),
    ),
    "Mutation.joinGroupBuy": (
        "GroupBuy",
        _mutation(
            "joinGroupBuy", kind='groupBuyId: "$id"', given='skuId: "$sku", idempotencyKey: "k"'
        ),
    ),
    "Mutation.leaveGroupBuy": (
        "GroupBuy",
        _mutation("leaveGroupBuy", kind='groupBuyId: "$id"', given='idempotencyKey: "k"'),
    ),
    "Mutation.liftLiveMute": ("LiveMute", _mutation("liftLiveMute", kind='muteId: "$id"')),
    "Mutation.likeLiveRoom": ("LiveRoom", _mutation("likeLiveRoom", kind='roomId: "$id"')),
    "Mutation.loginWithCode": ("", _mutation("loginWithCode", given='platform: DEV, code: "x"')),
    "Mutation.logout": ("", _mutation("logout", given='refreshToken: "x"')),
    "Mutation.logoutEverywhere": ("", _mutation("logoutEverywhere", given="keepThis: true")),
    "Mutation.muteLiveViewer": (
        "LiveMessage",
        _mutation("muteLiveViewer", kind='messageId: "$id"'),
    ),
    "Mutation.offerLiveRoomReplay": (
        "LiveRoom",
        _mutation("offerLiveRoomReplay", kind='roomId: "$id"'),
    ),
    "Mutation.openGroupBuy": (
        "GroupBuyActivity",
        _mutation(
            "openGroupBuy", kind='activityId: "$id"', given='skuId: "$sku", idempotencyKey: "k"'
        ),
    ),
    "Mutation.openLiveLottery": (
        "LiveRoom",
        _mutation("openLiveLottery", kind='roomId: "$id"', given='prize: "小米", keyword: "米"'),
    ),
    "Mutation.pauseLiveRoom": ("LiveRoom", _mutation("pauseLiveRoom", kind='roomId: "$id"')),
    "Mutation.payTrade": (
        "Trade",
        _mutation("payTrade", kind='tradeId: "$id"', given='idempotencyKey: "k"'),
    ),
    "Mutation.pinLiveProduct": ("LiveRoom", _mutation("pinLiveProduct", kind='roomId: "$id"')),
    "Mutation.placeTrade": (
        "",
        _mutation("placeTrade", given='expectedPayable: 1, idempotencyKey: "k"'),
    ),
    "Mutation.postLiveMessage": (
        "LiveRoom",
        _mutation("postLiveMessage", kind='roomId: "$id"', given='text: "你好"'),
    ),
    "Mutation.readNotifications": (
        "Notification",
        _mutation("readNotifications", kind='upTo: "$id"'),
    ),
    "Mutation.refreshSession": ("", _mutation("refreshSession", given='refreshToken: "x"')),
    "Mutation.releaseLiveMessage": (
        "LiveMessage",
        _mutation("releaseLiveMessage", kind='messageId: "$id"'),
    ),
    "Mutation.removeCartLine": ("CartLine", _mutation("removeCartLine", kind='lineId: "$id"')),
    "Mutation.removeLiveProduct": (
        "LiveProduct",
        _mutation("removeLiveProduct", kind='liveProductId: "$id"'),
    ),
    "Mutation.reorderLiveProducts": (
        "LiveRoom",
        _mutation("reorderLiveProducts", kind='roomId: "$id"', given="liveProductIds: []"),
    ),
    "Mutation.revokeRole": (
        "Account",
        _mutation("revokeRole", kind='accountId: "$id"', given="role: AGENT"),
    ),
    "Mutation.scheduleLiveRoom": (
        "",
        _mutation("scheduleLiveRoom", given='title: "", startsAt: "2026-03-03T00:00:00Z"'),
    ),
    "Mutation.sendMessage": (
        "Conversation",
        _mutation("sendMessage", kind='conversationId: "$id"', given='text: "在吗", clientId: "k"'),
    ),
    "Mutation.shipOrder": (
        "Order",
        _mutation(
            "shipOrder",
            kind='orderId: "$id"',
            given='carrierCode: "SF", waybill: "SF0000000000099"',
        ),
    ),
    "Mutation.startLiveRoom": ("LiveRoom", _mutation("startLiveRoom", kind='roomId: "$id"')),
    "Mutation.stopGroupBuyActivity": (
        "GroupBuyActivity",
        _mutation("stopGroupBuyActivity", kind='activityId: "$id"'),
    ),
    "Mutation.switchRole": ("", _mutation("switchRole", given="role: GUEST")),
    "Mutation.updateCartLine": (
        "CartLine",
        _mutation("updateCartLine", kind='lineId: "$id"', given="quantity: 2"),
    ),
    "Subscription.chat": (
        "Conversation",
        'subscription { chat(input: {conversationId: "$id", text: "在吗", clientId: "k"}) { __typename } }',
    ),
    "Subscription.chatEvents": (
        "Conversation",
        'subscription { chatEvents(conversationId: "$id") { __typename } }',
    ),
    "Subscription.groupBuyUpdated": (
        "GroupBuy",
        'subscription { groupBuyUpdated(id: "$id") { __typename } }',
    ),
    "Subscription.liveRoomEvents": (
        "LiveRoom",
        'subscription { liveRoomEvents(roomId: "$id") { __typename } }',
    ),
    "Subscription.notifications": ("", "subscription { notifications { __typename } }"),
    "Subscription.orderUpdated": ("", "subscription { orderUpdated { __typename } }"),
    # a supplier's own goods are left out where nobody else may see them: all are told the same
    "Subscription.stockUpdated": (
        "",
        f'subscription {{ stockUpdated(skuIds: ["{ids.encode("Sku", NOBODY)}"]) {{ __typename }} }}',
    ),
    "Subscription.supplierOrders": ("", "subscription { supplierOrders { __typename } }"),
    "Subscription.liveRoomHostEvents": (
        "LiveRoom",
        'subscription { liveRoomHostEvents(roomId: "$id") { __typename } }',
    ),
}
"""Root field -> the kind of thing it is asked for, if any, and the operation."""


def table(text: str) -> dict[str, dict[str, str]]:
    """Row -> role -> cell. AssertionError for a row that has not a cell for every role."""
    rows = {}
    for line in text.strip().splitlines()[1:]:
        name, *cells = line.split()
        assert len(cells) == len(ROLES), name
        rows[name] = dict(zip(ROLES, cells, strict=True))
    return rows
