import type { CaptureEntry } from "../../feed/capture.ts";
import type { JsonObject } from "../../feed/decoder.ts";
import { Subscriptions } from "../protocol/subscriptions.ts";
import { answerControl } from "../protocol/venue-control.ts";
import type { CaptureClient } from "./client.ts";
import { type CaptureDialect, type ChannelState, isRestBook } from "./dialect.ts";
import type { CaptureAnswer, CaptureHost, CaptureProtocol } from "./protocol.ts";
import type { CaptureScan } from "./scan.ts";

const CHANNELS_MAX = 10_000;
/** A request for a book waits at most this long for playback to come to what answers it. */
const BOOK_WAIT_MS = 10_000;
const WAITING_MAX = 256;

interface Waiting {
  readonly channel: string;
  answer(answer: CaptureAnswer): void;
}

/**
 * Serves a capture of a venue of channels, whose words a {@link CaptureDialect} knows. A channel that is subscribed after playback has
 * passed its beginning begins with what it has told since: a snapshot of the book kept here, the last ticker. A book that clients ask for
 * over REST is answered as it stands; before playback has come to the recorded answer the request waits for it.
 */
export class ChannelsCapture implements CaptureProtocol {
  framesPlayed = 0;
  snapshotsServed = 0;
  readonly #host: CaptureHost;
  readonly #scan: CaptureScan;
  readonly #dialect: CaptureDialect;
  readonly #described = new Map<string, JsonObject>();
  readonly #listeners = new Subscriptions<CaptureClient>(CHANNELS_MAX);
  readonly #states = new Map<string, ChannelState>();
  /** Books whose recorded REST answer playback has come to. */
  readonly #begun = new Set<string>();
  readonly #waiting = new Set<Waiting>();
  #timeUs: number;
  #isOver = false;

  constructor(scan: CaptureScan, dialect: CaptureDialect, host: CaptureHost) {
    this.#scan = scan;
    this.#dialect = dialect;
    this.#host = host;
    this.#timeUs = scan.firstUs;
    const recorded = new Map(scan.descriptions.flatMap((text) => dialect.describedIn(text)));
    for (const [symbol, decimals] of scan.decimals)
      this.#described.set(symbol, recorded.get(symbol) ?? dialect.infer(symbol, decimals));
  }

  get subscriptions(): number {
    let count = 0;
    for (const channel of this.#scan.channels) for (const _ of this.#listeners.sessions(channel)) count += 1;
    return count;
  }

  accepts(url: URL): boolean {
    return this.#dialect.control.accepts(url);
  }

  open(client: CaptureClient): void {
    const greeting = this.#dialect.control.greeting();
    if (greeting !== null) this.#host.reply(client, greeting);
  }

  message(client: CaptureClient, text: string): void {
    const begun = answerControl(this.#dialect.control, text, {
      subscribe: (asked) => this.#subscribe(client, asked),
      unsubscribe: (asked) => this.#unsubscribe(client, asked),
      list: () => [...client.asked.values()],
      reply: (answer) => this.#host.reply(client, answer),
    });
    for (const asked of begun) this.#begin(client, asked);
    if (client.asked.size > 0) this.#host.listening();
  }

  close(client: CaptureClient): void {
    this.#listeners.drop(client);
  }

