import { workerUrl } from "../core/executable.ts";
import { RING_NONE, RingConsumer, ringMemory } from "../core/ring.ts";
import { Rng } from "../core/rng.ts";
import { Backoff } from "../feed/supervisor.ts";
import type { InstrumentTable } from "../market/instrument.ts";
import {
  CONTROL,
  CONTROL_BYTES,
  type Described,
  FAILURE,
  fromWire,
  type ShardFeed,
  type ShardStart,
} from "./protocol.ts";

/** Holds a burst of about a hundred thousand small frames, and the largest listing twice. */
const SHARD_RING_BYTES = 16 * 1024 * 1024;
/** A thread whose event loop has not turned for this long hangs. */
const HANG_US = 1_000_000;
/** Who asks later than this after the last time stood still meanwhile, as the shard may have with the whole process. */
const STALL_US = 250_000;
/** Before its first turn a thread has this long to load. */
const LOAD_US = 15_000_000;
const RESTART = { baseMs: 100, capMs: 30_000 } as const;
/** A thread that has lived this long starts the next back-off from the base again. */
const SETTLED_US = 60_000_000;
const NONE_CARRIED: readonly number[] = [];

/** Why a shard was given up. */
export const SHARD_LOSSES = ["crash", "hang", "overflow", "lag"] as const;
export type ShardLoss = (typeof SHARD_LOSSES)[number];

/** What all threads of a shard, one after the other, are begun with. */
export type ShardPlan = Omit<ShardStart, "ring" | "control" | "startUs" | "recording">;

/** The quoting thread's end of one shard: its thread, its ring, its life. */
export class Shard {
  readonly feeds: readonly ShardFeed[];
  readonly ids: readonly number[];
  /** The desk's number of each of the shard's instruments. */
  readonly instruments: Int32Array;
  ring: RingConsumer;
  /** The thread is there, and what it says counts. */
  running = false;
  /** It has been played to its end; recordings only. */
  ended = false;
  /** Threads begun after the first. */
  restarts = 0;
  /** What became of the thread, when it ended by an error. */
  error = "";
  /** When the next thread is due, µs. */
  dueUs = Number.POSITIVE_INFINITY;
  readonly #plan: ShardPlan;
  readonly #ringBytes: number;
  readonly #backoff: Backoff;
  #control = new Int32Array(new SharedArrayBuffer(CONTROL_BYTES));
  #worker: Worker | null = null;
  #startUs = 0;
  #beat = 0;
  #beatUs = 0;
  #askedUs = Number.NaN;
  #waitsBefore = 0;
  #described: Described | null = null;

  constructor(plan: ShardPlan, ringBytes = SHARD_RING_BYTES) {
    this.#plan = plan;
    this.#ringBytes = ringBytes;
    this.feeds = plan.feeds;
    this.ids = plan.feeds.map(({ id }) => id);
    this.instruments = new Int32Array(plan.instrumentCapacity).fill(-1);
    this.ring = new RingConsumer(ringMemory(ringBytes));
    this.#backoff = new Backoff(new Rng(plan.feeds[0]?.seed ?? 0), RESTART);
  }

  /** Times that the shard waited for room in its ring. */
  get waits(): number {
    return this.#waitsBefore + Atomics.load(this.#control, CONTROL.waits);
  }

  /** Part of the ring that is in use, 0 … 1. */
  get fill(): number {
    return this.running ? this.ring.used / this.ring.capacity : 0;
  }

  /** Begins a thread, with a ring of its own. @param recording played in place of the network */
  start(startUs: number, recording: SharedArrayBuffer | null = null): void {
    const memory = ringMemory(this.#ringBytes);
    const control = new SharedArrayBuffer(CONTROL_BYTES);
    const worker = new Worker(workerUrl("shard"));
    this.#waitsBefore = this.waits;
    this.ring = new RingConsumer(memory);
    this.ring.bytes.fill(0); // Takes the pages now, so that no turn has to wait for one.
    this.#control = new Int32Array(control);
    this.#worker = worker;
    this.#startUs = startUs;
    this.#beat = 0;
    this.#beatUs = startUs;
    this.#askedUs = startUs;
    this.#described = null;
    this.error = "";
    this.running = true;
    this.ended = false;
    this.dueUs = Number.POSITIVE_INFINITY;
    worker.onerror = (event) => {
      event.preventDefault();
      if (this.#worker === worker) this.error = event.message || "the thread ended by an error";
    };
    worker.addEventListener("close", () => {
      if (this.#worker === worker && this.error === "") this.error = "the thread ended";
    });
    const {
      feeds,
      keys,
      silenceMs,
      requestTimeoutMs,
      instrumentCapacity,
      wake,
      wallOriginUs,
      keepsPayloads,
      makesFeatures,
    } = this.#plan;
    const start: ShardStart = {
      ...{ feeds, keys, silenceMs, requestTimeoutMs, instrumentCapacity, wake, wallOriginUs, keepsPayloads },
      makesFeatures,
      ...{ ring: memory, control, startUs, recording },
    };
    worker.postMessage(start);
  }

  /**
   * Why the thread is to be given up; null while all is well. To be asked about every 10 ms; of a time in which it was not asked only so
   * much counts for a hang as tells of the shard.
   */
  ailment(timeUs: number): ShardLoss | null {
    const unaskedUs = timeUs - this.#askedUs;
    this.#askedUs = timeUs;
    if (unaskedUs > STALL_US) this.#beatUs += unaskedUs - STALL_US;
    if (!this.running) return null;
    if (this.error !== "") return "crash";
    if (Atomics.load(this.#control, CONTROL.failure) !== FAILURE.none) return "overflow";
    const beat = Atomics.load(this.#control, CONTROL.beat);
    if (beat !== this.#beat) {
      this.#beat = beat;
      this.#beatUs = timeUs;
    } else if (timeUs - this.#beatUs > (beat === 0 ? LOAD_US : HANG_US)) return "hang";
    return null;
  }

  /** Ends the thread where it stands; the next is due after a back-off. */
  abandon(timeUs: number): void {
    if (timeUs - this.#startUs >= SETTLED_US) this.#backoff.reset();
    this.dueUs = timeUs + this.#backoff.nextUs();
    this.#end();
  }

  /** Tells the thread to close its sockets and ends it. */
  stop(): void {
    this.dueUs = Number.POSITIVE_INFINITY;
    this.#end();
  }

  /** Keeps what the shard says of instruments for {@link admit}. */
  describe(described: Described): void {
    this.#described = described;
  }

  /**
   * Takes in the instruments that were described ahead of the turn which is about to be taken: with that turn, because an input of
   * another shard may come between, and a journal that is replayed knows of them by that turn only.
   *
   * @returns the desk's numbers of those that a feed has taken on; null when the table is full
   */
  admit(table: InstrumentTable): readonly number[] | null {
    if (this.#described === null) return NONE_CARRIED;
    const { first, specs, carried } = this.#described;
    this.#described = null;
    for (const [at, spec] of specs.entries()) {
      const instrument = table.add(fromWire(spec));
      if (instrument === undefined) return null;
      this.instruments[first + at] = instrument.id;
    }
    return carried.map((own) => this.instruments[own]);
  }

  /** Time of the oldest turn in the ring; NaN when it is empty. */
  headUs(): number {
    const at = this.ring.peek();
    return at === RING_NONE ? Number.NaN : this.ring.f64[(at >> 3) + 1];
  }

  #end(): void {
    Atomics.store(this.#control, CONTROL.stop, 1);
    this.running = false;
    this.#worker?.terminate();
    this.#worker = null;
  }
}
