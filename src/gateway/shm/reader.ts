import { dlopen, FFIType, toArrayBuffer } from "bun:ffi";
import { join } from "node:path";
import { BadInputError, EXIT, KeelError } from "../../core/errors.ts";
import {
  HEADER,
  HEADER_BYTES,
  HEADS,
  LAYOUT_VERSION,
  MAGIC,
  NAME_BYTES,
  PREDICTION_FIELD,
  QUOTE_FIELD,
  RECORD_BYTES,
  RECORD_FIELD,
  RECORD_KIND,
  WRITER_STATE,
} from "./layout.ts";
import { SHM_DIR } from "./segment.ts";

const WORDS = RECORD_BYTES / 4;
const O_RDONLY = 0;
const SEEK_END = 2;
const PROT_READ = 1;
const MAP_SHARED = 1;

/**
 * `Atomics.load` writes what it reads (it is compiled to an exchange), which read-only memory does not bear. An atomic access to
 * this word keeps the loads around it in their order instead; x86-64 keeps them so too, arm64 does not promise it.
 */
const FENCE = new Int32Array(1);

export interface ShmQuote {
  readonly kind: "quote";
  readonly instrument: number;
  readonly timeUs: number;
  readonly quoteId: number;
  readonly bidPrice: number;
  readonly askPrice: number;
  readonly bidSize: number;
  readonly askSize: number;
  readonly fair: number;
  readonly widenBp: number;
  readonly sizeFactor: number;
  readonly reasons: number;
}

export interface ShmPrediction {
  readonly kind: "prediction";
  readonly underlying: number;
  readonly timeUs: number;
  readonly status: number;
  /** One per head; NaN while there is none. */
  readonly probabilities: readonly number[];
}

export interface ShmCancelAll {
  readonly kind: "cancelAll";
  readonly timeUs: number;
}

export type ShmUpdate = ShmQuote | ShmPrediction | ShmCancelAll;

export type ShmWriterState = keyof typeof WRITER_STATE;

/**
 * Reads what {@link ShmWriter} publishes, from any process on the host that may read the memory. It maps it read-only and never
 * waits for the writer.
 */
export class ShmReader {
  /** Updates that the ring had overwritten before {@link next} came to them. */
  lost = 0;
  readonly #unmap: () => void;
  #words: Int32Array;
  #bytes: Uint8Array;
  #view: DataView;
  readonly #copy = new Int32Array(WORDS);
  readonly #record = new DataView(this.#copy.buffer);
  readonly #heads: number;
  readonly #ringMask: number;
  #next: number;

  /** Reads on from the newest update. @throws KeelError when there is no such memory, or it is not of this layout */
  constructor(name: string, directory = SHM_DIR) {
    const { memory, unmap } = mapReadOnly(join(directory, name));
    this.#unmap = unmap;
    this.#words = new Int32Array(memory);
    this.#bytes = new Uint8Array(memory);
    this.#view = new DataView(memory);
    const version = this.#header(HEADER.version);
    if (this.#text(HEADER.magic, MAGIC.length) !== MAGIC || version !== LAYOUT_VERSION) {
      unmap();
      throw new BadInputError(
        `shared memory ${name}`,
        `version ${version}`,
        `layout ${MAGIC} of version ${LAYOUT_VERSION}`,
      );
    }
    this.#heads = this.#header(HEADER.heads);
    this.#ringMask = this.#header(HEADER.ringCapacity) - 1;
    this.#next = this.#load(HEADER.ringHead / 4);
  }

  get state(): ShmWriterState {
    const state = this.#load(HEADER.state / 4);
    if (state === WRITER_STATE.running) return "running";
    return state === WRITER_STATE.stopped ? "stopped" : "starting";
  }

  /** When the writer was last alive, µs since the epoch: a desk that died leaves it behind the clock by more than 10 ms. */
  get heartbeatUs(): number {
    return this.#view.getFloat64(HEADER.heartbeatUs, true);
  }

