import { invariant } from "./invariant.ts";

const ENTRIES = 256;
const BYTES = 8_192;
const SCRATCH_BYTES = 256;
const BYTES_PER_CHARACTER = 3;
const NONE = -1;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * The latest texts of a stream, each once, up to a number; older ones are forgotten. They lie in bytes that grow to what is kept and are
 * then written over: a string for each would live for hours among short-lived ones, and hold the blocks of the heap that those leave empty.
 * Compared by their UTF-8, so that lone surrogates are all one character.
 */
export class RecentTexts {
  readonly #capacity: number;
  #bytes = new Uint8Array(BYTES);
  #entries = new Entries(ENTRIES);
  /** Of all bytes and entries that ever were: where the oldest kept begin, and where the next one goes. */
  #firstByte = 0;
  #nextByte = 0;
  #first = 0;
  #next = 0;
  #scratch = new Uint8Array(SCRATCH_BYTES);
  #scratchLength = 0;
  #hash = 0;

  /** @param capacity texts that are kept */
  constructor(capacity: number) {
    invariant(capacity > 0, `at least one text is kept, got ${capacity}`);
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#next - this.#first;
  }

  has(text: string): boolean {
    this.#encode(text);
    return this.#isKnown();
  }

  /** @returns false when it is known; it stays where it is in the order. */
  add(text: string): boolean {
    this.#encode(text);
    if (this.#isKnown()) return false;
    if (this.size === this.#capacity) this.#forgetOldest();
    if (this.size === this.#entries.size) this.#growEntries();
    while (this.#nextByte - this.#firstByte + this.#scratchLength > this.#bytes.length) this.#growBytes();
    for (let at = 0; at < this.#scratchLength; at += 1) {
      this.#bytes[(this.#nextByte + at) % this.#bytes.length] = this.#scratch[at];
    }
    this.#entries.put(this.#next, this.#hash, this.#nextByte, this.#scratchLength);
    this.#nextByte += this.#scratchLength;
    this.#next += 1;
    return true;
  }

  /** The last `count` of them, oldest first. */
  latest(count: number): string[] {
    const from = Math.max(this.#first, this.#next - count);
    return Array.from({ length: this.#next - from }, (_, at) => this.#text(from + at));
  }

  #text(entry: number): string {
    const size = this.#bytes.length;
    const begin = this.#entries.begin(entry) % size;
    const end = begin + this.#entries.length(entry);
    if (end <= size) return decoder.decode(this.#bytes.subarray(begin, end));
    const bytes = new Uint8Array(end - begin);
    bytes.set(this.#bytes.subarray(begin));
    bytes.set(this.#bytes.subarray(0, end - size), size - begin);
    return decoder.decode(bytes);
  }

  #encode(text: string): void {
    if (text.length * BYTES_PER_CHARACTER > this.#scratch.length) {
      this.#scratch = new Uint8Array(text.length * BYTES_PER_CHARACTER);
    }
    this.#scratchLength = encoder.encodeInto(text, this.#scratch).written;
    // FNV-1a, 32 bits.
    let hash = 0x811c9dc5;
    for (let at = 0; at < this.#scratchLength; at += 1) {
      hash = Math.imul(hash ^ this.#scratch[at], 0x01000193);
    }
    this.#hash = hash >>> 0;
  }

  #isKnown(): boolean {
    let entry = this.#entries.first(this.#hash);
    while (entry !== NONE) {
      if (this.#entries.hash(entry) === this.#hash && this.#isText(entry)) return true;
      entry = this.#entries.following(entry);
    }
    return false;
  }

  #isText(entry: number): boolean {
    if (this.#entries.length(entry) !== this.#scratchLength) return false;
    const begin = this.#entries.begin(entry);
    for (let at = 0; at < this.#scratchLength; at += 1) {
      if (this.#bytes[(begin + at) % this.#bytes.length] !== this.#scratch[at]) return false;
    }
    return true;
  }

  #forgetOldest(): void {
    this.#firstByte += this.#entries.length(this.#first);
    this.#entries.remove(this.#first);
    this.#first += 1;
  }

  #growEntries(): void {
    const before = this.#entries;
    const entries = new Entries(Math.min(before.size * 2, this.#capacity));
    for (let entry = this.#first; entry < this.#next; entry += 1) {
      entries.put(entry, before.hash(entry), before.begin(entry), before.length(entry));
    }
    this.#entries = entries;
  }

  #growBytes(): void {
    const { length } = this.#bytes;
    const bytes = new Uint8Array(length * 2);
    // Whichever half of the larger ring a byte belongs to, it is there.
    bytes.set(this.#bytes);
    bytes.set(this.#bytes, length);
    this.#bytes = bytes;
  }
}

/** A hash table with chains over entries that are numbered on and on, of which so many of the latest are there. */
class Entries {
  readonly size: number;
  readonly #heads: Float64Array;
  readonly #following: Float64Array;
  readonly #hashes: Uint32Array;
  readonly #begins: Float64Array;
  readonly #lengths: Uint32Array;

  constructor(size: number) {
    this.size = size;
    this.#heads = new Float64Array(size).fill(NONE);
    this.#following = new Float64Array(size);
    this.#hashes = new Uint32Array(size);
    this.#begins = new Float64Array(size);
    this.#lengths = new Uint32Array(size);
  }

  put(entry: number, hash: number, begin: number, length: number): void {
    const slot = entry % this.size;
    this.#following[slot] = this.#heads[hash % this.size];
    this.#heads[hash % this.size] = entry;
    this.#hashes[slot] = hash;
    this.#begins[slot] = begin;
    this.#lengths[slot] = length;
  }

  remove(entry: number): void {
    const head = this.hash(entry) % this.size;
    if (this.#heads[head] === entry) {
      this.#heads[head] = this.following(entry);
      return;
    }
    let before = this.#heads[head];
    while (this.following(before) !== entry) before = this.following(before);
    this.#following[before % this.size] = this.following(entry);
  }

  /** Head of the chain that a hash belongs to. */
  first(hash: number): number {
    return this.#heads[hash % this.size];
  }

  following(entry: number): number {
    return this.#following[entry % this.size];
  }

  hash(entry: number): number {
    return this.#hashes[entry % this.size];
  }

  begin(entry: number): number {
    return this.#begins[entry % this.size];
  }

  length(entry: number): number {
    return this.#lengths[entry % this.size];
  }
}
