/** The example operations: whose they are, and how their variables are filled. */

import { post, type Account, type HeaderFields } from '../session'

export interface Example {
  name: string // of the .graphql file beside this one
  title: string
  account: Account
  document: string
  variables?: (mall: Mall) => unknown
}

/** The answer to lookups.graphql; a list is empty or missing when the mall has nothing of the kind. */
interface Mall {
  products?: Nodes<{ id: string; skus: { id: string; available: number; price: Amount }[] }>
  groupBuyActivities?: (Identified & { skus: { sku: Identified | null }[] })[]
  groupBuys?: Nodes<Identified & { activity: { skus: { sku: Identified | null }[] } | null }>
  liveRooms?: Nodes<
    Identified & {
      products: Identified[]
      recentMessages: Identified[]
      heldBack: Identified[]
      lotteries: Identified[]
    }
  >
  scheduled?: Nodes<Identified>
  cart?: { lines: Identified[]; cost: { payable: Amount } } | null
  orders?: Nodes<Identified>
  unpaid?: Nodes<{ trade: Identified | null }>
  waiting?: Nodes<{ groupBuy: Identified | null }>
  toShip?: Nodes<Identified>
  conversations?: Identified[]
  notifications?: Nodes<Identified>
}
interface Nodes<T> {
  nodes: T[]
}
interface Identified {
  id: string
}
interface Amount {
  amountMinor: number
}

const DOCUMENTS = import.meta.glob<string>('./*.graphql', {
  query: '?raw',
  import: 'default',
  eager: true,
})

function document(name: string): string {
  const text = DOCUMENTS[`./${name}.graphql`]
  if (text === undefined) throw new Error(`there is no example ${name}.graphql`)
  return text
}

function example(
  account: Account,
  name: string,
  title: string,
  variables?: (mall: Mall) => unknown,
): Example {
  return { account, name, title, document: document(name), ...(variables && { variables }) }
}

/** The variables as text for the editor, with ids that exist right now; '' where nothing fits. */
export async function filled(example: Example, headers: HeaderFields): Promise<string> {
  if (example.variables === undefined) return ''
  const isSignedIn = example.account !== 'guest'
  const answer = await post(document('lookups'), { isSignedIn }, headers)
  return JSON.stringify(example.variables((answer.data ?? {}) as Mall), null, 2)
}

/** A new idempotency key; change it to do the same thing once more. */
function key(): string {
  return `playground-${Date.now().toString(36)}`
}

function sku(mall: Mall) {
  return mall.products?.nodes[0]?.skus.find((one) => one.available > 0)
}

function liveRoom(mall: Mall): string {
  return mall.liveRooms?.nodes[0]?.id ?? ''
}

