// The measured operations on mercurius with graphql-jit, as its documentation teaches: a schema,
// resolvers, and loaders that read a level at once. The same rows, rules and answers as Jishi's.
import { createHash, createHmac, timingSafeEqual } from "node:crypto";

import Database from "better-sqlite3";
import Fastify from "fastify";
import { createVerifier } from "fast-jwt";
import mercurius from "mercurius";

const SECRET = process.env.JISHI_SECRET;
const MOST_UNITS = 999;
const REMOTE = ["新疆", "西藏"];

const schema = `
  enum ProductSort { SALES }
  type Money { amountMinor: Int! formatted: String! }
  type PriceRange { low: Money! high: Money! }
  type PageInfo { hasNextPage: Boolean! endCursor: String }
  type ProductConnection { nodes: [Product!]! pageInfo: PageInfo! }
  type Supplier { id: ID! name: String! ratingBp: Int! shipFrom: String! shipping: Money! }
  type Category { id: ID! name: String! }
  type ProductOption { id: ID! name: String! choices: [String!]! }
  type OptionValue { name: String! value: String! }
  type Sku {
    id: ID! code: String! product: Product options: [OptionValue!]! price: Money!
    marketPrice: Money! weightG: Int! available: Int!
  }
  type GroupBuy {
    id: ID! status: String! size: Int! held: Int! remaining: Int! expiresAt: String!
  }
  type Product {
    id: ID! title: String! subtitle: String! description: String! image: String! status: String!
    priceRange: PriceRange! soldCount: Int! ratingBp: Int! isFresh: Boolean! returnDays: Int!
    customerLimit: Int supplier: Supplier category: Category options: [ProductOption!]!
    skus: [Sku!]! groupBuys: [GroupBuy!]!
  }
  type CartLine { id: ID! quantity: Int! isSelected: Boolean! unitPrice: Money sku: Sku }
  type CartCost { goods: Money! shipping: Money! payable: Money! }
  type CartGroup { supplier: Supplier goods: Money! }
  type Cart {
    id: ID! version: Int! lines: [CartLine!]! cost: CartCost! groups: [CartGroup!]!
  }
  interface Problem { code: String! message: String! }
  type Refusal implements Problem { code: String! message: String! }
  type CartChanged { cart: Cart! }
  union AddCartLineResult = CartChanged | Refusal
  input AddCartLineInput { skuId: ID! quantity: Int = 1 }
  type Query {
    products(first: Int = 20, after: String, sort: ProductSort): ProductConnection!
    product(id: ID!): Product
    cart: Cart
  }
  type Mutation { addCartLine(input: AddCartLineInput!): AddCartLineResult! }
`;

const db = new Database(process.env.BENCH_DATABASE);
db.pragma("journal_mode = WAL");
db.pragma("synchronous = NORMAL");
db.pragma("foreign_keys = ON");
db.pragma("busy_timeout = 5000");
db.pragma("temp_store = MEMORY");

const PRODUCT = `p.id, p.supplier_id, p.category_id, p.title, p.subtitle, p.description, p.image,
  p.status, p.min_price_fen, p.max_price_fen, p.sold_count, p.rating_bp, p.is_fresh,
  p.return_days, p.customer_limit`;
const SKU = "id, product_id, code, options, price_fen, market_price_fen, weight_g";
const LISTED = `p.status IN ('ON_SALE', 'PRE_SALE')
  AND p.supplier_id IN (SELECT id FROM suppliers WHERE status = 'APPROVED')`;
// the same, for rows that are found by their keys: a sign keeps the status from choosing an index
const SEEN = `+p.status IN ('ON_SALE', 'PRE_SALE') AND EXISTS
  (SELECT 1 FROM suppliers s WHERE s.id = p.supplier_id AND s.status = 'APPROVED')`;
const KEYS = "(SELECT value FROM json_each(?))";
const LIVE = `LEFT JOIN live_rooms r ON r.id = l.live_room_id
  LEFT JOIN live_products v ON v.room_id = l.live_room_id AND v.sku_id = l.sku_id`;

