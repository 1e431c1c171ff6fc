/**
 * One desk over one recording: the event loop that holds the clocks of the desk and of its venue together.
 *
 * @module
 */
import { BadInputError } from "../core/errors.ts";
import { loadNative } from "../core/native.ts";
import { Desk } from "../desk/desk.ts";
import { noTimer } from "../desk/latency.ts";
import type { StepEngine } from "../inference/engine.ts";
import type { InstrumentSpec } from "../market/instrument.ts";
import { quoteStability } from "../monitor/quote-stability.ts";
import { SOURCES, type Source } from "../position/attribution.ts";
import { LIMITS } from "../risk/gate.ts";
import { NOT_TRIPPED } from "../risk/kill-switch.ts";
import { CounterpartyFlow } from "./flow.ts";
import { BacktestGateway } from "./gateway.ts";
import { FeedLatency, Line } from "./latency.ts";
import { Matching } from "./matching.ts";
import { MidSeries } from "./mid-series.ts";
import { queueModel } from "./queue.ts";
import type { Player, Recording, RecordingSink } from "./recording.ts";
import type { BacktestSummary } from "./result.ts";
import { Scorer } from "./scorer.ts";
import type { BacktestSpec } from "./spec.ts";
import { Tape } from "./tape.ts";
import { VenueReader } from "./venue-reader.ts";

const TIMER_US = 10_000;
const INSTRUMENT_CAPACITY = 8_192;
/** Seeds of what is random, apart from each other. */
const SEED = { order: 0x6f72, response: 0x7265, flow: 0x666c } as const;

/** Told every so often: how far the run has come. */
export type Progress = (timeUs: number) => void;

export interface SimulationOptions {
  readonly spec: BacktestSpec;
  readonly recording: Recording;
  /** Null: the desk has no model. */
  readonly engine: StepEngine | null;
  /** Local less exchange time of the fastest event, by feed; see `measureClocks`. */
  readonly clockOffsetUs: readonly number[];
  readonly progress?: Progress;
}

/** A spot instrument as one that may be sold short. */
function spotAsPerpetual(spec: InstrumentSpec): InstrumentSpec {
  return spec.kind === "spot" ? { ...spec, kind: "perpetual" } : spec;
}

export class Simulation implements RecordingSink {
  readonly desk: Desk;
  readonly matching: Matching;
  readonly scorer: Scorer;
  readonly gateway: BacktestGateway;
  readonly #options: SimulationOptions;
  readonly #tape = new Tape();
  readonly #latency: FeedLatency;
  readonly #reader: VenueReader;
  readonly #player: Player<unknown>;
  readonly #mids = new MidSeries();
  readonly #flow: CounterpartyFlow | null;
  readonly #fromUs: number;
  readonly #toUs: number;
  /** Entries that the reader has seen and the desk has not. */
  #ahead: unknown[] = [];
  #aheadFrom = 0;
  #timerUs: number;
  #intervalUs: number;
  #nowUs: number;
  #up = false;
  #over = false;

