import type { DatasetRow, RowSink, RowSource } from "./row.ts";

/** Row counts between hashes at first; doubled when there are too many. */
const STEP = 1_024;
const HASHES_MAX = 64;

/** What all rows up to one, in order, were: their times, instruments and features. */
export interface RowHash {
  readonly rows: number;
  readonly timeUs: number;
  readonly sha256: string;
}

/** Hashes rows as they come, with a few hashes on the way. */
export class RowHashes implements RowSink {
  readonly #hasher = new Bun.CryptoHasher("sha256");
  readonly #time = new Float64Array(1);
  #hashes: RowHash[] = [];
  #step = STEP;
  #rows = 0;
  #timeUs = Number.NaN;

  row({ timeUs, instrument, features }: DatasetRow): void {
    this.#time[0] = timeUs;
    this.#hasher.update(this.#time);
    this.#hasher.update(instrument);
    this.#hasher.update(features);
    this.#rows += 1;
    this.#timeUs = timeUs;
    if (this.#rows % this.#step !== 0) return;
    this.#hashes.push(this.now());
    if (this.#hashes.length < HASHES_MAX) return;
    this.#step *= 2;
    this.#hashes = this.#hashes.filter(({ rows }) => rows % this.#step === 0);
  }

  broken(): void {}

  now(): RowHash {
    return { rows: this.#rows, timeUs: this.#timeUs, sha256: this.#hasher.copy().digest("hex") };
  }

  /** On the way, and the last. */
  all(): RowHash[] {
    const last = this.#hashes.at(-1);
    return last?.rows === this.#rows || this.#rows === 0 ? this.#hashes : [...this.#hashes, this.now()];
  }
}

/** Where a source is cut off to look for leaks: after a quarter and a half of its rows. */
export function leakCuts(hashes: readonly RowHash[]): RowHash[] {
  const at = new Set([0.25, 0.5].map((share) => Math.floor((hashes.length - 1) * share)));
  return [...at].flatMap((index) => hashes[index] ?? []);
}

/**
 * Shows that no feature knows what came after its time: the source is played anew with nothing after the time of a row that was hashed,
 * and gives the same rows up to it, bit for bit.
 *
 * @param hash of the rows as they were made with the whole source at hand
 * @returns null when that is so, or in words how it is not
 */
export async function truncatedDiffers(source: RowSource, hash: RowHash): Promise<string | null> {
  const hashes = new RowHashes();
  let rows = 0;
  let same = false;
  await source.play(
    {
      row: (row) => {
        rows += 1;
        if (rows > hash.rows) return;
        hashes.row(row);
        if (rows === hash.rows) same = hashes.now().sha256 === hash.sha256;
      },
      broken: () => {},
    },
    hash.timeUs,
  );
  const when = new Date(hash.timeUs / 1_000).toISOString();
  if (rows < hash.rows) {
    return `without what came after ${when} there are ${rows} rows up to then, not ${hash.rows}`;
  }
  return same ? null : `without what came after ${when} the rows up to then are others`;
}
