import type { StreamRecord, StreamSnapshot } from "../failover/stream.ts";
import { FixQuoteGateway } from "../gateway/fix/quote-gateway.ts";
import type { ExecutionDetail } from "../gateway/gateway.ts";
import { placeOf } from "../market/instrument.ts";
import type { SidesName } from "../quote/target.ts";
import type { VenuePosition } from "../risk/reconciliation.ts";
import { positionsOf, sessionRecords } from "./failover-snapshot.ts";
import { followTrading } from "./followed-trading.ts";
import type { LiveDesk } from "./live-desk.ts";

/** Records of instruments that no feed has described or priced yet. */
const WAITING_MAX = 65_536;

type Fill = Extract<StreamRecord, { readonly what: "fill" }>;
type Sides = Extract<StreamRecord, { readonly what: "sides" }>;

export interface FollowedCounters {
  /** Fills taken over one by one. */
  fills: number;
  fillsLost: number;
  /** Times that positions were taken over as a whole. */
  adoptions: number;
}

/** What happens to the process that quotes, on the desk of the one that stands by. */
export class FollowedLeader {
  readonly counters: FollowedCounters = { fills: 0, fillsLost: 0, adoptions: 0 };
  readonly #live: LiveDesk;
  #waiting: (Fill | Sides)[] = [];
  #applying = false;
  readonly #follow: typeof followTrading;

  /** @param follow how the trading state is followed: that of the leader of a pair, or of the process whose place this one takes */
  constructor(live: LiveDesk, follow: typeof followTrading = followTrading) {
    this.#live = live;
    this.#follow = follow;
  }

  /** The leader's own word is being applied: it is not to be told again. */
  get applying(): boolean {
    return this.#applying;
  }

  apply(record: StreamRecord): void {
    this.#applying = true;
    try {
      this.#apply(record);
    } finally {
      this.#applying = false;
    }
  }

  /** Records that wait for their instrument. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Takes over everything as a whole: positions, sides, trading state and session. */
  adopt(snapshot: StreamSnapshot): void {
    this.counters.adoptions += 1;
    this.#live.log.warn("the leader's positions are taken over as a whole");
    this.begin(snapshot);
  }

  /** {@link adopt}, for a desk that was begun with the leader's books: what they cannot say is taken over. */
  begin(snapshot: StreamSnapshot): void {
    const live = this.#live;
    this.#waiting = [];
    live.adoptLeader(positionsToTake(snapshot, live));
    if (snapshot.trades !== undefined) live.gateway.adoptTrades?.(snapshot.trades);
    this.adoptOrders(snapshot);
    for (const record of sessionRecords(snapshot)) this.apply(record);
  }

  /** What operators have said, as a whole. */
  adoptOrders({ sides, kill, reducing }: StreamSnapshot): void {
    const own = this.#live.sides;
    const told: [string, SidesName][] = Object.entries({ ...sides });
    for (const symbol of Object.keys(own)) if (!(symbol in sides)) told.push([symbol, "both"]);
    // What is said of every instrument goes before what is said of one.
    for (const [symbol, named] of told.sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (own[symbol] !== named) this.apply({ what: "sides", symbol, sides: named });
    }
    this.apply({ what: "trading", kill, reducing });
  }

  /** To be called now and then: what waited for its instrument. */
  settle(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const record of waiting) this.apply(record);
  }

  #apply(record: StreamRecord): void {
    const live = this.#live;
    switch (record.what) {
      case "fill":
        this.#fill(record);
        break;
      case "session":
        if (live.gateway instanceof FixQuoteGateway) live.gateway.followSession(record.word);
        break;
      case "sides":
        if (live.trading.setSides(record.symbol, record.sides) === 0 && record.symbol !== "")
          this.#wait(record);
        break;
      case "trading":
        this.#follow(live, record.kill, record.reducing);
        break;
      case "released":
        break;
    }
  }

  #fill(fill: Fill): void {
    const live = this.#live;
    live.gateway.followTrade?.(fill.symbol, fill.executionId);
    const instrument = live.desk.market.instruments.find(fill.venue, fill.symbol);
    // Before there is a price no limit could be held against the fill, and the kill switch would trip.
    if (instrument === undefined || !live.desk.gate.canValue(instrument.id)) {
      this.#wait(fill);
      return;
    }
    this.counters.fills += 1;
    const { executionId, side, priceTicks, sizeLots } = fill;
    const detail: ExecutionDetail = Object.fromEntries(
      Object.entries(fill.detail).filter(([, value]) => value !== undefined),
    );
    const timeUs = live.clock.wallUs();
    live.leaderEvents.onExecution(executionId, instrument.id, side, priceTicks, sizeLots, timeUs, detail);
  }

  #wait(record: Fill | Sides): void {
    if (this.#waiting.length < WAITING_MAX) this.#waiting.push(record);
    else if (record.what === "fill") this.counters.fillsLost += 1;
  }
}

/** The leader's positions, and as flat what this desk holds or has opened its books with and the leader does not name. */
function positionsToTake({ books, positions }: StreamSnapshot, live: LiveDesk): VenuePosition[] {
  const told = new Map<string, VenuePosition>();
  for (const position of positions) told.set(`${position.venue}:${position.symbol}`, position);
  const add = (name: string, held: Pick<VenuePosition, "size" | "lots">): void => {
    const place = told.has(name) ? null : placeOf(name);
    if (place !== null) told.set(name, { ...place, ...held, averagePrice: null });
  };
  // The leader has begun with these, and nothing has described their instruments to it.
  for (const [name, { lots }] of Object.entries(books.positions))
    if (lots !== 0) add(name, { size: "", lots });
  for (const { venue, symbol } of positionsOf(live)) add(`${venue}:${symbol}`, { size: "0" });
  for (const name of live.desk.book.unresolved) add(name, { size: "0" });
  return [...told.values()];
}
