import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { StreamRecord, StreamSnapshot } from "../failover/stream.ts";
import { BOOK_FILE, BookStore } from "../position/book-store.ts";
import { SIDES_FILE, SidesStore } from "../quote/sides-store.ts";
import { KILL_SWITCH_FILE, KillSwitchStore } from "../risk/kill-switch-store.ts";
import type { LiveFailoverOptions } from "./failover.ts";
import { type FollowedCounters, FollowedLeader } from "./followed-leader.ts";
import { followedState } from "./followed-trading.ts";
import type { LiveDesk } from "./live-desk.ts";

/** How long a start waits for the other one to say whether it leads. */
const FIRST_MS = 1_500;
const NOTHING: FollowedCounters = { fills: 0, fillsLost: 0, adoptions: 0 };

type FollowerOptions = Pick<LiveFailoverOptions, "stateDir" | "clock" | "log">;

/** Brings the desk that stands by to where the leader is: its books, fills, session and kill switch. */
export class LeaderFollower {
  readonly #options: FollowerOptions;
  readonly #onReleased: () => void;
  #followed: FollowedLeader | null = null;
  #first: ((snapshot: StreamSnapshot | null) => void) | null = null;
  /** What came of the leader before the desk was there: the last whole, and the records behind it. */
  #snapshot: StreamSnapshot | null = null;
  #early: StreamRecord[] = [];
  /** The whole that the state directory was written from. */
  #written: StreamSnapshot | null = null;

  /** @param onReleased told when the leader has given the lease back */
  constructor(options: FollowerOptions, onReleased: () => void) {
    this.#options = options;
    this.#onReleased = onReleased;
  }

  /** The leader's own word is being applied: it is not to be told again. */
  get applying(): boolean {
    return this.#followed?.applying === true;
  }

  get counters(): FollowedCounters {
    return this.#followed?.counters ?? NOTHING;
  }

  /**
   * To be called before the desk is made: where the other one leads, its books and sides replace this host's own, and its kill switch
   * what is not this host's own. Returns when it has answered, or soon when it does not; what it says later is taken over by {@link start}.
   */
  async takeOver(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<StreamSnapshot | null>();
    this.#first = resolve;
    const timer = setTimeout(() => resolve(null), FIRST_MS);
    const snapshot = await promise;
    clearTimeout(timer);
    this.#first = null;
    if (snapshot === null) return;
    const { stateDir, clock, log } = this.#options;
    mkdirSync(stateDir, { recursive: true });
    const books = new BookStore(join(stateDir, BOOK_FILE));
    books.load();
    books.saveSync(snapshot.books);
    books.close();
    const trading = new KillSwitchStore(join(stateDir, KILL_SWITCH_FILE));
    const { kill, reducing } = followedState(trading.loadState(clock.wallUs()), snapshot);
    trading.save(kill, reducing);
    new SidesStore(join(stateDir, SIDES_FILE)).replace(snapshot.sides);
    this.#written = snapshot;
    log.info("the leader's books are taken over", { positions: snapshot.positions.length });
  }

  /** The desk runs: what came before it did is applied now. */
  start(live: LiveDesk): void {
    const followed = new FollowedLeader(live);
    this.#followed = followed;
    const snapshot = this.#snapshot;
    if (snapshot !== null && snapshot === this.#written) followed.begin(snapshot);
    else if (snapshot !== null) followed.adopt(snapshot);
    for (const record of this.#early) this.#apply(record, followed);
    this.#snapshot = null;
    this.#written = null;
    this.#early = [];
  }

  onSnapshot(snapshot: StreamSnapshot): void {
    if (this.#followed !== null) {
      this.#followed.adopt(snapshot);
      return;
    }
    this.#snapshot = snapshot;
    this.#early = [];
    this.#first?.(snapshot);
  }

  onRecord(record: StreamRecord): void {
    if (this.#followed === null) this.#early.push(record);
    else this.#apply(record, this.#followed);
  }

  /** What waited for its instrument to be described is applied. */
  settleWaiting(): void {
    this.#followed?.settle();
  }

  #apply(record: StreamRecord, followed: FollowedLeader): void {
    if (record.what === "released") this.#onReleased();
    else followed.apply(record);
  }
}