export const EXAMPLES: Example[] = [
  example('guest', 'products', '商品列表与筛选项 products'),
  example('guest', 'product', '商品详情 product', (mall) => ({
    id: mall.products?.nodes[0]?.id ?? '',
  })),
  example('guest', 'categories', '类目 categories'),
  example('guest', 'stock-updated', '订阅库存 follow stock', (mall) => ({
    skuIds: mall.products?.nodes[0]?.skus.map((one) => one.id) ?? [],
  })),
  example('guest', 'group-buys', '拼团 group-buys'),
  example('guest', 'live-rooms', '直播间 live rooms'),
  example('guest', 'live-room-events', '订阅直播间 follow a room', (mall) => ({
    roomId: liveRoom(mall),
  })),
  example('guest', 'live-room-replay', '直播回放 replay of a room', (mall) => ({
    roomId: liveRoom(mall),
  })),
  example('guest', 'live-lotteries', '抽奖公示 lotteries'),
  example('guest', 'live-lottery-entries', '抽奖名单 entries of a lottery', (mall) => ({
    lotteryId: mall.liveRooms?.nodes[0]?.lotteries[0]?.id ?? '',
  })),
  example('guest', 'like-live-room', '点赞 like', (mall) => ({
    input: { roomId: liveRoom(mall), count: 10 },
  })),

  example('consumer-1', 'chat', '与客服聊天 chat', () => ({
    input: { text: '我的快递到哪了', clientId: key() },
  })),
  example('consumer-1', 'conversations', '聊天记录 conversations'),
  example('consumer-1', 'send-message', '只发送 send only', (mall) => ({
    input: {
      text: '这个能退吗，运费谁出',
      clientId: key(),
      conversationId: mall.conversations?.[0]?.id ?? null,
    },
  })),
  example('consumer-1', 'chat-events', '订阅会话 follow a conversation', (mall) => ({
    conversationId: mall.conversations?.[0]?.id ?? '',
  })),
  example('consumer-1', 'add-cart-line', '加入购物车 add to cart', (mall) => ({
    input: { skuId: sku(mall)?.id ?? '', quantity: 1 },
  })),
  example('consumer-1', 'update-cart-line', '改件数 change a line', (mall) => ({
    input: { lineId: mall.cart?.lines[0]?.id ?? '', quantity: 2 },
  })),
  example('consumer-1', 'cart', '购物车 cart'),
  example('consumer-1', 'place-trade', '下单 place a trade', (mall) => ({
    input: { expectedPayable: mall.cart?.cost.payable.amountMinor ?? 0, idempotencyKey: key() },
  })),
  example('consumer-1', 'pay-trade', '支付 pay', (mall) => ({
    input: { tradeId: mall.unpaid?.nodes[0]?.trade?.id ?? '', idempotencyKey: key() },
  })),
  example('consumer-1', 'orders', '我的订单 my orders'),
  example('consumer-1', 'order-updated', '订阅我的订单 follow my orders'),
  example('consumer-1', 'notifications', '我的通知 my notifications'),
  example('consumer-1', 'read-notifications', '标为已读 mark as read', (mall) => ({
    input: { upTo: mall.notifications?.nodes[0]?.id ?? '' },
  })),
  example('consumer-1', 'follow-notifications', '订阅通知 follow notifications'),
  example('consumer-1', 'open-group-buy', '开团 open a group', (mall) => ({
    input: {
      activityId: mall.groupBuyActivities?.at(-1)?.id ?? '',
      skuId: mall.groupBuyActivities?.at(-1)?.skus[0]?.sku?.id ?? '',
      idempotencyKey: key(),
    },
  })),
  example('consumer-1', 'join-group-buy', '参团 join a group', (mall) => ({
    input: {
      groupBuyId: mall.groupBuys?.nodes[0]?.id ?? '',
      skuId: mall.groupBuys?.nodes[0]?.activity?.skus[0]?.sku?.id ?? '',
      overflow: 'OTHER_GROUP',
      idempotencyKey: key(),
    },
  })),
  example('consumer-1', 'leave-group-buy', '退团 leave a group', (mall) => ({
    input: { groupBuyId: mall.waiting?.nodes[0]?.groupBuy?.id ?? '', idempotencyKey: key() },
  })),
  example('consumer-1', 'group-buy-updated', '订阅一个团 follow a group', (mall) => ({
    id: mall.groupBuys?.nodes[0]?.id ?? '',
  })),
  example('consumer-1', 'post-live-message', '直播间发言 say something', (mall) => ({
    input: { roomId: liveRoom(mall), text: '主播，这款有大码吗？' },
  })),
  example('consumer-1', 'viewer', '我是谁 viewer'),

  example('distributor-1', 'supply-prices', '拿货价 supply prices'),

  example('supplier-1', 'orders-to-ship', '待发货 orders to ship'),
  example('supplier-1', 'supplier-orders', '订阅要发的订单 follow orders to ship'),
  example('supplier-1', 'ship-order', '发货 ship', (mall) => ({
    input: {
      orderId: mall.toShip?.nodes[0]?.id ?? '',
      carrierCode: 'SF',
      waybill: `SF${Date.now().toString().slice(-12)}`,
    },
  })),
  example('supplier-1', 'schedule-live-room', '预告直播 schedule a show', (mall) => ({
    input: {
      title: '产地直发专场',
      startsAt: new Date(Date.now() + 3_600_000).toISOString(),
      products: [{ skuId: sku(mall)?.id ?? '', livePrice: sku(mall)?.price.amountMinor ?? 0 }],
    },
  })),
  example('supplier-1', 'start-live-room', '开播 go live', (mall) => ({
    input: { roomId: mall.scheduled?.nodes[0]?.id ?? '' },
  })),
  example('supplier-1', 'pin-live-product', '讲解商品 pin a product', (mall) => ({
    input: {
      roomId: liveRoom(mall),
      liveProductId: mall.liveRooms?.nodes[0]?.products[0]?.id ?? null,
    },
  })),
  example('supplier-1', 'live-room-host-events', '主播的订阅 the host follows', (mall) => ({
    roomId: liveRoom(mall),
  })),
  example('supplier-1', 'beat-live-room', '主播心跳 heartbeat', (mall) => ({
    input: { roomId: liveRoom(mall) },
  })),
  example('supplier-1', 'pause-live-room', '暂停直播 pause', (mall) => ({
    input: { roomId: liveRoom(mall) },
  })),
  example('supplier-1', 'add-live-product', '直播上架 add goods', (mall) => ({
    input: { roomId: liveRoom(mall), skuId: sku(mall)?.id ?? '' },
  })),
  example('supplier-1', 'open-live-lottery', '开始抽奖 open a lottery', (mall) => ({
    input: { roomId: liveRoom(mall), prize: '小米一袋', keyword: '暖锅', winners: 2, lastsS: 60 },
  })),
  example('supplier-1', 'end-live-room', '下播 end the show', (mall) => ({
    input: { roomId: liveRoom(mall) },
  })),

  example('agent-1', 'mute-live-viewer', '禁言 mute', (mall) => ({
    input: { messageId: mall.liveRooms?.nodes[0]?.recentMessages[0]?.id ?? '', seconds: 60 },
  })),
  example('agent-1', 'release-live-message', '放行发言 release a message', (mall) => ({
    input: { messageId: mall.liveRooms?.nodes[0]?.heldBack[0]?.id ?? '' },
  })),
  example('agent-1', 'ban-live-room', '封禁直播间 ban a room', (mall) => ({
    input: { roomId: liveRoom(mall), reason: '虚假宣传' },
  })),
  example('agent-1', 'handed-over', '转人工的会话 handed over'),

  example('admin-1', 'all-orders', '全部订单 all orders'),
  example('admin-1', 'stop-group-buy-activity', '终止拼团活动 stop an activity', (mall) => ({
    input: { activityId: mall.groupBuyActivities?.at(-1)?.id ?? '' },
  })),
  example('admin-1', 'node', '按 ID 取对象 node', (mall) => ({
    id: mall.orders?.nodes[0]?.id ?? '',
  })),
]
