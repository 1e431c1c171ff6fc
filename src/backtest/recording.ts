/**
 * What a backtest plays: recorded captures, sessions and journals, each as a stream of entries in the order of the desk's clock,
 * and a player that says to a feed what the venue said.
 *
 * @module
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { BadInputError } from "../core/errors.ts";
import type { DeskFeed } from "../desk/desk.ts";
import { CaptureReader, captureFiles } from "../feed/capture.ts";
import type { FeedPort } from "../feed/feed.ts";
import { VENUES, type VenueName } from "../market/instrument.ts";
import { MemoryVenue } from "../sim/memory-venue.ts";
import { CapturePlayer } from "./capture-player.ts";
import { JournalRecording } from "./journal-recording.ts";
import { SessionPlayer } from "./session-player.ts";

/** What reaches a desk; times are the recording's local times, µs. */
export interface RecordingSink {
  onOpen(feed: number, timeUs: number): void;
  onFrame(feed: number, text: string, timeUs: number): void;
  onClose(feed: number, code: number, reason: string, timeUs: number): void;
  onResponse(
    feed: number,
    request: number,
    status: number,
    body: string,
    retryAfterMs: number,
    timeUs: number,
  ): void;
  /** Recorded moments at which timers ran; given by journals only. */
  onTimer(timeUs: number): void;
}

/** Plays entries of type `E` to feeds that have it as their port. */
export interface Player<E> extends FeedPort {
  begin(sink: RecordingSink): Promise<void>;
  /** Plays one entry. @returns null when all that it caused has been said; else what is to be awaited first */
  take(entry: E): Promise<void> | null;
  finish(): Promise<void>;
}

/** Something recorded, which may be read and played any number of times. */
export interface Recording<E = unknown> {
  /** The feeds of a desk that hears all of it. */
  readonly feeds: readonly DeskFeed[];
  readonly signals: readonly string[];
  /** Seed of the feeds, where what was recorded depends on it; null = any. */
  readonly feedSeed: number | null;
  /** The recording tells when timers ran. */
  readonly timed: boolean;
  readonly firstUs: number;
  /** NaN where it is known at the end only. */
  readonly lastUs: number;
  /** What of it cannot be read, in words; known when all entries have been. */
  readonly damage: readonly string[];
  timeUs(entry: E): number;
  /** Entries in order of time, in batches. */
  entries(): AsyncIterable<readonly E[]>;
  player(): Player<E>;
}

/** Venues whose captures are served by a simulated venue, which can answer what the recording does not hold. */
const SERVED: ReadonlySet<VenueName> = new Set(["binance-spot", "binance-usdm", "binance-coinm", "deribit"]);

/**
 * Opens what is to be played together: captures and sessions, one of each venue, which are merged by time; or one journal
 * (`DIR` or `DIR@RUN`).
 *
 * @throws BadInputError naming the path that cannot be played
 */
export async function openRecording(paths: readonly string[]): Promise<Recording> {
  const [first] = paths;
  if (first === undefined)
    throw new BadInputError("recording", "no path", "a capture, a session or a journal");
  const journal = journalAt(first);
  if (journal !== null) {
    if (paths.length > 1) throw new BadInputError(first, "a journal beside others", "a journal by itself");
    return new JournalRecording(journal.directory, journal.run);
  }
  const parts = await Promise.all(paths.map((path) => openPart(path)));
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : new Merged(parts);
}

function journalAt(path: string): { directory: string; run: string | undefined } | null {
  const [, folder = path, run] = /^(.*)@([^/@]+)$/.exec(path) ?? [];
  const directory = existsSync(folder) ? folder : path;
  if (!existsSync(directory) || !statSync(directory).isDirectory()) return null;
  return readdirSync(directory).some((name) => name.endsWith(".kjl")) ? { directory, run } : null;
}

async function openPart(path: string): Promise<Recording> {
  const files = captureFiles(path);
  const about = await aboutOf(files[0] ?? path);
  const venue = VENUES.find((name) => name === about?.venue);
  if (venue === undefined || SERVED.has(venue)) return new CaptureRecording(await MemoryVenue.open(path));
  const given = about?.subscriptions;
  const subscriptions = Array.isArray(given) ? given.map(String) : [];
  if (subscriptions.length === 0) {
    throw new BadInputError(path, `a recording of ${venue} without subscriptions`, "what keel record writes");
  }
  let firstUs = Number.NaN;
  for await (const batch of new CaptureReader(files[0] ?? path).batches()) {
    firstUs = batch[0]?.timeUs ?? firstUs;
    break;
  }
  return new SessionRecording(files, { venue, subscriptions }, firstUs);
}

/** What the recorder said in the file's first line; null where it said nothing. */
async function aboutOf(file: string): Promise<Readonly<Record<string, unknown>> | null> {
  const reader = new CaptureReader(file);
  for await (const _batch of reader.batches()) break;
  return reader.report.about;
}

type CaptureBatch = ReturnType<MemoryVenue["entries"]> extends AsyncIterable<infer Batch> ? Batch : never;
type Entry = CaptureBatch[number];

/** A capture of a venue that can be served from memory. */
class CaptureRecording implements Recording<Entry> {
  readonly feeds: readonly DeskFeed[];
  readonly signals = [];
  readonly feedSeed = null;
  readonly timed = false;
  readonly firstUs: number;
  readonly lastUs: number;
  readonly damage: readonly string[];
  readonly #venue: MemoryVenue;

