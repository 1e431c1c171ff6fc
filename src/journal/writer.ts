import { KeelError } from "../core/errors.ts";
import { workerUrl } from "../core/executable.ts";
import { RING_NONE, RingProducer, ringMemory } from "../core/ring.ts";
import { chainHead } from "./chain.ts";
import {
  CONTROL,
  CONTROL_BYTES,
  type JournalWorkerReply,
  type JournalWorkerStart,
  type JournalWorkerWarning,
} from "./control.ts";
import { RECORD_BYTES, segmentName, TWO_32 } from "./format.ts";
import { type JournalSink, RECORD, type RecordType } from "./record.ts";
import type { Retention } from "./retention.ts";
import type { FsyncPolicy } from "./segments.ts";

/** Worst case of UTF-8 bytes for one UTF-16 unit. */
const UTF8_BYTES_MAX = 3;
const DEFAULT_RING_BYTES = 16 * 1024 * 1024;
const DEFAULT_SEGMENT_BYTES = 256 * 1024 * 1024;

export interface JournalOptions {
  readonly directory: string;
  /** Names the run's files; see {@link runIdAt}. A run id that was used before is refused by the journal's thread. */
  readonly runId: string;
  readonly segmentBytes?: number;
  readonly fsync?: FsyncPolicy;
  readonly fsyncIntervalMs?: number;
  /** What was written is sworn to this often, 5,000 when left out. */
  readonly checkpointMs?: number;
  /** Ed25519 private key in PEM that signs what is sworn to. */
  readonly signingKey?: string | null;
  /** Everything is kept when left out. */
  readonly retention?: Retention;
  /** Called with the reason when files stay that retention should have removed; once for each reason that is another than the last. */
  readonly onUnretired?: (why: string) => void;
  /** The run is begun beside another one: its segments lie apart until {@link JournalWriter.link}. */
  readonly staged?: boolean;
  /** Capacity of the ring, a power of two. A single record may take at most half of it. */
  readonly ringBytes?: number;
}

/** What became of a run's records. */
export interface JournalSummary {
  readonly runId: string;
  readonly records: number;
  readonly dropped: number;
  readonly bytes: number;
  readonly segments: number;
  /** Hex SHA-256 of the last segment; null when none was finished. */
  readonly digest: string | null;
  /** Why writing stopped early; null when it did not. */
  readonly failure: string | null;
}

/** The journal could not be started. */
export class JournalError extends KeelError {
  constructor(directory: string, reason: string) {
    super("journal", `journal in ${directory}: ${reason}`);
  }
}

/**
 * The desk's end of the journal. A record is copied into the ring once (text is encoded right there) and published; a thread
 * of its own does the rest. A call never waits, never throws and allocates nothing; what does not fit is counted in
 * {@link dropped}, and the gap in the sequence numbers shows the reader where.
 */
export class JournalWriter implements JournalSink {
  readonly runId: string;
  #dropped = 0;
  #sequenceLow = 0;
  #sequenceHigh = 0;
  #closed = false;
  readonly #directory: string;
  readonly #ring: RingProducer;
  readonly #control: Int32Array;
  readonly #worker: Worker;
  readonly #ended: Promise<JournalWorkerReply>;

  /** Starts the journal's thread. @throws JournalError when the folder cannot be written. */
  static async open(options: JournalOptions): Promise<JournalWriter> {
    segmentName(options.runId, 1);
    const writer = new JournalWriter(options);
    const ready = Atomics.waitAsync(writer.#control, CONTROL.ready, 0);
    const ended = await Promise.race([writer.#ended, ready.async ? ready.value.then(() => null) : null]);
    if (ended !== null) throw new JournalError(options.directory, ended.failure ?? "its thread ended");
    writer.#worker.unref();
    return writer;
  }

  private constructor(options: JournalOptions) {
    this.runId = options.runId;
    this.#directory = options.directory;
    const memory = ringMemory(options.ringBytes ?? DEFAULT_RING_BYTES);
    const control = new SharedArrayBuffer(CONTROL_BYTES);
    this.#ring = new RingProducer(memory);
    this.#ring.bytes.fill(0); // Takes the pages now, so that no record has to wait for one.
    this.#control = new Int32Array(control);
    this.#worker = new Worker(workerUrl("journal"));
    this.#ended = new Promise((resolve) => {
      let told = "";
      this.#worker.onmessage = ({ data }: MessageEvent<JournalWorkerReply | JournalWorkerWarning>) => {
        if (!("unretired" in data)) {
          resolve(data);
        } else if (data.unretired !== told) {
          told = data.unretired;
          options.onUnretired?.(told);
        }
      };
      this.#worker.onerror = (event) => {
        Atomics.store(this.#control, CONTROL.failed, 1);
        resolve({ failure: event.message, records: 0, bytes: 0, segments: 0, digest: null });
      };
    });
    const start: JournalWorkerStart = {
      memory,
      control,
      options: {
        directory: options.directory,
        runId: options.runId,
        segmentBytes: options.segmentBytes ?? DEFAULT_SEGMENT_BYTES,
        fsync: options.fsync ?? "interval",
        fsyncIntervalMs: options.fsyncIntervalMs ?? 1_000,
        checkpointMs: options.checkpointMs ?? 5_000,
        signingKey: options.signingKey ?? null,
        retention: options.retention ?? { bytes: null, ageMs: null },
        staged: options.staged ?? false,
      },
    };
    this.#worker.postMessage(start);
  }

