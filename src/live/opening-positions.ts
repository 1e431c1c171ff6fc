import { stepsToDecimal } from "../core/decimal.ts";
import type { Logger } from "../core/log.ts";
import { lotsOf } from "../desk/reconciler.ts";
import type { Instrument, InstrumentTable } from "../market/instrument.ts";
import type { TakenOpening } from "../position/opening-store.ts";
import type { VenuePosition } from "../risk/reconciliation.ts";

export interface OpeningPositionsOptions {
  /** As they were given. */
  readonly positions: readonly VenuePosition[];
  readonly instruments: InstrumentTable;
  /** Has the desk take positions over, those of unknown instruments as soon as they are described. */
  readonly adopt: (positions: readonly VenuePosition[]) => void;
  /** Keeps for the next start what was taken over. */
  readonly save: (taken: TakenOpening) => void;
  readonly log: Logger;
}

/**
 * Opening positions go into the books once: what is traded afterwards is the books' to know, and a restart with the same positions
 * must not put it back. Others than those taken over before are taken over anew.
 */
export class OpeningPositions {
  readonly #options: OpeningPositionsOptions;
  readonly #digest: string;
  /** Those not in the books yet. */
  readonly #waiting = new Map<string, VenuePosition>();
  #taken: TakenOpening;
  #instrumentsSeen = -1;

  constructor(options: OpeningPositionsOptions) {
    this.#options = options;
    const digest = new Bun.CryptoHasher("sha256").update(JSON.stringify(options.positions)).digest("hex");
    this.#digest = digest;
    this.#taken = { digest, timeUs: 0, taken: [] };
  }

  /**
   * Once, when the state directory is this process's.
   *
   * @param before what an earlier start took over
   * @param hasBooks books were kept; without them the positions are in none, whatever was taken over before
   * @param handedOver the books are those of a process that ran until now, which may be from before this was kept
   */
  begin(
    before: TakenOpening | null,
    { hasBooks, handedOver }: { readonly hasBooks: boolean; readonly handedOver: boolean },
    timeUs: number,
  ): void {
    const { positions, adopt, save, log } = this.#options;
    const again = hasBooks && before?.digest === this.#digest ? before : null;
    this.#taken = again ?? { digest: this.#digest, timeUs, taken: [] };
    const taken = new Set(this.#taken.taken);
    if (before === null && handedOver) {
      log.warn("opening positions are not taken over: the positions of the process before this one count");
      this.#taken = { ...this.#taken, taken: positions.map(keyOf) };
      save(this.#taken);
      return;
    }
    for (const position of positions) {
      const key = keyOf(position);
      if (!taken.has(key)) this.#waiting.set(key, position);
    }
    const told = { waiting: this.#waiting.size, takenBefore: taken.size };
    if (again !== null) {
      const since = new Date(again.timeUs / 1_000).toISOString();
      log.info("opening positions were taken over at an earlier start: the books count", { ...told, since });
    }
    if (this.#waiting.size === 0) return;
    if (again === null) log.warn("opening positions replace what the books hold in their instruments", told);
    adopt([...this.#waiting.values()]);
  }

  /** Remembers what the books hold now: after a change of theirs has been written. */
  onTimer(): void {
    const { instruments, save } = this.#options;
    if (this.#waiting.size === 0 || instruments.size === this.#instrumentsSeen) return;
    this.#instrumentsSeen = instruments.size;
    const taken: string[] = [];
    for (const [key, position] of this.#waiting) {
      const instrument = instruments.find(position.venue, position.symbol);
      if (instrument === undefined) continue;
      this.#waiting.delete(key);
      if (this.#isWhole(position, instrument)) taken.push(key);
    }
    if (taken.length === 0) return;
    this.#taken = { ...this.#taken, taken: [...this.#taken.taken, ...taken] };
    save(this.#taken);
  }

  #isWhole({ venue, symbol, size }: VenuePosition, instrument: Instrument): boolean {
    if (!Number.isNaN(lotsOf(size, instrument))) return true;
    const lot = stepsToDecimal(1, instrument.lot);
    const told = { venue, symbol, size, lot };
    this.#options.log.error("an opening position is no whole number of lots and was not taken over", told);
    return false;
  }
}

function keyOf({ venue, symbol }: VenuePosition): string {
  return `${venue}:${symbol}`;
}
