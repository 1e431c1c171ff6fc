import { join } from "node:path";
import type { Config } from "../config.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";
import { BOOK_FILE, BookStore } from "../position/book-store.ts";
import { OPENING_FILE, OpeningStore, type TakenOpening } from "../position/opening-store.ts";
import { type SavedSides, SIDES_FILE, SidesStore, withSides } from "../quote/sides-store.ts";
import type { SidesName } from "../quote/target.ts";
import { COUNTERPARTY_FILE, CounterpartyStore } from "../rfq/counterparty-store.ts";
import type { KillState } from "../risk/kill-switch.ts";
import { KILL_SWITCH_FILE, KillSwitchStore } from "../risk/kill-switch-store.ts";
import type { ReducingState } from "../risk/trading-state.ts";
import { openCounterparties } from "./live-counterparties.ts";
import type { LeftBehind } from "./live-start.ts";
import { StateWrites } from "./state-writes.ts";

const RETRY_US = 5_000_000;

/**
 * The files through which a run tells the next one what must not be forgotten: kill switch, sides, books, counterparties. What cannot
 * be written holds for this process, and is logged.
 */
export class StateDirectory {
  /** What the last run left behind; what cannot be read counts as the most careful that it may have been. */
  left: LeftBehind;
  /** Which opening positions an earlier run took over; null also where none are given now. */
  takenOpening: TakenOpening | null = null;
  readonly books: BookStore;
  readonly writes = new StateWrites();
  /** What could not be written, by what it is. */
  readonly #owed = new Map<string, (failed: (error: unknown) => void) => void>();
  #triedUs = Number.NEGATIVE_INFINITY;
  readonly counterparties: CounterpartyStore;
  readonly #kill: KillSwitchStore;
  readonly #sides: SidesStore;
  readonly #opening: OpeningStore;
  readonly #log: Logger;
  readonly #load: () => LeftBehind;
  /** The files are this process's to write. */
  #owned: boolean;

  /** @param given what a process holds that still runs and whose place this one is to take: its files are left alone until {@link own} */
  constructor(
    { stateDir, rfq, openingPositions }: Pick<Config, "stateDir" | "rfq" | "openingPositions">,
    clock: Clock,
    log: Logger,
    given?: LeftBehind,
  ) {
    this.#log = log;
    this.#owned = given === undefined;
    this.#load = () => {
      if (openingPositions !== undefined) this.takenOpening = this.#opening.load();
      return this.#read(rfq !== null, clock.wallUs());
    };
    this.#kill = new KillSwitchStore(join(stateDir, KILL_SWITCH_FILE));
    this.#sides = new SidesStore(join(stateDir, SIDES_FILE));
    this.#opening = new OpeningStore(join(stateDir, OPENING_FILE));
    this.books = new BookStore(join(stateDir, BOOK_FILE));
    this.counterparties = new CounterpartyStore(join(stateDir, COUNTERPARTY_FILE));
    this.left = given ?? this.#load();
    if (given?.sides !== undefined) this.#sides.begin(given.sides);
  }

  /** What operators have told of sides. */
  get sides(): SavedSides {
    return this.#sides.sides;
  }

  /** The process before this one has written its last: the files go on with this one. */
  own(): void {
    this.#owned = true;
    this.left = this.#load();
  }

  #read(clients: boolean, timeUs: number): LeftBehind {
    const log = this.#log;
    const { kill, reducing } = this.#kill.loadState(timeUs);
    const { sides, unreadable } = this.#sides.load();
    if (unreadable !== null)
      log.error("which sides are quoted cannot be read; only what reduces a position is", { unreadable });
    else if (Object.keys(sides).length > 0)
      log.warn("the sides that were told earlier are quoted until others are told", { sides });
    const opening = this.books.load();
    if (reducing !== null)
      log.warn("only what reduces a position is quoted until it is reset", { ...reducing });
    if (kill.tripped)
      log.warn("the kill switch is tripped: nothing is quoted until it is reset", { ...kill });
    const known = clients ? openCounterparties(this.counterparties, log) : [];
    const rfqCounterparties = known.length === 0 ? {} : { rfqCounterparties: known };
    return { kill, reducing, sides, opening, ...rfqCounterparties };
  }

  saveTrading(kill: KillState, reducing: ReducingState | null): void {
    if (this.#owned)
      this.#save("the kill switch's state", (failed) => this.#kill.save(kill, reducing, failed));
  }

  /** @param symbol empty for every instrument */
  saveSides(symbol: string, sides: SidesName): void {
    if (this.#owned)
      this.#save("which sides are quoted", (failed) => this.#sides.tell(symbol, sides, failed));
    else this.#sides.begin(withSides(this.#sides.sides, symbol, sides));
  }

  saveOpening(taken: TakenOpening): void {
    this.#save("which opening positions were taken over", (failed) => this.#opening.save(taken, failed));
  }

  /** Tries again what could not be written, now and then. */
  onTimer(timeUs: number): void {
    if (Math.abs(timeUs - this.#triedUs) < RETRY_US) return;
    this.#triedUs = timeUs;
    for (const [what, write] of [...this.#owed]) this.#save(what, write);
  }

  /** Fulfilled when the disk has taken or refused what was saved last. */
  async synced(): Promise<void> {
    await this.#kill.synced;
    await this.#sides.synced;
    await this.#opening.synced;
  }

  #save(what: string, write: (failed: (error: unknown) => void) => void): void {
    this.writes.written(what);
    this.#owed.delete(what);
    const failed = (error: unknown): void => {
      this.writes.failed(what);
      this.#owed.set(what, write);
      this.#log.error(`${what} cannot be written; it holds for this process only`, { error });
    };
    try {
      write(failed);
    } catch (error) {
      failed(error);
    }
  }
}
