import { Histogram } from "../core/histogram.ts";
import { Rng } from "../core/rng.ts";
import { SIDE } from "../market/event-batch.ts";
import { BOOK_SHAPE } from "../market/l2-book.ts";
import { L3Book } from "../market/l3-book.ts";
import { OrderKey } from "../market/order-key.ts";
import { type BenchRatio, type BenchRow, ratioOf, rowOf } from "./report.ts";

const UPDATES = 200_000;
const RESTING = 20_000;
const MIDDLE_TICKS = 5_000_000;

type Kind = "add" | "reduce" | "remove";

/** One message of a full channel, reduced to what a book takes. */
interface Update {
  readonly kind: Kind;
  readonly id: string;
  readonly side: number;
  readonly priceTicks: number;
  readonly lots: number;
}

/** Orders that mostly come and go near the touch, as on a busy spot market: 20,000 rest, and about as many come as go. */
function orderFlow(seed: number): readonly Update[] {
  const rng = new Rng(seed);
  const resting: Update[] = [];
  const updates: Update[] = [];
  const hex = (digits: number): string => rng.uint32().toString(16).padStart(8, "0").slice(0, digits);
  for (let count = 0; count < UPDATES + RESTING; count += 1) {
    const draw = count < RESTING ? 0 : rng.int(100);
    if (draw < 49) {
      const side = rng.int(2);
      const away = Math.floor(400 * rng.next() ** 4 * (1 + 20 * rng.next() ** 8));
      const priceTicks = side === SIDE.bid ? MIDDLE_TICKS - away : MIDDLE_TICKS + 1 + away;
      const id = `${hex(8)}-${hex(4)}-${hex(4)}-${hex(4)}-${hex(8)}${hex(4)}`;
      const update: Update = { kind: "add", id, side, priceTicks, lots: 10 + rng.int(1_000_000) };
      resting.push(update);
      updates.push(update);
      continue;
    }
    const at = rng.int(resting.length);
    const order = resting[at];
    if (draw < 53) {
      updates.push({ ...order, kind: "reduce", lots: 1 });
      continue;
    }
    updates.push({ ...order, kind: "remove" });
    resting[at] = resting[resting.length - 1];
    resting.pop();
  }
  return updates;
}

/** The plain book by order: maps of objects, a queue being a map in the order of its entries, the best looked for when it goes. */
class MapOrderBook {
  readonly #orders = new Map<string, { readonly side: number; readonly priceTicks: number; lots: number }>();
  readonly #levels: readonly [
    Map<number, { lots: number; queue: Set<string> }>,
    Map<number, { lots: number; queue: Set<string> }>,
  ] = [new Map(), new Map()];
  readonly best = [-1, -1];

  apply({ kind, id, side, priceTicks, lots }: Update): void {
    if (kind === "add") {
      const levels = this.#levels[side === SIDE.bid ? 0 : 1];
      let level = levels.get(priceTicks);
      if (level === undefined) {
        level = { lots: 0, queue: new Set() };
        levels.set(priceTicks, level);
        const best = this.best[side];
        if (best < 0 || (side === SIDE.bid ? priceTicks > best : priceTicks < best))
          this.best[side] = priceTicks;
      }
      level.lots += lots;
      level.queue.add(id);
      this.#orders.set(id, { side, priceTicks, lots });
      return;
    }
    const order = this.#orders.get(id);
    if (order === undefined) return;
    const levels = this.#levels[order.side === SIDE.bid ? 0 : 1];
    const level = levels.get(order.priceTicks);
    if (level === undefined) return;
    const taken = kind === "remove" ? order.lots : Math.min(lots, order.lots);
    order.lots -= taken;
    level.lots -= taken;
    if (order.lots > 0) return;
    this.#orders.delete(id);
    level.queue.delete(id);
    if (level.queue.size > 0) return;
    levels.delete(order.priceTicks);
    if (order.priceTicks !== this.best[order.side]) return;
    let best = -1;
    for (const price of levels.keys()) {
      if (best < 0 || (order.side === SIDE.bid ? price > best : price < best)) best = price;
    }
    this.best[order.side] = best;
  }
}

function applyTo(
  book: L3Book,
  key: OrderKey,
  { kind, id, side, priceTicks, lots }: Update,
  timeUs: number,
): void {
  key.setUuid(id);
  if (kind === "add") book.add(key, side, priceTicks, lots, timeUs);
  else if (kind === "reduce") book.reduce(key, lots);
  else book.remove(key);
}

/** Time per update of {@link L3Book}, reading the id's text included, beside a book of maps on the same updates in the same run. */
export function benchL3(
  seed: number,
  rounds: number,
): { readonly rows: readonly BenchRow[]; readonly ratio: BenchRatio; readonly checksum: string } {
  const updates = orderFlow(seed);
  const ours = { spent: new Histogram(), ns: 0 };
  const theirs = { spent: new Histogram(), ns: 0 };
  const key = new OrderKey();
  let checksum = "";
  for (let round = 0; round <= rounds; round += 1) {
    if (round === 1) {
      for (const side of [ours, theirs]) {
        side.spent.reset();
        side.ns = 0;
      }
    }
    const book = new L3Book({ shape: BOOK_SHAPE.spot, initialOrders: 32_768, seed });
    const map = new MapOrderBook();
    for (const [at, update] of updates.entries()) {
      // Whoever comes second finds the update in the cache, so they take turns.
      for (const isOurs of at % 2 === 0 ? [true, false] : [false, true]) {
        const before = Bun.nanoseconds();
        if (isOurs) applyTo(book, key, update, at);
        else map.apply(update);
        const ns = Bun.nanoseconds() - before;
        if (at < RESTING) continue;
        const side = isOurs ? ours : theirs;
        side.spent.record(ns);
        side.ns += ns;
      }
    }
    checksum = `${book.bestBidTicks}/${book.bestAskTicks}/${book.orders}`;
    if (book.bestBidTicks !== map.best[SIDE.bid] || book.bestAskTicks !== map.best[SIDE.ask]) {
      throw new Error(`the books by order differ: ${checksum} against ${map.best.join("/")}`);
    }
  }
  const row = (name: string, { spent, ns }: typeof ours): BenchRow =>
    rowOf(name, spent, "ns", { perSecond: Math.round((spent.count * 1e9) / ns) });
  const l3 = row("book/l3-update", ours);
  const map = row("book/l3-map", theirs);
  return { rows: [l3, map], ratio: ratioOf("book/l3-map:l3-update", map, l3), checksum };
}