  constructor(options: SimulationOptions) {
    this.#options = options;
    const { spec, recording, engine } = options;
    const { latency, matching, seed } = spec;
    const feedSeed = recording.feedSeed ?? seed;
    this.#latency = new FeedLatency(latency, options.clockOffsetUs);
    const mids = this.#mids;
    const describe = spec.quoteSpot ? spotAsPerpetual : undefined;
    this.#reader = new VenueReader({
      recording,
      capacity: INSTRUMENT_CAPACITY,
      seed: feedSeed,
      silenceMs: recording.timed ? spec.silenceMs : Number.MAX_SAFE_INTEGER,
      latency: this.#latency,
      tape: this.#tape,
      describe,
      ...(spec.flow === null
        ? {}
        : { onRead: (batch, row, venueUs) => mids.onRead(this.#reader.instruments, batch, row, venueUs) }),
    });
    this.#player = recording.player();
    this.gateway = new BacktestGateway({
      player: this.#player,
      venueInstruments: this.#reader.instruments,
      fees: spec.fees,
      orderLine: new Line(latency.orderUs, latency.jitterUs, seed ^ SEED.order),
      responseLine: new Line(latency.responseUs, latency.jitterUs, seed ^ SEED.response),
      onFill: (fill) => this.scorer.onFill(fill),
    });
    this.matching = new Matching(
      this.#reader.instruments,
      { ...matching, queue: queueModel(matching.queue, matching.queueExponent) },
      this.gateway,
    );
    this.desk = new Desk({
      feeds: recording.feeds,
      signals: recording.signals,
      instrumentCapacity: INSTRUMENT_CAPACITY,
      describe,
      silenceMs: spec.silenceMs,
      seed: feedSeed,
      engine,
      quote: spec.quote,
      surface: spec.surface,
      risk: spec.risk,
      kill: NOT_TRIPPED,
      hedge: spec.hedge,
      fees: spec.fees,
      port: this.gateway,
      timer: noTimer,
    });
    this.gateway.attach(this.matching, this.desk.market.instruments);
    const heads = engine?.card.heads.length ?? 0;
    this.scorer = new Scorer(this.matching, () => [...this.desk.probabilities.subarray(0, heads)]);
    this.#nowUs = recording.firstUs;
    this.#fromUs = spec.fromUs ?? recording.firstUs;
    this.#toUs = spec.toUs ?? Number.POSITIVE_INFINITY;
    this.#timerUs = recording.timed ? Number.POSITIVE_INFINITY : recording.firstUs + TIMER_US;
    this.#intervalUs = Math.max(this.#fromUs, recording.firstUs) + spec.intervalMs * 1_000;
    this.#flow =
      spec.flow === null ? null : new CounterpartyFlow(spec.flow, seed ^ SEED.flow, this.#fromUs, mids);
  }

  /** Plays the whole recording. */
  async run(): Promise<void> {
    const { recording, progress } = this.#options;
    // Feeds decode natively where the library is there.
    await loadNative();
    await this.#reader.begin();
    this.desk.start(recording.firstUs);
    await this.#player.begin(this);
    const aheadUs = this.#latency.maxUs + (this.#options.spec.flow?.informedHorizonMs ?? 0) * 1_000;
    for await (const entries of recording.entries()) {
      for (const entry of entries) {
        const timeUs = recording.timeUs(entry);
        const settled = this.#reader.read(entry, timeUs);
        if (settled !== null) await settled;
        this.#ahead.push(entry);
        while (!this.#over && this.#nextEntryUs + aheadUs <= this.#reader.readUs) await this.#playNext();
      }
      progress?.(this.#nowUs);
      this.#mids.forget(this.#nowUs - 1e6);
      if (this.#over) break;
    }
    await this.#reader.player.finish();
    while (!this.#over && this.#aheadFrom < this.#ahead.length) await this.#playNext();
    if (!this.#over) await this.#player.finish();
    this.#end();
  }

  onOpen(feed: number, timeUs: number): void {
    this.desk.onFeedOpen(feed, timeUs);
  }

  onFrame(feed: number, text: string, timeUs: number): void {
    this.desk.onFrame(feed, text, timeUs);
  }

  onClose(feed: number, code: number, reason: string, timeUs: number): void {
    this.desk.onFeedClose(feed, code, reason, timeUs);
  }

  onResponse(
    feed: number,
    request: number,
    status: number,
    body: string,
    retryAfterMs: number,
    timeUs: number,
  ): void {
    this.desk.onFeedResponse(feed, request, status, body, retryAfterMs, timeUs);
  }

  onTimer(timeUs: number): void {
    this.desk.onTimer(timeUs);
  }

  get #nextEntryUs(): number {
    if (this.#aheadFrom === this.#ahead.length) return Number.POSITIVE_INFINITY;
    return this.#options.recording.timeUs(this.#ahead[this.#aheadFrom]);
  }

  /** The next entry reaches the desk, after all that happens before it. */
  async #playNext(): Promise<void> {
    const timeUs = Math.max(this.#nowUs, this.#nextEntryUs);
    if (timeUs >= this.#toUs) {
      this.#advance(this.#toUs);
      this.#over = true;
      return;
    }
    this.#advance(timeUs);
    const entry = this.#ahead[this.#aheadFrom];
    this.#aheadFrom += 1;
    if (this.#aheadFrom >= 4_096 && this.#aheadFrom * 2 >= this.#ahead.length) {
      this.#ahead = this.#ahead.slice(this.#aheadFrom);
      this.#aheadFrom = 0;
    }
    const settled = this.#player.take(entry);
    if (settled !== null) await settled;
  }

  /** Lets everything happen that is due until then; at the same time what happens at the venue comes first. */
  #advance(untilUs: number): void {
    const { gateway, matching, scorer, desk } = this;
    const tape = this.#tape;
    for (;;) {
      const marketUs = tape.nextUs;
      const requestUs = gateway.nextRequestUs;
      const flowUs = this.#flow?.nextUs ?? Number.POSITIVE_INFINITY;
      const reportUs = gateway.nextReportUs;
      const markUs = scorer.nextUs;
      const deskUs = Math.min(reportUs, this.#timerUs, this.#intervalUs, this.#up ? Infinity : this.#fromUs);
      const dueUs = Math.min(marketUs, requestUs, flowUs, markUs, deskUs);
      if (dueUs > untilUs) break;
      this.#nowUs = Math.max(this.#nowUs, dueUs);
      if (markUs <= dueUs) scorer.mark(markUs);
      else if (marketUs <= dueUs) {
        const slot = tape.take();
        matching.onEvent(tape, slot, marketUs);
        tape.release(slot);
      } else if (requestUs <= dueUs) gateway.deliverRequest();
      else if (flowUs <= dueUs) this.#flow?.arrive(matching, flowUs);
      else if (reportUs <= dueUs) gateway.deliverReport(desk);
      else if (this.#timerUs <= dueUs) {
        desk.onTimer(this.#timerUs);
        this.#timerUs += TIMER_US;
      } else if (!this.#up && this.#fromUs <= dueUs) {
        this.#up = true;
        desk.onSessionUp(this.#nowUs);
      } else {
        scorer.onInterval(desk, this.#intervalUs);
        this.#intervalUs += this.#options.spec.intervalMs * 1_000;
      }
    }
    this.#nowUs = Math.max(this.#nowUs, untilUs);
  }

  /** What is under way arrives; then nothing more happens. */
  #end(): void {
    this.scorer.onInterval(this.desk, this.#nowUs);
  }

  summary(): BacktestSummary {
    const { desk, scorer, matching, gateway } = this;
    const fills = scorer.fills();
    if (desk.market.instruments.size === 0) {
      throw new BadInputError(
        this.#options.spec.recordings.join(", "),
        "a recording in which no instrument is described",
        "one that a desk can trade on",
      );
    }
    const sources = Object.fromEntries(SOURCES.map((source) => [source, 0])) as Record<Source, number>;
    for (const { attribution } of desk.book.view())
      for (const source of SOURCES) sources[source] += attribution[source];
    const maker = fills.filter((fill) => fill.maker);
    const spreadCaptured = maker.reduce((sum, { spread }) => sum + (spread ?? 0), 0);
    const makerVolume = maker.reduce((sum, { notional }) => sum + notional, 0);
    const { intervals } = scorer;
    const most = (read: (at: (typeof intervals)[number]) => number): number =>
      intervals.reduce((largest, interval) => Math.max(largest, Math.abs(read(interval))), 0);
    const fromUs = Math.max(this.#fromUs, this.#options.recording.firstUs);
    return {
      fromUs,
      toUs: this.#nowUs,
      seconds: (this.#nowUs - fromUs) / 1e6,
      profit: desk.book.profit,
      sources,
      fees: scorer.fees,
      fills: fills.length,
      makerFills: maker.length,
      takerFills: fills.length - maker.length,
      volume: scorer.volume,
      spreadCaptured,
      spreadCapturedBp: makerVolume > 0 ? (spreadCaptured / makerVolume) * 1e4 : null,
      markouts: scorer.markouts(),
      drawdown: scorer.drawdown,
      deltaMax: most(({ delta }) => delta),
      exposureMax: most(({ exposure }) => exposure),
      positions: Object.fromEntries(
        desk.book.view().map(({ venue, symbol, lots }) => [`${venue}:${symbol}`, lots]),
      ),
      messages: gateway.messages,
      fillRatio: desk.counters.quotesSent === 0 ? 0 : fills.length / desk.counters.quotesSent,
      stability: quoteStability(desk),
      killed: desk.gate.kill.tripped ? desk.gate.kill.state.reason : null,
      refusals: Object.fromEntries(
        LIMITS.map((name) => [name, desk.gate.refused(name)] as const).filter(([, count]) => count > 0),
      ),
      desk: { ...desk.counters },
      matching: structuredClone(matching.counters),
      flow: this.#flow === null ? null : { ...this.#flow.counters },
      hedges: desk.hedger.counters.sent,
      latencyCut: this.#latency.cut,
      clockOffsetUs: this.#options.clockOffsetUs.map((offset) => (Number.isFinite(offset) ? offset : null)),
      problems: [
        ...this.#options.recording.damage.map((damage) => `${damage}; what is before it was played`),
        ...desk.feeds.map(({ problem }) => problem).filter((problem) => problem !== ""),
      ],
    };
  }
}
