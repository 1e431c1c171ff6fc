import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { StreamRecord, StreamSnapshot } from "../failover/stream.ts";
import { FixQuoteGateway } from "../gateway/fix/quote-gateway.ts";
import type { ExecutionDetail } from "../gateway/gateway.ts";
import { BOOK_FILE, BookStore } from "../position/book-store.ts";
import type { KillState } from "../risk/kill-switch.ts";
import { KILL_SWITCH_FILE, KillSwitchStore } from "../risk/kill-switch-store.ts";
import type { ReducingState } from "../risk/trading-state.ts";
import type { LiveFailoverOptions } from "./failover.ts";
import { positionsOf, sessionRecords } from "./failover-snapshot.ts";
import type { LiveDesk } from "./live-desk.ts";

/** How long a start waits for the other one to say whether it leads. */
const FIRST_MS = 1_500;
/** Fills of instruments that no feed has described yet. */
const WAITING_MAX = 65_536;

type FillRecord = Extract<StreamRecord, { readonly what: "fill" }>;

/** Brings the desk that stands by to where the leader is: its books, fills, session and kill switch. */
export class LeaderFollower {
  adoptions = 0;
  fillsFollowed = 0;
  fillsLost = 0;
  readonly #options: LiveFailoverOptions;
  readonly #onReleased: () => void;
  #live: LiveDesk | null = null;
  #first: ((snapshot: StreamSnapshot | null) => void) | null = null;
  /** What came of the leader before the desk was there. */
  #early: StreamRecord[] = [];
  #waiting: FillRecord[] = [];
  #applying = false;

  /** @param onReleased told when the leader has given the lease back */
  constructor(options: LiveFailoverOptions, onReleased: () => void) {
    this.#options = options;
    this.#onReleased = onReleased;
  }

  /** The leader's own word is being applied: it is not to be told again. */
  get applying(): boolean {
    return this.#applying;
  }

  /**
   * To be called before the desk is made: where the other one leads, its books and its kill switch replace this host's own. Returns
   * when it has answered, or soon when it does not.
   */
  async takeOver(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<StreamSnapshot | null>();
    this.#first = resolve;
    const timer = setTimeout(() => resolve(null), FIRST_MS);
    const snapshot = await promise;
    clearTimeout(timer);
    this.#first = null;
    if (snapshot === null) return;
    const { stateDir, log } = this.#options;
    mkdirSync(stateDir, { recursive: true });
    const books = new BookStore(join(stateDir, BOOK_FILE));
    books.load();
    books.saveSync(snapshot.books);
    books.close();
    new KillSwitchStore(join(stateDir, KILL_SWITCH_FILE)).save(snapshot.kill, snapshot.reducing);
    this.#early.unshift(...sessionRecords(snapshot));
    log.info("the leader's books are taken over", { positions: snapshot.positions.length });
  }

  /** The desk runs: what came before it did is applied now. */
  start(live: LiveDesk): void {
    this.#live = live;
    const early = this.#early;
    this.#early = [];
    for (const record of early) this.#apply(record, live);
  }

  onSnapshot(snapshot: StreamSnapshot): void {
    if (this.#first !== null) {
      this.#first(snapshot);
      return;
    }
    const live = this.#live;
    if (live === null) return;
    const { log } = this.#options;
    this.adoptions += 1;
    log.warn("the leader's positions are taken over as a whole");
    const named = new Set(snapshot.positions.map(({ venue, symbol }) => `${venue}:${symbol}`));
    const flat = positionsOf(live).filter(({ venue, symbol }) => !named.has(`${venue}:${symbol}`));
    this.#waiting = [];
    live.adoptLeader([
      ...snapshot.positions,
      ...flat.map((position) => ({ ...position, size: "0", averagePrice: null })),
    ]);
    this.#apply({ what: "trading", kill: snapshot.kill, reducing: snapshot.reducing }, live);
    for (const record of sessionRecords(snapshot)) this.#apply(record, live);
  }

  onRecord(record: StreamRecord): void {
    if (this.#live === null) this.#early.push(record);
    else this.#apply(record, this.#live);
  }

  /** Fills of instruments that have been described since are applied. */
  settleWaiting(): void {
    const live = this.#live;
    if (this.#waiting.length === 0 || live === null) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#applying = true;
    for (const fill of waiting) this.#fill(fill, live);
    this.#applying = false;
  }

  #apply(record: StreamRecord, live: LiveDesk): void {
    if (record.what === "released") {
      this.#onReleased();
      return;
    }
    this.#applying = true;
    try {
      if (record.what === "fill") this.#fill(record, live);
      else if (record.what === "session") {
        if (live.gateway instanceof FixQuoteGateway) live.gateway.followSession(record.word);
      } else followTrading(record.kill, record.reducing, live);
    } finally {
      this.#applying = false;
    }
  }

  #fill(fill: FillRecord, live: LiveDesk): void {
    const instrument = live.desk.market.instruments.find(fill.venue, fill.symbol);
    if (instrument === undefined) {
      if (this.#waiting.length < WAITING_MAX) this.#waiting.push(fill);
      else this.fillsLost += 1;
      return;
    }
    this.fillsFollowed += 1;
    const { executionId, side, priceTicks, sizeLots } = fill;
    const detail: ExecutionDetail = Object.fromEntries(
      Object.entries(fill.detail).filter(([, value]) => value !== undefined),
    );
    const timeUs = this.#options.clock.wallUs();
    live.leaderEvents.onExecution(executionId, instrument.id, side, priceTicks, sizeLots, timeUs, detail);
  }
}

/** The leader's trading state, on the desk that stands by. */
function followTrading(kill: KillState, reducing: ReducingState | null, live: LiveDesk): void {
  const { gate } = live.desk;
  if ((gate.kill.tripped && !kill.tripped) || (gate.reducing !== null && reducing === null)) live.resetKill();
  if (kill.tripped && !gate.kill.tripped) live.kill(kill.reason);
  if (reducing !== null && gate.reducing === null) live.reduce(reducing.reason);
}