const sql = {
  page: db.prepare(`SELECT ${PRODUCT} FROM products p WHERE ${LISTED}
    ORDER BY p.sold_count DESC, p.id DESC LIMIT ?`),
  pageAfter: db.prepare(`SELECT ${PRODUCT} FROM products p WHERE ${LISTED}
    AND (p.sold_count, p.id) < (?, ?) ORDER BY p.sold_count DESC, p.id DESC LIMIT ?`),
  products: db.prepare(`SELECT ${PRODUCT} FROM products p WHERE p.id IN ${KEYS} AND ${SEEN}`),
  suppliers: db.prepare(
    `SELECT id, name, rating_bp, ship_from, shipping_fen FROM suppliers
     WHERE id IN ${KEYS} AND status = 'APPROVED'`,
  ),
  categories: db.prepare(`SELECT id, name FROM categories WHERE id IN ${KEYS}`),
  options: db.prepare(`SELECT id, product_id, name, choices FROM product_options
    WHERE product_id IN ${KEYS} ORDER BY product_id, sort, id`),
  skus: db.prepare(`SELECT ${SKU} FROM skus WHERE product_id IN ${KEYS} AND status = 'ON_SALE'
    ORDER BY product_id, id`),
  skusById: db.prepare(`SELECT ${SKU} FROM skus WHERE id IN ${KEYS} AND status = 'ON_SALE'
    AND EXISTS (SELECT 1 FROM products p WHERE p.id = product_id AND ${SEEN})`),
  stocks: db.prepare(`SELECT sku_id, on_hand, allocated, reserved, shortfall FROM stocks
    WHERE sku_id IN ${KEYS}`),
  groups: db.prepare(`SELECT id, product_id, status, size, held_count, expires_at
    FROM group_buy_groups WHERE product_id IN ${KEYS} AND status = 'OPEN'
    AND (paid_count > 0 OR leader_id = ?) ORDER BY product_id, expires_at, id`),
  cart: db.prepare(`SELECT id, version FROM carts WHERE account_id = ? AND status = 'ACTIVE'`),
  lines: db.prepare(`SELECT l.id, l.cart_id, l.sku_id, l.quantity, l.is_selected
    FROM cart_lines l WHERE l.cart_id IN ${KEYS} ORDER BY l.cart_id, l.id`),
  unitPrices: db.prepare(`SELECT l.id, k.price_fen, v.live_price_fen, r.status AS room
    FROM cart_lines l JOIN skus k ON k.id = l.sku_id ${LIVE} WHERE l.id IN ${KEYS}`),
  priced: db.prepare(`SELECT l.id, k.supplier_id, l.quantity, l.is_selected, k.price_fen,
    v.live_price_fen, r.status AS room, k.status AS sku, p.status AS product,
    s.status AS supplier, s.shipping_fen, s.remote_surcharge_fen, s.free_shipping_from_fen
    FROM cart_lines l JOIN skus k ON k.id = l.sku_id JOIN products p ON p.id = k.product_id
    JOIN suppliers s ON s.id = k.supplier_id ${LIVE} WHERE l.cart_id = ? ORDER BY l.id`),
  province: db.prepare(`SELECT province FROM addresses WHERE account_id = ?
    ORDER BY is_default DESC, id LIMIT 1`),
  sellable: db.prepare(`SELECT k.product_id, k.price_fen, k.status AS sku, p.status AS product,
    s.status AS supplier, p.customer_limit FROM skus k JOIN products p ON p.id = k.product_id
    JOIN suppliers s ON s.id = k.supplier_id WHERE k.id = ?`),
  touchedCart: db.prepare(`INSERT INTO carts (account_id, status, version, updated_at)
    VALUES (?, 'ACTIVE', 1, ?) ON CONFLICT (account_id) WHERE status = 'ACTIVE'
    DO UPDATE SET version = version + 1, updated_at = excluded.updated_at RETURNING id`),
  put: db.prepare(`INSERT INTO cart_lines (cart_id, sku_id, quantity, price_when_added_fen,
    added_at, is_selected) VALUES (?, ?, ?, ?, ?, 1) ON CONFLICT (cart_id, sku_id) DO UPDATE SET
    quantity = quantity + excluded.quantity, is_selected = 1,
    price_when_added_fen = excluded.price_when_added_fen RETURNING quantity`),
  inCart: db.prepare(`SELECT sum(l.quantity) AS units FROM cart_lines l
    JOIN skus k ON k.id = l.sku_id WHERE l.cart_id = ? AND k.product_id = ?`),
  bought: db.prepare(`SELECT coalesce(sum(l.quantity), 0) AS units FROM order_lines l
    JOIN orders o ON o.id = l.order_id WHERE o.buyer_id = ? AND l.product_id = ?
    AND o.status NOT IN ('CANCELLED', 'CLOSED')`),
};