  constructor(venue: MemoryVenue) {
    this.#venue = venue;
    this.feeds = [{ venue: venue.venue, subscriptions: venue.subscriptions }];
    this.firstUs = venue.scan.firstUs;
    this.lastUs = venue.scan.lastUs;
    const { truncated } = venue.scan;
    this.damage = truncated === null ? [] : [truncated];
  }

  timeUs({ timeUs }: Entry): number {
    return timeUs;
  }

  entries(): AsyncIterable<readonly Entry[]> {
    return this.#venue.entries();
  }

  player(): Player<Entry> {
    return new CapturePlayer(this.#venue.twin());
  }
}

/** A session of a venue as keel's recorder wrote it down: connections, frames, and the answers to REST requests. */
class SessionRecording implements Recording<Entry> {
  readonly feeds: readonly DeskFeed[];
  readonly signals = [];
  readonly feedSeed = null;
  readonly timed = false;
  readonly firstUs: number;
  readonly lastUs = Number.NaN;
  readonly #files: readonly string[];
  readonly #damage = new Map<string, string>();

  constructor(files: readonly string[], feed: DeskFeed, firstUs: number) {
    this.#files = files;
    this.feeds = [feed];
    this.firstUs = firstUs;
  }

  get damage(): readonly string[] {
    return [...this.#damage].map(([file, why]) => `${file}: ${why}`);
  }

  timeUs({ timeUs }: Entry): number {
    return timeUs;
  }

  async *entries(): AsyncGenerator<readonly Entry[]> {
    for (const file of this.#files) {
      const reader = new CaptureReader(file);
      yield* reader.batches();
      if (reader.report.truncated !== null) this.#damage.set(file, reader.report.truncated);
    }
  }

  player(): Player<Entry> {
    return new SessionPlayer(this.firstUs);
  }
}

interface MergedEntry {
  readonly part: number;
  readonly entry: unknown;
  readonly timeUs: number;
}

/** Several recordings as one, by time; feed `n` is the n-th recording's. */
class Merged implements Recording<MergedEntry> {
  readonly feeds: readonly DeskFeed[];
  readonly signals = [];
  readonly feedSeed = null;
  readonly timed = false;
  readonly firstUs: number;
  readonly lastUs: number;
  readonly #parts: readonly Recording[];

  constructor(parts: readonly Recording[]) {
    this.#parts = parts;
    this.feeds = parts.flatMap(({ feeds }) => feeds);
    this.firstUs = Math.min(...parts.map(({ firstUs }) => firstUs));
    this.lastUs = Math.max(...parts.map(({ lastUs }) => lastUs));
  }

  get damage(): readonly string[] {
    return this.#parts.flatMap((part) => part.damage);
  }

  timeUs({ timeUs }: MergedEntry): number {
    return timeUs;
  }

  async *entries(): AsyncGenerator<readonly MergedEntry[]> {
    const cursors = this.#parts.map((part) => new Cursor(part));
    for (const cursor of cursors) await cursor.fill();
    let batch: MergedEntry[] = [];
    for (;;) {
      let next = -1;
      for (let part = 0; part < cursors.length; part += 1) {
        const { timeUs } = cursors[part];
        if (timeUs < Infinity && (next < 0 || timeUs < cursors[next].timeUs)) next = part;
      }
      if (next < 0) break;
      const cursor = cursors[next];
      batch.push({ part: next, entry: cursor.take(), timeUs: cursor.takenUs });
      if (cursor.empty) await cursor.fill();
      if (batch.length < MERGED_BATCH) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0) yield batch;
  }

  player(): Player<MergedEntry> {
    const players = this.#parts.map((part) => part.player());
    const at = (feed: number): Player<unknown> => players[feed] ?? players[0];
    return {
      connect: (feed) => at(feed).connect(feed),
      send: (feed, text) => at(feed).send(feed, text),
      disconnect: (feed, reason) => at(feed).disconnect(feed, reason),
      request: (feed, request, path) => at(feed).request(feed, request, path),
      begin: async (sink) => {
        for (const player of players) await player.begin(sink);
      },
      take: ({ part, entry }) => at(part).take(entry),
      finish: async () => {
        for (const player of players) await player.finish();
      },
    };
  }
}

const MERGED_BATCH = 512;

/** Reads one recording entry by entry; times never go back. */
class Cursor {
  /** Of the next entry; Infinity at the end. */
  timeUs = Number.NEGATIVE_INFINITY;
  takenUs = Number.NEGATIVE_INFINITY;
  readonly #part: Recording;
  readonly #batches: AsyncIterator<readonly unknown[]>;
  #batch: readonly unknown[] = [];
  #at = 0;

  constructor(part: Recording) {
    this.#part = part;
    this.#batches = part.entries()[Symbol.asyncIterator]();
  }

  get empty(): boolean {
    return this.#at === this.#batch.length;
  }

  async fill(): Promise<void> {
    while (this.empty) {
      const { done, value } = await this.#batches.next();
      if (done === true) {
        this.timeUs = Number.POSITIVE_INFINITY;
        return;
      }
      this.#batch = value;
      this.#at = 0;
    }
    this.#look();
  }

  take(): unknown {
    const entry = this.#batch[this.#at];
    this.takenUs = this.timeUs;
    this.#at += 1;
    if (!this.empty) this.#look();
    return entry;
  }

  #look(): void {
    this.timeUs = Math.max(this.timeUs, this.#part.timeUs(this.#batch[this.#at]));
  }
}