  request(url: URL): CaptureAnswer | Promise<CaptureAnswer> | null {
    const channel = this.#dialect.restBook(url);
    if (channel === null)
      return this.#dialect.request(url, this.#described, Math.floor(this.#timeUs / 1_000));
    if (!this.#scan.channels.has(channel)) return null;
    const caughtUp = this.#host.caughtUp();
    return caughtUp === null ? this.#book(channel) : caughtUp.then(() => this.#book(channel));
  }

  refusal(status: number): string {
    return this.#dialect.refusal(status);
  }
  play(entry: CaptureEntry): void {
    this.#timeUs = entry.timeUs;
    if (entry.kind === "http") this.#recordedAnswer(entry);
    else if (entry.kind === "frame") this.#frame(entry.text);
    else if (entry.kind === "connect" || entry.kind === "lost") this.#interrupt();
  }

  tick(): void {}

  ended(): void {
    this.#isOver = true;
    for (const waiting of [...this.#waiting]) this.#answer(waiting);
  }

  restart(): void {
    this.#states.clear();
    this.#begun.clear();
    this.#isOver = false;
    this.#timeUs = this.#scan.firstUs;
  }

  #book(channel: string): CaptureAnswer | Promise<CaptureAnswer> {
    const body = this.#bodyOf(channel);
    if (body !== null) {
      this.#host.answering();
      return { status: 200, body };
    }
    if (this.#waiting.size >= WAITING_MAX) return { status: 429, body: this.refusal(429) };
    return new Promise((resolve) => {
      const timer = setTimeout(() => waiting.answer({ status: 503, body: this.refusal(503) }), BOOK_WAIT_MS);
      const waiting: Waiting = {
        channel,
        answer: (answer) => {
          clearTimeout(timer);
          this.#waiting.delete(waiting);
          this.#host.answering();
          resolve(answer);
        },
      };
      this.#waiting.add(waiting);
    });
  }

  #frame(text: string): void {
    const channel = this.#dialect.channelOf(text);
    if (channel === null) return;
    this.framesPlayed += 1;
    if (this.#listeners.wanted(channel)) {
      this.#host.deliver(channel, text, this.#listeners.sessions(channel), (client) =>
        this.#dialect.shape(text, client.asked.get(channel) ?? channel),
      );
    }
    const state = this.#stateOf(channel);
    if (state === undefined) return;
    state.apply(text);
    if (isRestBook(state) && !this.#scan.snapshots.has(channel)) this.#answerAll(channel);
  }

  #recordedAnswer({ url, status, text }: CaptureEntry): void {
    const channel = status === 200 && URL.canParse(url) ? this.#dialect.restBook(new URL(url)) : null;
    const book = channel === null ? undefined : this.#stateOf(channel);
    if (channel === null || !isRestBook(book) || !book.join(text)) return;
    this.#begun.add(channel);
    this.#answerAll(channel);
  }

  #interrupt(): void {
    for (const state of this.#states.values()) if (isRestBook(state)) state.interrupt();
  }

  #answerAll(channel: string): void {
    for (const waiting of [...this.#waiting]) if (waiting.channel === channel) this.#answer(waiting);
  }

  #answer(waiting: Waiting): void {
    const body = this.#bodyOf(waiting.channel);
    waiting.answer(body === null ? { status: 503, body: this.refusal(503) } : { status: 200, body });
  }

  /** The book as it stands, when playback has come to its recorded beginning or there is none. */
  #bodyOf(channel: string): string | null {
    const book = this.#states.get(channel);
    const isBegun = this.#begun.has(channel) || !this.#scan.snapshots.has(channel) || this.#isOver;
    const body = isRestBook(book) && isBegun ? book.body() : null;
    if (body !== null) this.snapshotsServed += 1;
    return body;
  }

  #subscribe(client: CaptureClient, asked: string): boolean {
    const channel = this.#dialect.canonical(asked);
    const isServed = this.#scan.channels.has(channel);
    if (!isServed && !this.#isQuiet(channel)) return false;
    if (isServed && !this.#listeners.add(client, channel)) return false;
    client.asked.set(channel, asked);
    return true;
  }

  /** Channels of instruments that the capture has, on which nothing happened while it was made. */
  #isQuiet(channel: string): boolean {
    const symbol = this.#dialect.symbolOf(channel);
    if (this.#dialect.describe(channel, this.#described) !== null) return true;
    return [...this.#described.keys()].some((known) => known === symbol || known.startsWith(symbol));
  }

  #unsubscribe(client: CaptureClient, asked: string): boolean {
    const channel = this.#dialect.canonical(asked);
    this.#listeners.remove(client, channel);
    return client.asked.delete(channel);
  }

  #begin(client: CaptureClient, asked: string): void {
    const channel = this.#dialect.canonical(asked);
    const first =
      this.#dialect.describe(channel, this.#described) ?? this.#states.get(channel)?.first(asked) ?? null;
    if (first === null) return;
    if (this.#dialect.isBook(channel)) this.snapshotsServed += 1;
    this.#host.reply(client, first);
  }

  #stateOf(channel: string): ChannelState | undefined {
    const known = this.#states.get(channel);
    if (known !== undefined) return known;
    const state = this.#dialect.newState(channel) ?? undefined;
    if (state !== undefined) this.#states.set(channel, state);
    return state;
  }
}