const verify = createVerifier({
  key: SECRET,
  algorithms: ["HS256"],
  allowedIss: "jishi",
  allowedAud: "jishi-api",
  requiredClaims: ["exp", "sub"],
});

const gid = (kind, key) => Buffer.from(`${kind}:${key}`).toString("base64url");

function keyOf(kind, id) {
  const [found, key] = Buffer.from(id, "base64url").toString().split(":");
  return found === kind && /^\d{1,10}$/.test(key ?? "") ? Number(key) : null;
}

const cursorKey = createHash("sha256").update(`cursor:${SECRET}`).digest();
const SCOPE = "products:SALES:";

function mac(body) {
  return createHmac("sha256", cursorKey).update(`${SCOPE}\0`).update(body).digest().subarray(0, 12);
}

function signed(values) {
  const body = Buffer.from(JSON.stringify(values));
  return Buffer.concat([mac(body), body]).toString("base64url");
}

function read(cursor) {
  const raw = Buffer.from(cursor, "base64url");
  const body = raw.subarray(12);
  if (raw.length < 12 || !timingSafeEqual(raw.subarray(0, 12), mac(body))) {
    throw new mercurius.ErrorWithProps("游标无效", { code: "BAD_CURSOR" });
  }
  return JSON.parse(body);
}

function formatted(fen) {
  const whole = Math.abs(fen);
  const yuan = String(Math.trunc(whole / 100)).replace(/\B(?=(\d{3})+$)/g, ",");
  return `${fen < 0 ? "-" : ""}¥${yuan}.${String(whole % 100).padStart(2, "0")}`;
}

const money = (fen) => ({ amountMinor: fen });

const asProduct = (row) => ({
  row,
  id: gid("Product", row.id),
  title: row.title,
  subtitle: row.subtitle,
  description: row.description,
  image: row.image,
  status: row.status,
  priceRange: { low: money(row.min_price_fen), high: money(row.max_price_fen) },
  soldCount: row.sold_count,
  ratingBp: row.rating_bp,
  isFresh: Boolean(row.is_fresh),
  returnDays: row.return_days,
  customerLimit: row.customer_limit,
});

const asSupplier = (row) => ({
  id: gid("Supplier", row.id),
  name: row.name,
  ratingBp: row.rating_bp,
  shipFrom: row.ship_from,
  shipping: money(row.shipping_fen),
});

const asSku = (row) => ({
  row,
  id: gid("Sku", row.id),
  code: row.code,
  options: Object.entries(JSON.parse(row.options)).map(([name, value]) => ({ name, value })),
  price: money(row.price_fen),
  marketPrice: money(row.market_price_fen),
  weightG: row.weight_g,
});

const asGroup = (row) => ({
  id: gid("GroupBuy", row.id),
  status: row.status,
  size: row.size,
  held: row.held_count,
  remaining: row.size - row.held_count,
  expiresAt: `${row.expires_at.slice(0, 10)}T${row.expires_at.slice(11, 19)}+00:00`,
});

const asCart = (row, viewer) => ({
  row,
  viewer,
  id: gid("Cart", row.id),
  version: row.version,
});

const asLine = (row) => ({
  row,
  id: gid("CartLine", row.id),
  quantity: row.quantity,
  isSelected: Boolean(row.is_selected),
});

const asKeys = (keys) => JSON.stringify([...new Set(keys)]);