  get model(): string {
    return this.#text(HEADER.model, 48);
  }

  get schemaHash(): string {
    return this.#text(HEADER.schemaHash, 16);
  }

  get headNames(): string[] {
    return this.#names(this.#header(HEADER.headsOffset), this.#heads);
  }

  /** `venue:SYMBOL` of each instrument, by its number. */
  get instruments(): string[] {
    const count = this.#load(HEADER.instrumentCount / 4);
    return this.#names(this.#header(HEADER.instrumentsOffset), count);
  }

  /** Base coin of each underlying, by its number. */
  get underlyings(): string[] {
    const count = this.#load(HEADER.underlyingCount / 4);
    return this.#names(this.#header(HEADER.underlyingsOffset), count);
  }

  /** Latest quote of an instrument; null when it never had one. */
  quote(instrument: number): ShmQuote | null {
    if (!this.#latest(HEADER.quotesOffset, HEADER.instrumentCapacity, instrument)) return null;
    return this.#asQuote();
  }

  /** Latest prediction of an underlying; null when it never had one. */
  prediction(underlying: number): ShmPrediction | null {
    if (!this.#latest(HEADER.predictionsOffset, HEADER.underlyingCapacity, underlying)) return null;
    return this.#asPrediction();
  }

  /** The next update, in order; null when there is none yet. What was overwritten is counted in {@link lost} and left out. */
  next(): ShmUpdate | null {
    for (;;) {
      const slot = this.#header(HEADER.ringOffset) / 4 + (this.#next & this.#ringMask) * WORDS;
      const expected = (this.#next * 2 + 2) | 0;
      const before = this.#load(slot);
      if (before === expected) {
        this.#copyFrom(slot);
        if (this.#load(slot) === expected) {
          this.#next = (this.#next + 1) | 0;
          return this.#asUpdate();
        }
      } else if (((before - expected) | 0) < 0) {
        return null;
      }
      this.#skip();
    }
  }

  /** Gives the memory back; whatever is asked of the reader afterwards throws. */
  close(): void {
    const nothing = new ArrayBuffer(0);
    this.#words = new Int32Array(nothing);
    this.#bytes = new Uint8Array(nothing);
    this.#view = new DataView(nothing);
    this.#unmap();
  }

  /** The writer has come round: goes on in the middle of what the ring still holds. */
  #skip(): void {
    const head = this.#load(HEADER.ringHead / 4);
    const to = (head - ((this.#ringMask + 1) >> 1)) | 0;
    const skipped = (to - this.#next) | 0;
    if (skipped <= 0) return;
    this.lost += skipped;
    this.#next = to;
  }

  #latest(offset: number, capacity: number, number: number): boolean {
    if (!(number >= 0 && number < this.#header(capacity))) return false;
    const at = this.#header(offset) / 4 + number * WORDS;
    for (;;) {
      const before = this.#load(at);
      if ((before & 1) === 1) continue;
      this.#copyFrom(at);
      // The sequence comes round to 0 again; the kind of a record that was written does not.
      if (this.#load(at) === before) return this.#u32(RECORD_FIELD.kind) !== 0;
    }
  }

  /** A word that others write, with every load before it done and none after it begun. */
  #load(word: number): number {
    Atomics.load(FENCE, 0);
    const value = this.#words[word];
    Atomics.load(FENCE, 0);
    return value;
  }

  #copyFrom(at: number): void {
    const words = this.#words;
    for (let word = 1; word < WORDS; word += 1) this.#copy[word] = words[at + word];
  }

  #asUpdate(): ShmUpdate {
    switch (this.#u32(RECORD_FIELD.kind)) {
      case RECORD_KIND.quote:
        return this.#asQuote();
      case RECORD_KIND.prediction:
        return this.#asPrediction();
      default:
        return { kind: "cancelAll", timeUs: this.#f64(RECORD_FIELD.timeUs) };
    }
  }

  #asQuote(): ShmQuote {
    return {
      kind: "quote",
      instrument: this.#u32(RECORD_FIELD.subject),
      timeUs: this.#f64(RECORD_FIELD.timeUs),
      quoteId: this.#f64(QUOTE_FIELD.quoteId),
      bidPrice: this.#f64(QUOTE_FIELD.bidPrice),
      askPrice: this.#f64(QUOTE_FIELD.askPrice),
      bidSize: this.#f64(QUOTE_FIELD.bidSize),
      askSize: this.#f64(QUOTE_FIELD.askSize),
      fair: this.#f64(QUOTE_FIELD.fair),
      widenBp: this.#f64(QUOTE_FIELD.widenBp),
      sizeFactor: this.#f64(QUOTE_FIELD.sizeFactor),
      reasons: this.#u32(QUOTE_FIELD.reasons),
    };
  }

  #asPrediction(): ShmPrediction {
    const probabilities: number[] = [];
    for (let head = 0; head < Math.min(this.#heads, HEADS); head += 1) {
      probabilities.push(this.#record.getFloat32(PREDICTION_FIELD.probabilities + head * 4, true));
    }
    return {
      kind: "prediction",
      underlying: this.#u32(RECORD_FIELD.subject),
      timeUs: this.#f64(RECORD_FIELD.timeUs),
      status: this.#u32(PREDICTION_FIELD.status),
      probabilities,
    };
  }

  #u32(offset: number): number {
    return this.#record.getUint32(offset, true);
  }

  #f64(offset: number): number {
    return this.#record.getFloat64(offset, true);
  }

  #header(offset: number): number {
    return this.#view.getUint32(offset, true);
  }

  #names(offset: number, count: number): string[] {
    return Array.from({ length: count }, (_, index) => this.#text(offset + index * NAME_BYTES, NAME_BYTES));
  }

  #text(offset: number, maxBytes: number): string {
    const bytes = this.#bytes.subarray(offset, offset + maxBytes);
    const end = bytes.indexOf(0);
    return new TextDecoder().decode(bytes.slice(0, end < 0 ? maxBytes : end));
  }
}

const libc = () =>
  dlopen("libc.so.6", {
    open: { args: [FFIType.cstring, FFIType.i32], returns: FFIType.i32 },
    close: { args: [FFIType.i32], returns: FFIType.i32 },
    lseek: { args: [FFIType.i32, FFIType.i64, FFIType.i32], returns: FFIType.i64 },
    mmap: {
      args: [FFIType.ptr, FFIType.u64, FFIType.i32, FFIType.i32, FFIType.i32, FFIType.i64],
      returns: FFIType.ptr,
    },
    munmap: { args: [FFIType.ptr, FFIType.u64], returns: FFIType.i32 },
  }).symbols;

/** `Bun.mmap` wants to write; a reader may not. */
function mapReadOnly(path: string): { memory: ArrayBuffer; unmap: () => void } {
  const system = libc();
  const file = system.open(Buffer.from(`${path}\0`), O_RDONLY);
  if (file < 0) {
    throw new KeelError(
      "shm-missing",
      `shared memory ${path}: not there or not readable; KEEL_SHM names it where keel runs`,
      EXIT.unreachable,
    );
  }
  const length = Number(system.lseek(file, 0, SEEK_END));
  const address = length < HEADER_BYTES ? null : system.mmap(null, length, PROT_READ, MAP_SHARED, file, 0);
  system.close(file);
  if (address === null || Number(address) === -1) {
    throw new BadInputError(
      `shared memory ${path}`,
      `${length} bytes`,
      `at least ${HEADER_BYTES} to be mapped`,
    );
  }
  const memory = toArrayBuffer(address, 0, length);
  return { memory, unmap: () => void system.munmap(address, length) };
}
