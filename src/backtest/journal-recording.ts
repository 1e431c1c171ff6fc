import { BadInputError } from "../core/errors.ts";
import type { DeskFeed } from "../desk/desk.ts";
import { type JournalDamage, JournalReader } from "../journal/reader.ts";
import { type JournalRecord, RECORD } from "../journal/record.ts";
import { parseRunStart, type RunStart } from "../journal/run-start.ts";
import type { Player, Recording, RecordingSink } from "./recording.ts";

const BATCH = 512;
const decoder = new TextDecoder();

/** One market input of a journalled run. */
export interface JournalEntry {
  readonly type: number;
  readonly feed: number;
  readonly timeUs: number;
  readonly text: string;
}

const PLAYED: ReadonlySet<number> = new Set([
  RECORD.feedOpen,
  RECORD.feedFrame,
  RECORD.feedClose,
  RECORD.feedResponse,
  RECORD.timer,
]);

/**
 * The market of a journalled run: what its feeds heard and when its timers ran. What its counterparty said is left out: here the
 * matching says it.
 */
export class JournalRecording implements Recording<JournalEntry> {
  readonly feeds: readonly DeskFeed[];
  readonly signals: readonly string[];
  readonly feedSeed: number;
  readonly timed = true;
  readonly firstUs: number;
  readonly lastUs = Number.NaN;
  readonly start: RunStart;
  readonly #directory: string;
  readonly #run: string | undefined;
  #damage: JournalDamage | null = null;

  /** @throws BadInputError when there is no such run, or its beginning cannot be read */
  constructor(directory: string, run: string | undefined) {
    this.#directory = directory;
    this.#run = run;
    const first = new JournalReader(directory, run).records().next();
    if (first.done === true) throw new BadInputError(directory, "no record", "the start of a run");
    this.start = parseRunStart(decoder.decode(first.value.payload));
    this.firstUs = first.value.timeUs;
    this.feeds = this.start.feeds;
    this.signals = this.start.signals;
    this.feedSeed = this.start.seed;
  }

  get damage(): readonly string[] {
    return this.#damage === null ? [] : [`${this.#damage.file}: ${this.#damage.reason}`];
  }

  timeUs({ timeUs }: JournalEntry): number {
    return timeUs;
  }

  async *entries(): AsyncGenerator<readonly JournalEntry[]> {
    let batch: JournalEntry[] = [];
    const reader = new JournalReader(this.#directory, this.#run);
    for (const record of reader.records()) {
      if (!PLAYED.has(record.type)) continue;
      batch.push(entryOf(record));
      if (batch.length < BATCH) continue;
      yield batch;
      batch = [];
    }
    this.#damage = reader.damage;
    if (batch.length > 0) yield batch;
  }

  player(): Player<JournalEntry> {
    return new JournalPlayer();
  }
}

/** The payload is a view that the reader writes over: what is kept is its text. */
function entryOf({ type, subject, timeUs, payload }: JournalRecord): JournalEntry {
  return { type, feed: subject, timeUs, text: decoder.decode(payload) };
}

/** The feeds of a desk with the same seed ask what they asked then, so the recorded answers fit. */
class JournalPlayer implements Player<JournalEntry> {
  #sink: RecordingSink | null = null;

  connect(): void {}
  send(): void {}
  disconnect(): void {}
  request(): void {}

  async begin(sink: RecordingSink): Promise<void> {
    this.#sink = sink;
  }

  take({ type, feed, timeUs, text }: JournalEntry): null {
    const sink = this.#sink;
    if (type === RECORD.feedFrame) sink?.onFrame(feed, text, timeUs);
    else if (type === RECORD.timer) sink?.onTimer(timeUs);
    else if (type === RECORD.feedOpen) sink?.onOpen(feed, timeUs);
    else if (type === RECORD.feedClose) {
      const { code, reason } = parsed<{ code: number; reason: string }>(text);
      sink?.onClose(feed, code, reason, timeUs);
    } else {
      const answer = parsed<{ request: number; status: number; retryAfterMs: number | null; body: string }>(
        text,
      );
      const { request, status, body, retryAfterMs } = answer;
      sink?.onResponse(feed, request, status, body, retryAfterMs ?? Number.NaN, timeUs);
    }
    return null;
  }

  async finish(): Promise<void> {}
}

/** Records are CRC-checked and written by keel, so their shape is taken as given. */
function parsed<T>(text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new BadInputError("journal", JSON.stringify(text.slice(0, 60)), "a record's JSON");
  }
}
