import { invariant } from "../core/invariant.ts";

/** Kinds of records, as in `shaders/features.wgsl`. */
export const SWEEP_EVENT = { top: 0, book: 1, trade: 2, ticker: 3, volatility: 4 } as const;

/** Words of a record's values after its link, kind and time, by kind. */
const VALUE_WORDS = [6, 32, 2, 5, 1] as const;
const RECORD_HEADER_WORDS = 3;

const HEADER_WORDS = 8;
const ENTRY_WORDS = 4;
const ENTRIES = 0;
const SIGNALS = 2;
const ENTRIES_AT = 5;

/** An entry that only brings the slot's state up to date. */
const NO_ROW = 0xffffffff;
/** The slot starts anew, whatever the device holds. */
const FRESH = 0x80000000;

/**
 * What the next sweep is to take in, laid out as it goes to the device: each slot's events as a chain of records in their
 * order, and an entry for each slot that has any or is to have a row written. Fixed size; nothing is allocated after
 * construction.
 */
export class SweepUpload {
  readonly words: Uint32Array<ArrayBuffer>;
  readonly #floats: Float32Array;
  readonly #recordsEnd: number;
  /** `[slot]`: first and last record of its chain, 0 = none. */
  readonly #head: Uint32Array;
  readonly #tail: Uint32Array;
  readonly #fresh: Uint8Array;
  readonly #listed: Uint8Array;
  readonly #row: Int32Array;
  readonly #rowDelta: Uint32Array;
  readonly #dirty: Int32Array;
  #dirtyCount = 0;
  #end = HEADER_WORDS;
  #rows = 0;

  /** @param recordWords room for records, in words of 4 bytes */
  constructor(slotCount: number, recordWords: number) {
    invariant(recordWords >= RECORD_HEADER_WORDS + VALUE_WORDS[SWEEP_EVENT.book], "room for one record");
    this.#recordsEnd = HEADER_WORDS + recordWords;
    this.words = new Uint32Array(this.#recordsEnd + slotCount * ENTRY_WORDS);
    this.#floats = new Float32Array(this.words.buffer);
    this.#head = new Uint32Array(slotCount);
    this.#tail = new Uint32Array(slotCount);
    this.#fresh = new Uint8Array(slotCount).fill(1);
    this.#listed = new Uint8Array(slotCount);
    this.#row = new Int32Array(slotCount).fill(-1);
    this.#rowDelta = new Uint32Array(slotCount);
    this.#dirty = new Int32Array(slotCount);
  }

  /** Slots with anything to do. */
  get dirtyCount(): number {
    return this.#dirtyCount;
  }

  hasRow(slot: number): boolean {
    return this.#row[slot] >= 0;
  }

  /** Whether a record of this kind still fits. */
  fits(kind: number): boolean {
    return this.#end + RECORD_HEADER_WORDS + VALUE_WORDS[kind] <= this.#recordsEnd;
  }

  /** Appends a record to the slot's chain. @returns the word at which its values begin */
  append(slot: number, kind: number, deltaQuarters: number): number {
    const at = this.#end;
    this.#end = at + RECORD_HEADER_WORDS + VALUE_WORDS[kind];
    this.words[at] = 0;
    this.words[at + 1] = kind;
    this.words[at + 2] = deltaQuarters;
    if (this.#head[slot] === 0) this.#head[slot] = at;
    else this.words[this.#tail[slot]] = at;
    this.#tail[slot] = at;
    this.#list(slot);
    return at + RECORD_HEADER_WORDS;
  }

  integer(at: number, value: number): void {
    this.words[at] = value;
  }

  float(at: number, value: number): void {
    this.#floats[at] = value;
  }

  signal(signal: number, value: number): void {
    this.#floats[SIGNALS + signal] = value;
  }

  /** The slot's row is written as of `deltaQuarters` after its last record. */
  wantRow(slot: number, row: number, deltaQuarters: number): void {
    if (this.#row[slot] < 0) this.#rows += 1;
    this.#row[slot] = row;
    this.#rowDelta[slot] = deltaQuarters;
    this.#list(slot);
  }

  /** Whatever the slot held or has waiting is void. */
  reset(slot: number): void {
    this.#head[slot] = 0;
    this.#fresh[slot] = 1;
    if (this.#row[slot] >= 0) {
      this.#row[slot] = -1;
      this.#rows -= 1;
    }
  }

  /** Forgets what waits in all slots and that the device holds anything. */
  clear(): void {
    for (let slot = 0; slot < this.#fresh.length; slot += 1) this.reset(slot);
    this.#restart();
  }

  /** Writes the entries behind the records. @returns how many words are to go to the device; nothing waits any more */
  seal(): number {
    const { words } = this;
    let at = this.#end;
    words[ENTRIES] = this.#dirtyCount;
    words[ENTRIES_AT] = at;
    for (let index = 0; index < this.#dirtyCount; index += 1) {
      const slot = this.#dirty[index];
      const row = this.#row[slot];
      words[at] = this.#fresh[slot] === 1 ? slot + FRESH : slot;
      words[at + 1] = this.#head[slot];
      words[at + 2] = row < 0 ? 0 : this.#rowDelta[slot];
      words[at + 3] = row < 0 ? NO_ROW : row;
      this.#fresh[slot] = 0;
      this.#head[slot] = 0;
      this.#row[slot] = -1;
      at += ENTRY_WORDS;
    }
    this.#restart();
    return at;
  }

  #restart(): void {
    for (let index = 0; index < this.#dirtyCount; index += 1) this.#listed[this.#dirty[index]] = 0;
    this.#dirtyCount = 0;
    this.#rows = 0;
    this.#end = HEADER_WORDS;
  }

  #list(slot: number): void {
    if (this.#listed[slot] === 1) return;
    this.#listed[slot] = 1;
    this.#dirty[this.#dirtyCount] = slot;
    this.#dirtyCount += 1;
  }
}
