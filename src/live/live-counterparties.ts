import { LaterVersionError } from "../core/file-version.ts";
import type { Logger } from "../core/log.ts";
import type { CounterpartyStore, SavedCounterparty } from "../rfq/counterparty-store.ts";
import type { RfqDesk } from "../rfq/rfq-desk.ts";

/** What was learnt of counterparties is written this often, where it has changed. */
const SAVE_US = 5_000_000;

/**
 * What the last run learnt; without a file that can be read everybody is new.
 *
 * @throws LaterVersionError for what a later keel has learnt: it is not to be written over
 */
export function openCounterparties(store: CounterpartyStore, log: Logger): SavedCounterparty[] {
  try {
    return store.load();
  } catch (error) {
    if (error instanceof LaterVersionError) throw error;
    log.error("what is known of counterparties cannot be read: every one counts as new", { error });
    return [];
  }
}

/** Writes what is learnt of counterparties, off the line. */
export class LiveCounterparties {
  readonly #rfq: RfqDesk;
  readonly #store: CounterpartyStore;
  readonly #log: Logger;
  #savedUs = 0;
  #savedRevision = 0;

  constructor(rfq: RfqDesk, store: CounterpartyStore, log: Logger) {
    this.#rfq = rfq;
    this.#store = store;
    this.#log = log;
  }

  onTimer(timeUs: number): void {
    if (timeUs - this.#savedUs < SAVE_US) return;
    this.#savedUs = timeUs;
    if (this.#rfq.revision === this.#savedRevision || this.#store.saving !== null) return;
    this.#savedRevision = this.#rfq.revision;
    this.#store.save(this.#rfq.saved()).catch((error: unknown) => this.#failed(error));
  }

  async stop(): Promise<void> {
    await this.#store.saving?.catch(() => {});
    if (this.#rfq.revision === 0) return;
    try {
      this.#store.saveSync(this.#rfq.saved());
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    this.#log.error("what is known of counterparties cannot be written", { error });
  }
}