  /** Records that did not fit, came after the journal's end, or came after its thread failed. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Bytes that may wait for the journal's thread. */
  get ringBytes(): number {
    return this.#ring.capacity;
  }

  /** Bytes that wait for the journal's thread. */
  get backlogBytes(): number {
    return this.#ring.used;
  }

  /** The disk has no room: what is recorded waits in the ring, and is dropped once that is full. */
  get stalled(): boolean {
    return Atomics.load(this.#control, CONTROL.stalled) !== 0;
  }

  /** The journal's thread can write no more; everything from then on is dropped. */
  get failed(): boolean {
    return Atomics.load(this.#control, CONTROL.failed) !== 0;
  }

  /** Times that files stayed that retention should have removed. */
  get unretired(): number {
    return Atomics.load(this.#control, CONTROL.unretired);
  }

  text(type: RecordType, subject: number, timeUs: number, payload: string): void {
    const most = payload.length * UTF8_BYTES_MAX;
    let at = this.#reserve(most);
    if (at === RING_NONE && most > payload.length) at = this.#reserve(Buffer.byteLength(payload));
    if (at === RING_NONE) {
      this.#drop();
      return;
    }
    const bytes = payload.length === 0 ? 0 : this.#ring.bytes.write(payload, at + RECORD_BYTES, most, "utf8");
    this.#publish(at, type, subject, timeUs, bytes);
  }

  bytes(type: RecordType, subject: number, timeUs: number, payload: Uint8Array): void {
    const at = this.#reserve(payload.length);
    if (at === RING_NONE) {
      this.#drop();
      return;
    }
    this.#ring.bytes.set(payload, at + RECORD_BYTES);
    this.#publish(at, type, subject, timeUs, payload.length);
  }

  /**
   * Of a run that was begun beside another one: that one has ended, and this one takes its place. Its segments are put into the folder.
   *
   * @param run the other one; null where it kept no journal
   * @param digest hex SHA-256 of its last segment; null where it kept none: then the last one in the folder is linked to
   */
  link(run: string | null, digest: string | null, timeUs: number): void {
    const last = digest ?? Buffer.from(chainHead(this.#directory)).toString("hex");
    this.text(RECORD.link, 0, timeUs, JSON.stringify({ run, digest: last }));
  }

  /** Waits until every record is on disk and ends the thread. Calling it again gives the same summary. */
  async close(): Promise<JournalSummary> {
    this.#worker.ref();
    this.#askToClose();
    const reply = await this.#ended;
    this.#worker.terminate();
    return { runId: this.runId, dropped: this.#dropped, ...reply };
  }

  /**
   * For a process that is going down (uncaught error, `exit`) and cannot wait for a promise: holds the calling thread until
   * every record is on disk, at most `timeoutMs`.
   *
   * @returns whether everything is
   */
  closeSync(timeoutMs: number): boolean {
    this.#askToClose();
    const waited = Atomics.wait(this.#control, CONTROL.done, 0, timeoutMs);
    return waited !== "timed-out" && !this.failed;
  }

  #askToClose(): void {
    this.#closed = true;
    Atomics.store(this.#control, CONTROL.closing, 1);
    Atomics.notify(this.#control, CONTROL.closing);
  }

  #reserve(payloadBytes: number): number {
    if (this.#closed || Atomics.load(this.#control, CONTROL.failed) !== 0) return RING_NONE;
    return this.#ring.reserve(RECORD_BYTES + payloadBytes);
  }

  #publish(at: number, type: RecordType, subject: number, timeUs: number, payloadBytes: number): void {
    const { u32, f64 } = this.#ring;
    const word = at >> 2;
    u32[word] = payloadBytes;
    u32[word + 2] = type;
    u32[word + 3] = subject;
    u32[word + 4] = this.#sequenceLow;
    u32[word + 5] = this.#sequenceHigh;
    f64[(at >> 3) + 3] = timeUs;
    this.#ring.commit(RECORD_BYTES + payloadBytes);
    this.#advance();
  }

  #drop(): void {
    this.#dropped += 1;
    this.#advance();
  }

  #advance(): void {
    this.#sequenceLow += 1;
    if (this.#sequenceLow === TWO_32) {
      this.#sequenceLow = 0;
      this.#sequenceHigh += 1;
    }
  }
}
