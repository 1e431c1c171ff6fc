import { type DecidedQuote, decodeDecision } from "../../src/desk/decision.ts";
import { Desk, type DeskPort } from "../../src/desk/desk.ts";
import { noTimer } from "../../src/desk/latency.ts";
import { MassQuoteEncoder } from "../../src/gateway/fix/mass-quote.ts";
import { DEFAULT_QUOTE_PARAMETERS, type QuoteParameters } from "../../src/quote/parameters.ts";
import { NOT_TRIPPED } from "../../src/risk/kill-switch.ts";
import { DEFAULT_RISK_LIMITS } from "../../src/risk/limits.ts";
import { BinanceFrames } from "../../src/sim/binance-frames.ts";
import { SimMarket } from "../../src/sim/market/market.ts";
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
export class DeskBed implements DeskPort {
  readonly desk: Desk;
  readonly market = new SimMarket({ seed: 3, startUs: START_US });
  readonly sent: SentQuote[] = [];
  cancels = 0;
  submits = 0;
  kills = 0;
  /** Frames are withheld while set; what is withheld is lost. */
  muted = false;
  /** Rewrites a frame on its way. */
  alter: ((frame: string) => string) | null = null;
  timeUs = START_US;
  readonly #frames: BinanceFrames;
  readonly #due: (() => void)[] = [];
  readonly #encoder: MassQuoteEncoder;
  readonly #bytes: Uint8Array;
  #streams = new Set<string>();
  #fix = "";
  #timerUs = START_US;

  constructor(engine: ScriptedEngine | null, parameters: Partial<QuoteParameters> = {}) {
    this.#frames = new BinanceFrames(
      this.market,
      { wanted: (channel) => this.#streams.has(channel), emit: (channel, data) => this.#emit(channel, data) },
      3,
    );
    this.desk = new Desk({
      feeds: [{ venue: "binance-usdm", subscriptions: ["BTCUSDT"] }],
      signals: [],
      instrumentCapacity: 64,
      silenceMs: 2_000,
      seed: 1,
      engine,
      quote: { ...DEFAULT_QUOTE_PARAMETERS, ...parameters },
      risk: DEFAULT_RISK_LIMITS,
      kill: NOT_TRIPPED,
      port: this,
      timer: noTimer,
    });
    this.#encoder = new MassQuoteEncoder(
      { version: "4.4", senderCompId: "KEEL", targetCompId: "PEER" },
      this.desk.market.instruments,
    );
    this.#bytes = new Uint8Array(this.#encoder.maxBytes);
    this.desk.start(this.timeUs);
    this.desk.onSessionUp(this.timeUs);
  }

  /** Lets time pass. */
  run(ms: number): void {
    const untilUs = this.timeUs + ms * 1_000;
    while (this.timeUs < untilUs) {
      this.timeUs += STEP_US;
      this.market.advance(this.timeUs);
      for (let call = this.#due.shift(); call !== undefined; call = this.#due.shift()) call();
      if (this.timeUs - this.#timerUs >= TIMER_US) {
        this.#timerUs = this.timeUs;
        this.desk.onTimer(this.timeUs);
      }
    }
  }

  get last(): SentQuote {
    const last = this.sent.at(-1);
    if (last === undefined) throw new Error("no quote was sent");
    return last;
  }

  connect(): void {
    this.#due.push(() => this.desk.onFeedOpen(0, this.timeUs));
  }

  send(_feed: number, text: string): void {
    const { method, params, id } = JSON.parse(text) as { method: string; params: string[]; id: number };
    if (method === "SUBSCRIBE") this.#streams = new Set([...this.#streams, ...params]);
    this.#due.push(() => this.desk.onFrame(0, JSON.stringify({ result: null, id }), this.timeUs));
  }

  disconnect(): void {
    this.#streams.clear();
  }

  request(feed: number, request: number, path: string): void {
    const answer = (body: string): void => {
      this.#due.push(() => this.desk.onFeedResponse(feed, request, 200, body, Number.NaN, this.timeUs));
    };
    if (path.includes("exchangeInfo")) answer(exchangeInfo());
    else if (path.includes("premiumIndex")) answer(this.#frames.premiumIndex());
    else answer(this.#frames.snapshot(1_000));
  }

  submit(): void {
    this.submits += 1;
  }

  publish({ batch }: Parameters<DeskPort["publish"]>[0], timeUs: number): void {
    const length = this.#encoder.encode(batch, 0, batch.count, 1, timeUs, this.#bytes);
    const { start } = this.#encoder;
    this.#fix = new TextDecoder().decode(this.#bytes.subarray(start, start + length)).replaceAll("\x01", "|");
  }

  decided(_underlying: number, timeUs: number, payload: Uint8Array): void {
    for (const quote of decodeDecision(payload).quotes) this.sent.push({ ...quote, timeUs, fix: this.#fix });
  }

  cancelAll(): void {
    this.cancels += 1;
  }

  killChanged(): void {
    this.kills += 1;
  }

  #emit(channel: string, data: string): void {
    if (this.muted) return;
    const frame = `{"stream":"${channel}","data":${data}}`;
    this.desk.onFrame(0, this.alter === null ? frame : this.alter(frame), this.timeUs);
  }
}

function exchangeInfo(): string {
  return JSON.stringify({
    timezone: "UTC",
    serverTime: 1,
    symbols: [
      {
        symbol: "BTCUSDT",
        pair: "BTCUSDT",
        contractType: "PERPETUAL",
        deliveryDate: 4_133_404_800_000,
        status: "TRADING",
        baseAsset: "BTC",
        quoteAsset: "USDT",
        marginAsset: "USDT",
        filters: [
          { filterType: "PRICE_FILTER", minPrice: "0.10", maxPrice: "1000000", tickSize: "0.10" },
          { filterType: "LOT_SIZE", minQty: "0.001", maxQty: "1000", stepSize: "0.001" },
        ],
      },
    ],
  });
}
