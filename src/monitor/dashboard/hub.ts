/**
 * Sends to those who look on what they look at: at their rate, changes only, from a timer of its own beside the line. Without a
 * client it does nothing at all but a sample of the profit every second.
 *
 * @module
 */
import type { ServerWebSocket } from "bun";
import { Histogram } from "../../core/histogram.ts";
import { RowQueue } from "../../core/row-queue.ts";
import { FEED_STATE_NAMES } from "../../market/event-batch.ts";
import { REASON } from "../../quote/quote-batch.ts";
import { LatencyWindow } from "./latency-window.ts";
import {
  CLIENTS_MAX,
  SECTIONS,
  type SectionName,
  type Sections,
  type Update,
  type Viewer,
} from "./protocol.ts";
import { directory, SentRows } from "./rows.ts";
import {
  detailOf,
  feedsSection,
  modelSection,
  overviewSection,
  profitSection,
  pulseSection,
  riskSection,
} from "./sections.ts";
import { surfaceSection } from "./smile.ts";
import type { DashboardSource } from "./source.ts";
import { readWatch } from "./watch.ts";

export interface HubCounters {
  accepted: number;
  /** Connections refused because there were too many. */
  refused: number;
  messages: number;
  bytes: number;
  /** Updates left out because a client had not read the one before; the next one holds what has changed since. */
  conflated: number;
  /** Clients cut off because they did not read, or sent what was not understood or too much. */
  slow: number;
  faults: number;
}

/** What belongs to one socket. */
export interface LiveData {
  /** What the viewer may do, asked anew with every update; null once the session has ended. */
  readonly viewer: () => Viewer | null;
  client: Client | null;
}
type Socket = ServerWebSocket<LiveData>;

const TICK_MS = 8;
const HISTORY_MS = 1_000;
const HISTORY_SAMPLES = 900;
/** How often a section is made at most, ms; `pulse` as often as a client asks. */
const INTERVAL_MS: Readonly<Record<SectionName, number>> = {
  pulse: 0,
  overview: 500,
  risk: 500,
  profit: 1_000,
  latency: 1_000,
  feeds: 1_000,
  surface: 1_000,
  model: 1_000,
  alerts: 1_000,
};
const DETAIL_MS = 200;
/** Of sections and details so many are made in a turn, since a frame that comes meanwhile waits for all of them. */
const SLICES = 1;
const DIRECTORY_ROWS = 100;
const STALL_US = 10_000_000;
const MESSAGES_PER_SECOND = 100;
const CLOSE = {
  stopped: 1_001,
  unauthorised: 4_001,
  badMessage: 4_002,
  slow: 4_003,
  tooMany: 4_004,
} as const;

/** Sections whose content does not depend on who looks. */
type SharedSection = Exclude<SectionName, "surface">;

class Client {
  readonly rows = new SentRows();
  /** Last text sent of each section, and of the detail, so that what has not changed is not sent again. */
  readonly sent = new Map<string, string>();
  sections: readonly SectionName[] = [];
  intervalUs = 1e6;
  detail: number | null = null;
  underlying = 0;
  expiryMs: number | null = null;
  greeted = false;
  known = 0;
  viewer = "";
  nextUs = 0;
  nextDetailUs = 0;
  nextSurfaceUs = 0;
  waitingSinceUs = Number.NaN;
  allowance = MESSAGES_PER_SECOND;
  allowedUs = 0;

  constructor(readonly socket: Socket) {}
}

export class DashboardHub {
  readonly counters: HubCounters = {
    accepted: 0,
    refused: 0,
    messages: 0,
    bytes: 0,
    conflated: 0,
    slow: 0,
    faults: 0,
  };
  /** For how long at a time the loop was held to bring clients up to date, ns. */
  readonly held = new Histogram();
  readonly #source: DashboardSource;
  readonly #clients = new Set<Client>();
  readonly #window: LatencyWindow;
  readonly #texts = new Map<SharedSection, { us: number; text: string }>();
  readonly #history = new RowQueue(5);
  readonly #sampling: ReturnType<typeof setInterval>;
  /** Clients that have not had their turn yet. */
  readonly #queue: Client[] = [];
  /** Sections and details that may still be made in this turn, and whether more of them were wanted. */
  #slices = 0;
  #wanting = false;
  #ticking: ReturnType<typeof setInterval> | null = null;

  constructor(source: DashboardSource) {
    this.#source = source;
    this.#window = new LatencyWindow(source.timer);
    this.#sampling = setInterval(() => this.#sample(), HISTORY_MS);
    this.#sampling.unref();
  }

  get clients(): number {
    return this.#clients.size;
  }

  get full(): boolean {
    return this.#clients.size >= CLIENTS_MAX;
  }