/** One value for each query: what `statement` finds under the keys that `of` reads. */
function ones(queries, of, statement, as) {
  const keys = queries.map(({ obj }) => of(obj));
  const found = new Map(statement.all(asKeys(keys)).map((row) => [row.id, as(row)]));
  return keys.map((key) => found.get(key) ?? null);
}

/** One list for each query: rows of `statement` by the column that names their parent. */
function manies(queries, rows, column, as, limit) {
  const found = new Map(queries.map(({ obj }) => [obj.row.id, []]));
  for (const row of rows) {
    const list = found.get(row[column]);
    if (list.length < limit) list.push(as(row));
  }
  return queries.map(({ obj }) => found.get(obj.row.id));
}

const parents = (queries) => asKeys(queries.map(({ obj }) => obj.row.id));

const unitPrice = (row) =>
  row.live_price_fen !== null && row.room === "LIVE" ? row.live_price_fen : row.price_fen;

const isOnSale = (row) =>
  row.sku === "ON_SALE" &&
  (row.product === "ON_SALE" || row.product === "PRE_SALE") &&
  row.supplier === "APPROVED";

/** What the selected lines that are on sale cost, per supplier and in all. */
function priced(cart) {
  if (cart.priced) return cart.priced;
  const province = sql.province.get(cart.viewer)?.province ?? "";
  const surcharged = REMOTE.some((name) => province.startsWith(name));
  const groups = new Map();
  for (const row of sql.priced.all(cart.row.id)) {
    if (!groups.has(row.supplier_id)) groups.set(row.supplier_id, { terms: row, goods: 0 });
    if (row.is_selected && isOnSale(row)) {
      groups.get(row.supplier_id).goods += row.quantity * unitPrice(row);
    }
  }
  let goods = 0;
  let shipping = 0;
  for (const { terms, goods: worth } of groups.values()) {
    goods += worth;
    if (worth === 0) continue;
    const free = terms.free_shipping_from_fen;
    shipping += free !== null && worth >= free ? 0 : terms.shipping_fen;
    if (surcharged) shipping += terms.remote_surcharge_fen;
  }
  cart.priced = { groups, goods, shipping };
  return cart.priced;
}

function refusal(code, message) {
  return { __typename: "Refusal", code, message };
}

class Refused extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

const add = db.transaction((viewer, skuId, quantity) => {
  const sku = skuId === null ? undefined : sql.sellable.get(skuId);
  if (!sku) throw new Refused("NOT_FOUND", "找不到该内容");
  if (!isOnSale(sku)) throw new Refused("SKU_UNAVAILABLE", "该规格已下架");
  const now = new Date().toISOString().replace("T", " ").replace("Z", "000");
  const { id } = sql.touchedCart.get(viewer, now);
  const line = sql.put.get(id, skuId, quantity, sku.price_fen, now);
  if (line.quantity > MOST_UNITS) {
    throw new Refused("LIMIT_EXCEEDED", `超过限购数量，最多 ${MOST_UNITS} 件`);
  }
  if (sku.customer_limit !== null) {
    const bought = sql.bought.get(viewer, sku.product_id).units;
    const most = Math.max(0, sku.customer_limit - bought);
    if (sql.inCart.get(id, sku.product_id).units > most) {
      throw new Refused("LIMIT_EXCEEDED", `超过限购数量，最多 ${most} 件`);
    }
  }
  const [stock] = sql.stocks.all(asKeys([skuId]));
  const free = available(stock);
  if (line.quantity > free) throw new Refused("OUT_OF_STOCK", `库存不足，仅剩 ${free} 件`);
});

const available = (stock) =>
  !stock || stock.shortfall ? 0 : Math.max(0, stock.on_hand - stock.allocated - stock.reserved);

