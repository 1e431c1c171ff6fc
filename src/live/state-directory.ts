import { join } from "node:path";
import type { Config } from "../config.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";
import { BOOK_FILE, BookStore } from "../position/book-store.ts";
import { SIDES_FILE, SidesStore } from "../quote/sides-store.ts";
import type { SidesName } from "../quote/target.ts";
import { COUNTERPARTY_FILE, CounterpartyStore } from "../rfq/counterparty-store.ts";
import type { KillState } from "../risk/kill-switch.ts";
import { KILL_SWITCH_FILE, KillSwitchStore } from "../risk/kill-switch-store.ts";
import type { ReducingState } from "../risk/trading-state.ts";
import { openCounterparties } from "./live-counterparties.ts";
import type { LeftBehind } from "./live-start.ts";

/**
 * The files through which a run tells the next one what must not be forgotten: kill switch, sides, books, counterparties. What cannot
 * be written holds for this process, and is logged.
 */
export class StateDirectory {
  /** What the last run left behind; what cannot be read counts as the most careful that it may have been. */
  readonly left: LeftBehind;
  readonly books: BookStore;
  readonly counterparties: CounterpartyStore;
  readonly #kill: KillSwitchStore;
  readonly #sides: SidesStore;
  readonly #log: Logger;

  constructor({ stateDir, rfq }: Pick<Config, "stateDir" | "rfq">, clock: Clock, log: Logger) {
    this.#log = log;
    this.#kill = new KillSwitchStore(join(stateDir, KILL_SWITCH_FILE));
    this.#sides = new SidesStore(join(stateDir, SIDES_FILE));
    this.books = new BookStore(join(stateDir, BOOK_FILE));
    this.counterparties = new CounterpartyStore(join(stateDir, COUNTERPARTY_FILE));
    const { kill, reducing } = this.#kill.loadState(clock.wallUs());
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
    const known = rfq === null ? [] : openCounterparties(this.counterparties, log);
    const rfqCounterparties = known.length === 0 ? {} : { rfqCounterparties: known };
    this.left = { kill, reducing, sides, opening, ...rfqCounterparties };
  }

  saveTrading(kill: KillState, reducing: ReducingState | null): void {
    this.#save("the kill switch's state", (failed) => this.#kill.save(kill, reducing, failed));
  }

  /** @param symbol empty for every instrument */
  saveSides(symbol: string, sides: SidesName): void {
    this.#save("which sides are quoted", (failed) => this.#sides.tell(symbol, sides, failed));
  }

  /** Fulfilled when the disk has taken or refused what was saved last. */
  async synced(): Promise<void> {
    await this.#kill.synced;
    await this.#sides.synced;
  }

  #save(what: string, write: (failed: (error: unknown) => void) => void): void {
    const failed = (error: unknown): void =>
      this.#log.error(`${what} cannot be written; it holds for this process only`, { error });
    try {
      write(failed);
    } catch (error) {
      failed(error);
    }
  }
}