  open(socket: Socket): void {
    if (this.full) {
      this.counters.refused += 1;
      socket.close(CLOSE.tooMany, "too many clients");
      return;
    }
    const client = new Client(socket);
    socket.data.client = client;
    this.#clients.add(client);
    this.counters.accepted += 1;
    this.#window.look(this.#source.timeUs());
    this.#ticking ??= setInterval(() => this.#begin(), TICK_MS);
  }

  close({ data: { client } }: Socket): void {
    if (client !== null) this.#forget(client);
  }

  message({ data: { client } }: Socket, message: string | Buffer): void {
    if (client === null || !this.#clients.has(client)) return;
    const nowUs = this.#source.timeUs();
    const earned = Math.max(nowUs - client.allowedUs, 0) * 1e-6 * MESSAGES_PER_SECOND;
    client.allowance = Math.min(client.allowance + earned, MESSAGES_PER_SECOND) - 1;
    client.allowedUs = nowUs;
    const watch = typeof message === "string" && client.allowance >= 0 ? readWatch(message) : null;
    if (watch === null) {
      this.counters.faults += 1;
      this.#cut(client, CLOSE.badMessage, "not a message of the dashboard, or too many");
      return;
    }
    client.intervalUs = 1e6 / watch.rate;
    client.sections = SECTIONS.filter((name) => watch.sections.includes(name));
    client.rows.watch([...new Set(watch.rows)]);
    if (client.detail !== watch.detail) client.nextDetailUs = 0;
    if (client.underlying !== watch.underlying || client.expiryMs !== watch.expiryMs)
      client.nextSurfaceUs = 0;
    client.detail = watch.detail;
    client.underlying = watch.underlying;
    client.expiryMs = watch.expiryMs;
    client.nextUs = 0;
  }

  /** Sends to everybody whose time has come. */
  tick(timeUs: number): void {
    this.#window.look(timeUs);
    for (const client of [...this.#clients]) this.#serve(client, timeUs);
  }

  /** The next client has its turn, and frames that come in between have theirs before the one after it. */
  readonly #turn = (): void => {
    const client = this.#queue.shift();
    if (client === undefined) return;
    const before = this.counters.messages;
    const begun = this.#source.seconds();
    if (this.#clients.has(client)) this.#serve(client, this.#source.timeUs());
    if (this.counters.messages > before) this.held.record((this.#source.seconds() - begun) * 1e9);
    if (this.#queue.length > 0) setImmediate(this.#turn);
  };

  #begin(): void {
    this.#window.look(this.#source.timeUs());
    if (this.#queue.length > 0) return;
    this.#queue.push(...this.#clients);
    // Frames that have come in are decided first: their batch ends in an immediate, too.
    setImmediate(this.#turn);
  }

  #serve(client: Client, timeUs: number): void {
    // A clock that was put back must not silence anybody.
    if (timeUs < client.nextUs && client.nextUs - timeUs <= client.intervalUs) return;
    client.nextUs = timeUs + client.intervalUs - TICK_MS * 500;
    const viewer = client.socket.data.viewer();
    if (viewer === null) {
      this.#cut(client, CLOSE.unauthorised, "the session has ended");
      return;
    }
    if (client.socket.getBufferedAmount() > 0) {
      this.counters.conflated += 1;
      if (Number.isNaN(client.waitingSinceUs)) client.waitingSinceUs = timeUs;
      if (timeUs - client.waitingSinceUs <= STALL_US) return;
      this.counters.slow += 1;
      this.#cut(client, CLOSE.slow, "does not read");
      return;
    }
    client.waitingSinceUs = Number.NaN;
    this.#slices = SLICES;
    this.#wanting = false;
    const text = this.#update(client, viewer, timeUs);
    if (this.#wanting) client.nextUs = 0;
    if (text === null) return;
    this.counters.messages += 1;
    this.counters.bytes += text.length;
    client.socket.send(text);
  }

  /** Whether something may be made in this turn that takes long; what may not has its turn soon. */
  #slice(): boolean {
    if (this.#slices === 0) this.#wanting = true;
    else this.#slices -= 1;
    return !this.#wanting;
  }

  /** Sections as `keel top` asks for them, whole. */
  sections(names: readonly SectionName[], timeUs: number): Partial<Sections> {
    this.#window.look(timeUs);
    const made = names.map((name) => [
      name,
      name === "surface" ? surfaceSection(this.#source.desk, 0, null) : this.#make(name, timeUs),
    ]);
    return Object.fromEntries(made) as Partial<Sections>;
  }

  stop(): void {
    clearInterval(this.#sampling);
    for (const client of [...this.#clients]) this.#cut(client, CLOSE.stopped, "keel stops");
  }

  /** The update as text: sections are joined as they are kept, without being parsed again. Null when nothing has changed. */
  #update(client: Client, viewer: Viewer, timeUs: number): string | null {
    const { desk } = this.#source;
    const fields: string[] = [`"us":${timeUs}`];
    const add = (name: string, value: unknown): void => {
      fields.push(`${JSON.stringify(name)}:${JSON.stringify(value)}`);
    };
    if (!client.greeted) {
      add("hello", this.#hello());
      client.greeted = true;
    }
    const standing = JSON.stringify({ ...viewer, unlockedMs: Math.ceil(viewer.unlockedMs / 1_000) * 1_000 });
    if (standing !== client.viewer) fields.push(`"viewer":${standing}`);
    client.viewer = standing;
    const added = directory(desk, client.known, DIRECTORY_ROWS);
    if (added.length > 0) add("directory", added);
    client.known += added.length;
    const rows = client.rows.changes(desk);
    if (rows !== "") fields.push(`"rows":${rows}`);
    const sections = client.sections.flatMap((name) => {
      const text = name === "surface" ? this.#surface(client, timeUs) : this.#text(name, timeUs);
      if (text === null || client.sent.get(name) === text) return [];
      client.sent.set(name, text);
      return `${JSON.stringify(name)}:${text}`;
    });
    if (sections.length > 0) fields.push(`"sections":{${sections.join()}}`);
    const detail = this.#detail(client, timeUs);
    if (detail !== null) fields.push(`"detail":${detail}`);
    return fields.length === 1 ? null : `{${fields.join()}}`;
  }

  #detail(client: Client, timeUs: number): string | null {
    if (client.detail === null || (timeUs < client.nextDetailUs && client.nextDetailUs - timeUs < 1e6)) {
      return null;
    }
    if (!this.#slice()) return null;
    client.nextDetailUs = timeUs + DETAIL_MS * 1_000;
    const text = JSON.stringify(detailOf(this.#source, client.detail));
    if (text === "null" || client.sent.get("detail") === text) return null;
    client.sent.set("detail", text);
    return text;
  }

  #surface(client: Client, timeUs: number): string | null {
    if (timeUs < client.nextSurfaceUs && client.nextSurfaceUs - timeUs <= 1e6) return null;
    if (!this.#slice()) return null;
    client.nextSurfaceUs = timeUs + INTERVAL_MS.surface * 1_000;
    return JSON.stringify(surfaceSection(this.#source.desk, client.underlying, client.expiryMs));
  }

  /** Made once for all who look, and again when it is too old; null when it could not be made yet. */
  #text(name: SharedSection, timeUs: number): string | null {
    const known = this.#texts.get(name);
    const age = known === undefined ? Number.NaN : timeUs - known.us;
    if (known !== undefined && age >= 0 && age < INTERVAL_MS[name] * 1_000) return known.text;
    if (name !== "pulse" && !this.#slice()) return known?.text ?? null;
    const text = JSON.stringify(this.#make(name, timeUs));
    this.#texts.set(name, { us: timeUs, text });
    return text;
  }

  #make(name: SharedSection, timeUs: number): unknown {
    const source = this.#source;
    switch (name) {
      case "pulse":
        return pulseSection(source);
      case "overview":
        return overviewSection(source, this.#window);
      case "risk":
        return riskSection(source);
      case "profit":
        return profitSection(source);
      case "latency":
        return this.#window.section(timeUs);
      case "feeds":
        return feedsSection(source, { ...this.counters, clients: this.clients });
      case "model":
        return modelSection(source);
      case "alerts":
        return source.alerts();
    }
  }

  #hello(): NonNullable<Update["hello"]> {
    const { name, version, heads } = this.#source;
    const reasons = Object.keys(REASON);
    return { name, version, reasons, states: FEED_STATE_NAMES, heads, history: this.#history.rows() };
  }

  #sample(): void {
    const { desk, timeUs } = this.#source;
    const { quotesSent, events } = desk.counters;
    const { profit, dayProfit } = desk.book;
    const cents = (value: number): number => Math.round(value * 100) / 100;
    this.#history.push(Math.round(timeUs() / 1_000), cents(profit), cents(dayProfit), quotesSent, events);
    if (this.#history.size > HISTORY_SAMPLES) this.#history.shift();
  }

  #cut(client: Client, code: number, reason: string): void {
    this.#forget(client);
    // A socket that does not read would not take a close frame either.
    if (code === CLOSE.slow) client.socket.terminate();
    else client.socket.close(code, reason);
  }

  #forget(client: Client): void {
    this.#clients.delete(client);
    if (this.#clients.size > 0 || this.#ticking === null) return;
    clearInterval(this.#ticking);
    this.#ticking = null;
  }
}
