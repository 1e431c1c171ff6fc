import { type DecidedQuote, decodeDecision } from "../../src/desk/decision.ts";
import { Desk, type DeskOptions, type DeskPort } from "../../src/desk/desk.ts";
import { noTimer } from "../../src/desk/latency.ts";
import type { RiskDecision } from "../../src/desk/risk-decision.ts";
import { MassQuoteEncoder } from "../../src/gateway/fix/mass-quote.ts";
import type { DeskTap } from "../../src/gateway/tap.ts";
import { DEFAULT_QUOTE_PARAMETERS, type QuoteParameters } from "../../src/quote/parameters.ts";
import type { SavedSides } from "../../src/quote/sides-store.ts";
import type { RfqParameters } from "../../src/rfq/parameters.ts";
import { NOT_TRIPPED } from "../../src/risk/kill-switch.ts";
import { DEFAULT_RISK_LIMITS } from "../../src/risk/limits.ts";
import type { OrderIntent } from "../../src/risk/order.ts";
import { MemoryMarket } from "../../src/sim/memory-market.ts";
import type { ScriptedEngine } from "./scripted-engine.ts";

const START_US = 1_700_000_000e6;
const TIMER_US = 10_000;
const STEP_US = 1_000;

/** A sent quote and the FIX bytes that carried it. */
export interface SentQuote extends DecidedQuote {
  readonly timeUs: number;
  readonly fix: string;
}

/** A desk on the simulated BTCUSDT, in memory: frames in, FIX bytes out, time stepped by hand. */
export class DeskBed {
  readonly desk: Desk;
  readonly market = new MemoryMarket(3, START_US);
  readonly sent: SentQuote[] = [];
  readonly orders: OrderIntent[] = [];
  readonly decisions: RiskDecision[] = [];
  cancels = 0;
  flushes = 0;
  /** What became of quotes, in order. */
  readonly done: ("published" | "left" | "told")[] = [];
  submits = 0;
  /** The steps in which a synchronous engine was lost. */
  readonly losses: number[] = [];
  /** Told of the desk's RFQ answers and fills, and its quotes. */
  tap: Partial<Pick<DeskTap, "onQuotes" | "onAnswer" | "onFill">> | null = null;
  readonly #conflate: boolean;
  #timerUs = START_US;

  /**
   * @param conflate quotes are decided once for all frames of a step of the market
   * @param sides as the last run left them
   * @param rfq null: requests for quotes are not answered
   * @param more the books as the last run left them, whether the counterparty is asked what it holds, and what is hedged
   */
  constructor(
    engine: ScriptedEngine | null,
    parameters: Partial<QuoteParameters> = {},
    conflate = false,
    sides: SavedSides = {},
    rfq: RfqParameters | null = null,
    more: Partial<Pick<DeskOptions, "opening" | "reconcile" | "hedge">> = {},
  ) {
    const { market } = this;
    this.#conflate = conflate;
    let fix = "";
    const port: DeskPort = {
      connect: (feed) => market.connect(feed),
      send: (feed, text) => market.send(feed, text),
      disconnect: () => market.disconnect(),
      request: (feed, request, path) => market.request(feed, request, path),
      submit: () => {
        this.submits += 1;
      },
      engineLost: (step) => {
        this.losses.push(step);
      },
      answered: (action, timeUs) => this.tap?.onAnswer?.(action, timeUs),
      filled: (...fill) => this.tap?.onFill?.(...fill),
      publish: ({ batch }, timeUs) => {
        this.done.push("published");
        const length = encoder.encode(batch, 0, batch.count, 1, timeUs, bytes);
        const message = bytes.subarray(encoder.start, encoder.start + length);
        fix = new TextDecoder().decode(message).replaceAll("\x01", "|");
      },
      decided: (_underlying, timeUs, payload, quotes) => {
        this.done.push("told");
        this.tap?.onQuotes?.(quotes, timeUs);
        for (const quote of decodeDecision(payload).quotes) this.sent.push({ ...quote, timeUs, fix });
      },
      flush: () => {
        this.done.push("left");
        this.flushes += 1;
      },
      cancelAll: () => {
        this.cancels += 1;
      },
      killChanged: () => {},
      sendOrder: ({ intent }) => this.orders.push(intent),
      cancelOrder: () => {},
      askOrder: () => {},
      decidedRisk: (decision) => this.decisions.push(decision),
      predicted: () => {},
    };
    this.desk = new Desk({
      feeds: [{ venue: "binance-usdm", subscriptions: ["BTCUSDT"] }],
      signals: [],
      instrumentCapacity: 64,
      silenceMs: 2_000,
      conflate,
      seed: 1,
      engine,
      quote: { ...DEFAULT_QUOTE_PARAMETERS, ...parameters },
      risk: DEFAULT_RISK_LIMITS,
      kill: NOT_TRIPPED,
      sides,
      rfq,
      port,
      timer: noTimer,
      ...more,
    });
    const encoder = new MassQuoteEncoder(
      { version: "4.4", senderCompId: "KEEL", targetCompId: "PEER" },
      this.desk.market.instruments,
    );
    const bytes = new Uint8Array(encoder.maxBytes);
    this.desk.start(this.timeUs);
    this.desk.onSessionUp(this.timeUs);
  }

  get timeUs(): number {
    return this.market.timeUs;
  }

  /** Lets time pass. */
  run(ms: number): void {
    for (const untilUs = this.timeUs + ms * 1_000; this.timeUs < untilUs; ) {
      this.step();
      if (this.#conflate) this.desk.onBatchEnd(this.timeUs);
      if (this.timeUs - this.#timerUs >= TIMER_US) {
        this.#timerUs = this.timeUs;
        this.desk.onTimer(this.timeUs);
      }
    }
  }

  /** The process stands still: the timer comes first thereafter, and then all that waited, in the same millisecond. */
  stall(ms: number): void {
    const { desk, market } = this;
    const backUs = this.timeUs + ms * 1_000;
    this.#timerUs = backUs;
    desk.onTimer(backUs);
    market.advance(backUs, {
      onFeedOpen: (feed) => desk.onFeedOpen(feed, backUs),
      onFrame: (feed, text) => desk.onFrame(feed, text, backUs),
      onFeedResponse: (feed, request, status, body, retryAfterMs) =>
        desk.onFeedResponse(feed, request, status, body, retryAfterMs, backUs),
    });
  }

  /** The market's frames of the next millisecond. @returns how many there were */
  step(): number {
    const { frames } = this.desk.counters;
    this.market.advance(this.timeUs + STEP_US, this.desk);
    return this.desk.counters.frames - frames;
  }

  get last(): SentQuote {
    const last = this.sent.at(-1);
    if (last === undefined) throw new Error("no quote was sent");
    return last;
  }
}