const resolvers = {
  Query: {
    products(_root, { first, after }) {
      const rows = after
        ? sql.pageAfter.all(...read(after), first + 1)
        : sql.page.all(first + 1);
      const page = rows.slice(0, first);
      const last = page.at(-1);
      return {
        nodes: page.map(asProduct),
        pageInfo: {
          hasNextPage: rows.length > first,
          endCursor: last ? signed([last.sold_count, last.id]) : null,
        },
      };
    },
    product(_root, { id }) {
      const [row] = sql.products.all(asKeys([keyOf("Product", id)]));
      return row ? asProduct(row) : null;
    },
    cart(_root, _args, { viewer }) {
      const row = viewer === null ? undefined : sql.cart.get(viewer);
      return row ? asCart(row, viewer) : null;
    },
  },
  Mutation: {
    addCartLine(_root, { input }, { viewer }) {
      if (viewer === null) {
        throw new mercurius.ErrorWithProps("请先登录", { code: "UNAUTHENTICATED" });
      }
      if (input.quantity < 1) return refusal("INVALID_INPUT", "数量至少为 1");
      try {
        add.immediate(viewer, keyOf("Sku", input.skuId), input.quantity);
      } catch (error) {
        if (error instanceof Refused) return refusal(error.code, error.message);
        throw error;
      }
      return { __typename: "CartChanged", cart: asCart(sql.cart.get(viewer), viewer) };
    },
  },
  Money: { formatted: ({ amountMinor }) => formatted(amountMinor) },
  Cart: {
    cost(cart) {
      const { goods, shipping } = priced(cart);
      return { goods: money(goods), shipping: money(shipping), payable: money(goods + shipping) };
    },
    groups(cart) {
      return [...priced(cart).groups]
        .sort(([one], [other]) => one - other)
        .map(([supplierId, { goods }]) => ({ supplierId, goods: money(goods) }));
    },
  },
};

const loaders = {
  Product: {
    supplier: async (queries) =>
      ones(queries, (product) => product.row.supplier_id, sql.suppliers, asSupplier),
    category: async (queries) =>
      ones(queries, (product) => product.row.category_id, sql.categories, (row) => ({
        id: gid("Category", row.id),
        name: row.name,
      })),
    options: async (queries) =>
      manies(
        queries,
        sql.options.all(parents(queries)),
        "product_id",
        (row) => ({
          id: gid("ProductOption", row.id),
          name: row.name,
          choices: JSON.parse(row.choices),
        }),
        10,
      ),
    skus: async (queries) =>
      manies(queries, sql.skus.all(parents(queries)), "product_id", asSku, 100),
    groupBuys: async (queries, { viewer }) =>
      manies(queries, sql.groups.all(parents(queries), viewer), "product_id", asGroup, 10),
  },
  Sku: {
    available: async (queries) => {
      const rows = sql.stocks.all(parents(queries));
      const found = new Map(rows.map((row) => [row.sku_id, available(row)]));
      return queries.map(({ obj }) => found.get(obj.row.id) ?? 0);
    },
    product: async (queries) =>
      ones(queries, (sku) => sku.row.product_id, sql.products, asProduct),
  },
  Cart: {
    lines: async (queries) =>
      manies(queries, sql.lines.all(parents(queries)), "cart_id", asLine, 100),
  },
  CartLine: {
    sku: async (queries) => ones(queries, (line) => line.row.sku_id, sql.skusById, asSku),
    unitPrice: async (queries) => {
      const rows = sql.unitPrices.all(parents(queries));
      const found = new Map(rows.map((row) => [row.id, money(unitPrice(row))]));
      return queries.map(({ obj }) => found.get(obj.row.id) ?? null);
    },
  },
  CartGroup: {
    supplier: async (queries) =>
      ones(queries, (group) => group.supplierId, sql.suppliers, asSupplier),
  },
};

function viewerOf(request) {
  const [scheme, token] = (request.headers.authorization ?? "").split(" ");
  if (!scheme) return null;
  if (scheme.toLowerCase() !== "bearer") throw new Error("a bearer token is expected");
  return Number(verify(token).sub) || null;
}

const app = Fastify({ logger: false });
app.register(mercurius, {
  schema,
  resolvers,
  loaders,
  jit: 1,
  context: (request) => ({ viewer: viewerOf(request) }),
});

await app.listen({ host: "127.0.0.1", port: Number(process.argv[2]) });
process.on("SIGTERM", () => app.close().then(() => process.exit(0)));
