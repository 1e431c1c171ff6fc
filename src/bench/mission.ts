import { Histogram } from "../core/histogram.ts";
import { invariant } from "../core/invariant.ts";
import { type DecidedQuote, decodeDecision } from "../desk/decision.ts";
import { Desk } from "../desk/desk.ts";
import { noTimer } from "../desk/latency.ts";
import { HEADS } from "../inference/card.ts";
import { DEFAULT_SURFACE_PARAMETERS } from "../option/surface/parameters.ts";
import { DEFAULT_QUOTE_PARAMETERS } from "../quote/parameters.ts";
import type { StandingQuote } from "../quote/standing-quotes.ts";
import type { ApprovedQuotes } from "../risk/gate.ts";
import { NOT_TRIPPED } from "../risk/kill-switch.ts";
import { DEFAULT_RISK_LIMITS } from "../risk/limits.ts";
import { MemoryDeribit } from "../sim/memory-deribit.ts";
import { MemoryPort } from "../sim/memory-port.ts";
import { ToldEngine } from "../sim/told-engine.ts";

const START_US = 1_700_000_000e6;
const TIMER_US = 10_000;
const STEP_US = 1_000;
/** Long enough for features to be ready, a surface to be fitted and every option to be quoted. */
const SETTLE_MS = 4_000;
/** A quiet market takes longer to bring the features' first events; by then any has. */
const WARM_MS = 60_000;
/** Long enough for a prediction to pass and for what was widened to live its minimum life. */
const CALM_MS = 1_200;
const MOVE = HEADS.indexOf("down50");
const WITHDRAWAL = HEADS.indexOf("bidWithdraw50");

class MissionPort extends MemoryPort {
  /** Quotes of the turns since it was last emptied. */
  readonly decidedQuotes: DecidedQuote[] = [];
  publishedNs = 0;

  override publish(quotes: ApprovedQuotes, timeUs: number): void {
    super.publish(quotes, timeUs);
    this.publishedNs = Bun.nanoseconds();
  }

  override decided(_underlying: number, _timeUs: number, payload: Uint8Array): void {
    this.decidedQuotes.push(...decodeDecision(payload).quotes);
  }
}

/** What one frame with the mission's prediction did. */
export interface Widening {
  /** What stood for each quoted instrument before it. */
  readonly before: readonly StandingQuote[];
  /** What its turn sent. */
  readonly quotes: readonly DecidedQuote[];
  /** From the frame's receipt to the last byte of its FIX; of no meaning without quotes. */
  readonly frameToFixNs: number;
}

/**
 * The mission's scenario on a whole desk: the simulated Deribit's perpetual and option chain come in as frames; at one of them the
 * model says 70 % for a fall within 50 ms and 60 % for a withdrawal of bids; quotes leave as FIX in that frame's turn.
 */
export class Mission {
  readonly desk: Desk;
  readonly #engine = new ToldEngine();
  readonly #venue: MemoryDeribit;
  readonly #port: MissionPort;
  #timerUs = START_US;
  #frameNs = 0;
  #sentAtNs = 0;

  constructor(seed: number) {
    this.#venue = new MemoryDeribit(seed, START_US);
    this.#port = new MissionPort(this.#venue);
    this.desk = new Desk({
      feeds: [{ venue: "deribit", subscriptions: ["options:BTC", "BTC-PERPETUAL"] }],
      signals: [],
      instrumentCapacity: 1_024,
      silenceMs: 5_000,
      seed,
      engine: this.#engine,
      quote: { ...DEFAULT_QUOTE_PARAMETERS, messagesPerSecond: 1e6, messageBurst: 1e6 },
      surface: DEFAULT_SURFACE_PARAMETERS,
      risk: DEFAULT_RISK_LIMITS,
      kill: NOT_TRIPPED,
      port: this.#port,
      timer: noTimer,
    });
    this.#port.attach(this.desk.market.instruments);
    this.desk.start(START_US);
    this.desk.onSessionUp(START_US);
    this.#run(SETTLE_MS, () => false);
    this.#warmUp();
  }

  /** Until the model is in force the desk quotes defensively, whatever the model would say. */
  #warmUp(): void {
    const { desk } = this;
    if (desk.modelStatus(0) === 0) return;
    const untilUs = START_US + WARM_MS * 1_000;
    while (desk.modelStatus(0) !== 0) {
      invariant(this.#venue.timeUs() < untilUs, "the simulated market brings the features' first events");
      this.#run(CALM_MS, () => false);
    }
    this.#run(CALM_MS, () => false);
  }

  /** Plays the scenario once, and then lets the market be calm until the quotes are tight again. */
  play(): Widening {
    const before = this.#standing();
    this.#engine.answer[MOVE] = 0.7;
    this.#engine.answer[WITHDRAWAL] = 0.6;
    this.#port.decidedQuotes.length = 0;
    this.#run(1_000, () => this.#port.decidedQuotes.some(({ reasons }) => reasons.includes("modelMove")));
    const widening = {
      before,
      quotes: this.#port.decidedQuotes.filter(({ reasons }) => reasons.includes("modelMove")),
      frameToFixNs: this.#sentAtNs,
    };
    this.#engine.answer.fill(0);
    this.#run(CALM_MS, () => false);
    return widening;
  }

  #standing(): StandingQuote[] {
    const { instruments } = this.desk.market;
    return instruments
      .all()
      .filter(({ id }) => this.desk.quoter.quotes(id))
      .map(({ id }) => this.desk.quoter.standing(id));
  }

  /** Lets time pass until it is enough; nothing more of the frames of that step is delivered then. */
  #run(ms: number, isEnough: () => boolean): void {
    const desk = this.desk;
    let done = false;
    const sink = {
      onFeedOpen: (feed: number, timeUs: number) => desk.onFeedOpen(feed, timeUs),
      onFrame: (feed: number, text: string, timeUs: number) => {
        this.#frameNs = Bun.nanoseconds();
        desk.onFrame(feed, text, timeUs);
        if (done || !isEnough()) return;
        done = true;
        this.#sentAtNs = this.#port.publishedNs - this.#frameNs;
        this.#engine.answer.fill(0);
      },
    };
    const untilUs = this.#venue.timeUs() + ms * 1_000;
    while (!done && this.#venue.timeUs() < untilUs) {
      this.#venue.advance(this.#venue.timeUs() + STEP_US, sink);
      if (this.#venue.timeUs() - this.#timerUs < TIMER_US) continue;
      this.#timerUs = this.#venue.timeUs();
      desk.onTimer(this.#timerUs);
    }
  }
}

/** Frame to FIX of so many plays, ns, and the quotes that one of them sends. */
export function timeMission(seed: number, plays: number): { frameToFix: Histogram; quotesPerPlay: number } {
  const mission = new Mission(seed);
  const frameToFix = new Histogram();
  let quotes = 0;
  for (let play = 0; play < plays; play += 1) {
    const widening = mission.play();
    if (widening.quotes.length > 0) frameToFix.record(widening.frameToFixNs);
    quotes += widening.quotes.length;
  }
  return { frameToFix, quotesPerPlay: Math.round((10 * quotes) / plays) / 10 };
}
