/**
 * The process around a desk: sockets, timer, engine, journal, gateway. Everything that happens to the desk passes here, is
 * written to the journal first and then handed on with its time.
 *
 * @module
 */
import { join } from "node:path";
import packageJson from "../../package.json";
import { type Config, loadConfig } from "../config.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";
import { loadNative } from "../core/native.ts";
import { Desk, UNDERLYING_CAPACITY } from "../desk/desk.ts";
import { StageHistograms } from "../desk/latency.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../feature/schema.ts";
import { type FeedEndpoint, LiveFeedPort } from "../feed/live-port.ts";
import type { QuoteGateway } from "../gateway/gateway.ts";
import type { DeskTap } from "../gateway/tap.ts";
import type { StepEngine } from "../inference/engine.ts";
import { loadModels } from "../inference/model.ts";
import { startEngine } from "../inference/registry.ts";
import { nameOf, type StepModel } from "../inference/step-model.ts";
import { runIdAt } from "../journal/format.ts";
import { type GatewayEvent, RecordedGatewayEvents } from "../journal/gateway-event.ts";
import { type JournalSink, RECORD, type RecordType } from "../journal/record.ts";
import type { ControlCommand } from "../journal/replay.ts";
import type { RunStart } from "../journal/run-start.ts";
import { type JournalSummary, JournalWriter } from "../journal/writer.ts";
import { Recalibrator } from "../learn/recalibration.ts";
import { type RunSummary, summarise } from "../monitor/summary.ts";
import { BOOK_FILE, BookStore } from "../position/book-store.ts";
import type { RfqInput } from "../rfq/message.ts";
import { KILL_SWITCH_FILE, KillSwitchStore } from "../risk/kill-switch-store.ts";
import type { RiskLimits } from "../risk/limits.ts";
import { ORDER_STATE } from "../risk/order.ts";
import type { ReconciliationReport } from "../risk/reconciliation.ts";
import { feedLogins } from "./feed-logins.ts";
import { LivePort } from "./live-port.ts";
import { ProblemLog } from "./problem-log.ts";
import { RecalibrationTap } from "./recalibration.ts";
import { warmUpLine } from "./warm-up.ts";

/** Instruments a process may hold; Deribit's chains of BTC and ETH have about 2,500. */
export const INSTRUMENT_CAPACITY = 8_192;
const TIMER_MS = 10;
const ENGINE_RESTART_MS = 1_000;
const ABANDON_MS = 2_000;
const RECONCILE_RETRY_MS = 1_000;
/** Beside every fill, the books are written this often. */
const BOOK_SAVE_US = 5_000_000;

/** Stands in for a journal where none is configured. */
const NO_JOURNAL: JournalSink = { dropped: 0, text: () => {}, bytes: () => {} };

export interface LiveDeskOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly clock: Clock;
  /** Makes the gateway; it is given the desk's instruments once they exist. */
  readonly gateway: (desk: Desk) => QuoteGateway;
  /** Makes those who follow the desk's decisions. */
  readonly taps?: (desk: Desk, model: StepModel) => readonly DeskTap[];
}

export interface LiveSummary extends RunSummary {
  readonly engine: string;
  readonly model: string;
  readonly seconds: number;
  /** From the start of the process's desk to the first quotes handed over; null when none were. */
  readonly startToFirstQuoteMs: number | null;
  readonly journal: JournalSummary | null;
}

export class LiveDesk {
  readonly desk: Desk;
  readonly timer: StageHistograms;
  readonly log: Logger;
  readonly clock: Clock;
  readonly model: StepModel;
  readonly gateway: QuoteGateway;
  /** Those who follow the desk's decisions. */
  readonly taps: readonly DeskTap[];
  /** Longest time between two timer calls beyond their interval since the last read, ms: how late the event loop was. */
  loopLagMsMax = 0;
  readonly #config: Config;
  readonly #feeds: LiveFeedPort;
  readonly #journal: JournalWriter | null;
  readonly #sink: JournalSink;
  readonly #port: LivePort;
  readonly #problems: ProblemLog;
  readonly #books: BookStore;
  readonly #events: RecordedGatewayEvents;
  #savedUs = 0;
  /** Times that risk limits were read anew, and that they could not be. */
  limitReloads = 0;
  limitReloadFailures = 0;
  readonly #startedNs: number;
  /** Time of the journal's first record, which the desk starts with: ids are made from it, in a replay too. */
  readonly #startUs: number;
  #engine: StepEngine;
  #probabilityBytes: Uint8Array;
  #interval: ReturnType<typeof setInterval> | undefined;
  #timerNs = 0;
  #stopped: Promise<LiveSummary> | null = null;

  /** Loads the model, starts the engine and the journal. Nothing is connected yet. @throws KeelError naming what is missing. */
  static async prepare(options: LiveDeskOptions): Promise<LiveDesk> {
    const { config, log } = options;
    const schema = { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT };
    const [preferred, ...standIns] = await loadModels(config.model, schema);
    // Feeds decode natively where the library is there.
    await loadNative();
    const { engine, model } = await startEngine({
      device: config.device,
      settings: config.engines,
      model: preferred,
      standIns,
      slotCount: UNDERLYING_CAPACITY,
      maxBatch: UNDERLYING_CAPACITY,
      sweep: true,
      recalibrates: config.recalibrate,
      log: (line) => log.info(line),
    });
    if (config.warmUpMs > 0) {
      const frames = warmUpLine(config, engine, options.clock, config.warmUpMs);
      log.debug("the line is warm", { frames, warmUpMs: config.warmUpMs });
    }
    const journal =
      config.journal === undefined
        ? null
        : await JournalWriter.open({
            directory: config.journal.dir,
            runId: runIdAt(options.clock.wallUs(), process.pid),
            segmentBytes: config.journal.segmentBytes,
          });
    return new LiveDesk(options, model, engine, journal);
  }

  private constructor(
    options: LiveDeskOptions,
    model: StepModel,
    engine: StepEngine,
    journal: JournalWriter | null,
  ) {
    const { config, log, clock } = options;
    this.#config = config;
    this.log = log;
    this.clock = clock;
    this.model = model;
    this.#engine = engine;
    this.#probabilityBytes = bytesOf(engine.probabilities);
    this.#journal = journal;
    this.#sink = journal ?? NO_JOURNAL;
    this.#startedNs = clock.monotonicNs();
    this.timer = new StageHistograms(clock.monotonicNs);
    this.#feeds = new LiveFeedPort({
      endpoints: endpoints(config),
      logins: feedLogins(config),
      requestTimeoutMs: config.timeouts.requestMs,
      callbacks: {
        onOpen: (feed) => this.#onFeedOpen(feed),
        onFrame: (feed, text) => this.#onFrame(feed, text),
        onClose: (feed, code, reason) => this.#onFeedClose(feed, code, reason),
        onResponse: (...answer) => this.#onFeedResponse(...answer),
      },
    });
    const killStore = new KillSwitchStore(join(config.stateDir, KILL_SWITCH_FILE));
    const { kill, reducing } = killStore.loadState(clock.wallUs());
    this.#books = new BookStore(join(config.stateDir, BOOK_FILE));
    const opening = this.#books.load();
    if (reducing !== null)
      log.warn("only what reduces a position is quoted until it is reset", { ...reducing });
    if (kill.tripped)
      log.warn("the kill switch is tripped: nothing is quoted until it is reset", { ...kill });
    const start: RunStart = {
      keel: packageJson.version,
      schemaHash: SCHEMA_HASH,
      model: {
        name: model.card.name,
        source: nameOf(model),
        onnxSha256: model.card.onnxSha256,
        engine: engine.name,
        isa: engine.isa ?? null,
        adapter:
          engine.adapter === undefined
            ? null
            : { ...engine.adapter, vulkanDir: config.engines.gpu.vulkanDir },
        synchronous: engine.synchronous,
        heads: model.card.heads.length,
      },
      feeds: config.feeds.map(({ venue, subscriptions }) => ({ venue, subscriptions: [...subscriptions] })),
      signals: [...(config.signals?.names ?? [])],
      reference: config.reference,
      quotedVenue: config.deribit === undefined ? null : "deribit",
      instrumentCapacity: INSTRUMENT_CAPACITY,
      silenceMs: config.timeouts.silenceMs,
      seed: config.seed,
      quote: { ...config.quote },
      surface: config.surface === null ? null : { ...config.surface },
      risk: { ...config.risk },
      kill,
      reducing,
      hedge:
        config.hedge === null
          ? null
          : {
              instruments: config.hedge.instruments.map((instrument) => ({ ...instrument })),
              parameters: { ...config.hedge.parameters },
            },
      fees: { ...config.fees },
      rfq: config.rfq === null ? null : { ...config.rfq },
      opening,
      reconcile: null,
    };
    this.#port = new LivePort({
      feeds: this.#feeds,
      journal: this.#sink,
      clock,
      onSubmit: (rows) => this.#submit(rows),
      onEngineLost: (step, error, timeUs) => this.#engineLost(step, error, timeUs),
      onKill: (state, reduced) => {
        if (state.tripped) log.warn("kill switch tripped", { ...state });
        else if (reduced !== null) log.warn("only what reduces a position is quoted", { ...reduced });
        else log.warn("kill switch reset", { ...state });
        try {
          killStore.save(state, reduced);
        } catch (error) {
          log.error("the kill switch's state cannot be written; it holds for this process only", { error });
        }
      },
      onOrderNotSent: (orderId) => {
        this.#events.onOrderState(orderId, ORDER_STATE.done, 0, "not sent", clock.wallUs());
      },
    });
    this.desk = new Desk({ ...start, engine, port: this.#port, timer: this.timer });
    const { feeds, signals } = this.desk;
    this.#problems = new ProblemLog(signals === null ? feeds : [...feeds, signals], log);
    this.gateway = options.gateway(this.desk);
    this.taps = [...(options.taps?.(this.desk, model) ?? []), ...this.#recalibration(engine)];
    this.#port.attach(this.gateway, this.taps);
    const reconcile = this.gateway.reconciliation === undefined ? null : config.positionMismatch;
    if (reconcile !== null) this.desk.requireReconciliation(reconcile);
    this.#startUs = clock.wallUs();
    this.#sink.text(RECORD.start, 0, this.#startUs, JSON.stringify({ ...start, reconcile }));
    this.#events = new RecordedGatewayEvents(this.desk, (event, atUs) => this.#onGatewayEvent(event, atUs));
  }

  /** Connects everything and begins to quote. */
  start(): void {
    this.desk.start(this.#startUs);
    const { openingPositions } = this.#config;
    if (openingPositions !== undefined) {
      this.#reconciled({ positions: openingPositions, openOrders: [], quotes: [] }, true);
    }
    this.gateway.start(this.#events);
    this.#timerNs = this.clock.monotonicNs();
    this.#interval = setInterval(() => this.#onTimer(), TIMER_MS);
  }

  /** Takes a frame of the signal feed that came another way than over its WebSocket. Without signals it is dropped. */
  takeSignal(frame: string): void {
    const { signals } = this.desk;
    if (signals === null) return;
    this.desk.onFrame(signals.id, frame, this.#input(RECORD.feedFrame, signals.id, frame));
  }

  /** A client asks for a quote, answers one, sends an order or withdraws. After the stop has begun nothing is taken. */
  takeRfq(input: RfqInput): void {
    if (this.#stopped !== null) return;
    this.desk.onRfq(input, this.#input(RECORD.rfq, 0, JSON.stringify(input)));
  }

  /** Only what reduces a position is quoted until {@link resetKill}. */
  reduce(reason: string): void {
    this.desk.reduce(reason, this.#control("reduce", reason));
  }

  /** Reads the risk limits anew. Where anything is wrong with the configuration the limits in force stay so. */
  reloadLimits(environment: Readonly<Record<string, string | undefined>>): void {
    try {
      this.setLimits(loadConfig(environment).risk);
    } catch (error) {
      this.limitReloadFailures += 1;
      this.log.error("risk limits cannot be read anew; the old ones stay in force", { error });
    }
  }

  /** Other risk limits from now on. */
  setLimits(limits: RiskLimits): void {
    this.desk.setLimits(limits, this.#input(RECORD.limits, 0, JSON.stringify(limits)));
    this.limitReloads += 1;
    this.log.info("risk limits are in force anew");
  }

  /**
   * Asks the counterparty what it holds and has its positions taken over, whatever the rule.
   *
   * @returns false when the counterparty cannot be asked or the session is down
   */
  adoptPositions(): boolean {
    if (this.gateway.reconciliation === undefined || !this.gateway.ready) return false;
    void this.#reconcile(true);
    return true;
  }

  kill(reason: string): void {
    const timeUs = this.#control("kill", reason);
    this.desk.kill(reason, timeUs);
  }

  /** Trades again: the kill switch is reset, and the venue's market-maker protection where it is on. */
  resetKill(): boolean {
    this.gateway.resetProtection?.(this.clock.wallUs());
    return this.desk.resetKill(this.#control("reset", ""));
  }

  get engineName(): string {
    return this.#engine.name;
  }

  get journalDropped(): number {
    return this.#sink.dropped;
  }

  summary(journal: JournalSummary | null = null): LiveSummary {
    const { firstQuoteNs } = this.#port;
    return {
      ...summarise(this.desk, this.timer),
      engine: this.#engine.name,
      model: this.model.card.name,
      seconds: Math.round((this.clock.monotonicNs() - this.#startedNs) / 1e6) / 1_000,
      startToFirstQuoteMs: Number.isNaN(firstQuoteNs)
        ? null
        : Math.round((firstQuoteNs - this.#startedNs) / 1e4) / 100,
      journal,
    };
  }

  /**
   * For a process that is going down on an error it did not expect: cancels everything while the socket still takes it, and
   * holds the thread until the journal is on disk.
   */
  abandon(): void {
    clearInterval(this.#interval);
    const timeUs = this.clock.wallUs();
    this.gateway.cancelAll(timeUs);
    for (const tap of this.taps) {
      tap.onCancelAll(timeUs);
      tap.close();
    }
    this.#journal?.closeSync(ABANDON_MS);
  }

  /** Cancels all quotes, logs out, closes everything in order; the same promise when called again. */
  stop(): Promise<LiveSummary> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<LiveSummary> {
    clearInterval(this.#interval);
    this.desk.shutdown(this.#control("shutdown", ""));
    await this.gateway.stop(this.#config.timeouts.shutdownMs);
    this.#saveBook(this.clock.wallUs(), true);
    for (const tap of this.taps) tap.close();
    this.#feeds.close();
    this.#sink.text(RECORD.end, 0, this.clock.wallUs(), JSON.stringify(this.desk.counters));
    const journal = (await this.#journal?.close()) ?? null;
    const summary = this.summary(journal);
    await this.#engine.dispose();
    return summary;
  }

  #onFrame(feed: number, text: string): void {
    const receivedNs = this.clock.monotonicNs();
    const timeUs = this.clock.wallUs();
    this.#sink.text(RECORD.feedFrame, feed, timeUs, text);
    this.timer.begin(receivedNs);
    this.desk.onFrame(feed, text, timeUs);
  }

  #onFeedOpen(feed: number): void {
    const timeUs = this.#input(RECORD.feedOpen, feed, "");
    this.log.info("feed connected", { feed: this.desk.feeds[feed]?.venue ?? "signal" });
    this.desk.onFeedOpen(feed, timeUs);
  }

  #onFeedClose(feed: number, code: number, reason: string): void {
    const timeUs = this.#input(RECORD.feedClose, feed, JSON.stringify({ code, reason }));
    this.log.warn("feed disconnected", { feed: this.desk.feeds[feed]?.venue ?? "signal", code, reason });
    this.desk.onFeedClose(feed, code, reason, timeUs);
    this.#problems.told(feed);
  }

  #onFeedResponse(feed: number, request: number, status: number, body: string, retryAfterMs: number): void {
    const answer = { request, status, retryAfterMs: Number.isNaN(retryAfterMs) ? null : retryAfterMs, body };
    const timeUs = this.#input(RECORD.feedResponse, feed, JSON.stringify(answer));
    if (status !== 200) {
      this.log.warn("venue request failed", {
        feed: this.desk.feeds[feed]?.venue,
        status,
        body: body.slice(0, 200),
      });
    }
    this.desk.onFeedResponse(feed, request, status, body, retryAfterMs, timeUs);
    if (status !== 200) this.#problems.told(feed);
  }

  #onTimer(): void {
    const nowNs = this.clock.monotonicNs();
    this.loopLagMsMax = Math.max(this.loopLagMsMax, (nowNs - this.#timerNs) / 1e6 - TIMER_MS);
    this.#timerNs = nowNs;
    const timeUs = this.#input(RECORD.timer, 0, "");
    this.desk.onTimer(timeUs);
    this.gateway.onTimer(timeUs);
    for (const tap of this.taps) tap.onTimer(timeUs);
    this.#problems.tell();
    if (timeUs - this.#savedUs >= BOOK_SAVE_US) this.#saveBook(timeUs, false);
  }

  #onGatewayEvent(event: GatewayEvent, timeUs: number): void {
    this.#journal?.text(RECORD.gateway, 0, timeUs, JSON.stringify(event));
    switch (event.on) {
      case "down": {
        const level = this.#stopped === null ? "warn" : "info";
        this.log[level]("counterparty session is down", { reason: event.reason });
        for (const tap of this.taps) tap.onCancelAll(timeUs);
        break;
      }
      case "up":
        this.log.info("counterparty session is up");
        if (this.gateway.reconciliation !== undefined) void this.#reconcile(false);
        break;
      case "execution":
        // After the turn, when the quotes that answer the fill have left.
        queueMicrotask(() => this.#saveBook(timeUs, false));
        break;
      default:
        break;
    }
  }

  /** Asks until an answer comes or the session is over. */
  async #reconcile(adopt: boolean): Promise<void> {
    const source = this.gateway.reconciliation;
    while (source !== undefined && this.gateway.ready && this.#stopped === null) {
      try {
        const [positions, openOrders, quotes] = await Promise.all([
          source.positions(),
          source.openOrders(),
          source.quotes(),
        ]);
        if (!this.gateway.ready || this.#stopped !== null) return;
        this.#reconciled({ positions, openOrders, quotes }, adopt);
        return;
      } catch (error) {
        this.log.error("the counterparty does not tell what it holds; nothing is quoted", { error });
        await Bun.sleep(RECONCILE_RETRY_MS);
      }
    }
  }

  #reconciled(report: ReconciliationReport, adopt: boolean): void {
    const timeUs = this.#input(RECORD.reconciliation, 0, JSON.stringify({ report, adopt }));
    const result = this.desk.onReconciliation(report, adopt, timeUs);
    const level = result.differences.length === 0 && result.reconciled ? "info" : "warn";
    this.log[level]("reconciled with the counterparty", { ...result });
  }

  #saveBook(timeUs: number, sync: boolean): void {
    this.#savedUs = timeUs;
    const { book } = this.desk;
    if (book.revision === 0) return;
    try {
      this.#books.save(book.snapshot(), sync);
    } catch (error) {
      this.log.error("the books cannot be written", { error });
    }
  }

  /** Follows what comes of predictions, where that is configured; every change of a calibration is an input of the desk. */
  #recalibration({ calibration, card, slotCount }: StepEngine): DeskTap[] {
    if (!this.#config.recalibrate || calibration === undefined) return [];
    const recalibrator = new Recalibrator({
      heads: card.heads.map(({ name }) => name),
      slotCount,
      calibration,
      onChange: (slot, head, platt) => {
        this.#input(RECORD.calibration, slot, JSON.stringify({ head, ...platt }));
      },
    });
    return [new RecalibrationTap(this.desk, recalibrator)];
  }

  #control(command: ControlCommand, reason: string): number {
    return this.#input(RECORD.control, 0, JSON.stringify({ command, reason }));
  }

  #input(type: RecordType, subject: number, payload: string): number {
    const timeUs = this.clock.wallUs();
    this.#sink.text(type, subject, timeUs, payload);
    return timeUs;
  }

  /** What comes back after the stop has begun is of no more use. */
  #submit(rows: number): void {
    const engine = this.#engine;
    engine.submit(rows).then(
      () => {
        if (this.#stopped !== null) return;
        const timeUs = this.clock.wallUs();
        const bytes = this.#probabilityBytes.subarray(0, rows * engine.card.heads.length * 4);
        this.#sink.bytes(RECORD.inference, rows, timeUs, bytes);
        this.desk.onInference(timeUs);
      },
      (error: unknown) => {
        if (this.#stopped !== null) return;
        const timeUs = this.clock.wallUs();
        this.#engineLost(null, error, timeUs);
        this.desk.onEngineLost(timeUs);
      },
    );
  }

  /** @param step the step in which a synchronous engine was lost; null when a submit ended with the loss */
  #engineLost(step: number | null, error: unknown, timeUs: number): void {
    this.#sink.text(RECORD.engineLost, 0, timeUs, JSON.stringify({ step }));
    const answer = this.#config.quote.engineLostPull === 1 ? "all quotes are pulled" : "quoting defensively";
    this.log.error(`the inference engine is lost; ${answer}`, { error });
    void this.#restartEngine();
  }

  async #restartEngine(): Promise<void> {
    await this.#engine.dispose().catch(() => {});
    while (this.#stopped === null) {
      await Bun.sleep(ENGINE_RESTART_MS);
      try {
        const { engine } = await startEngine({
          device: this.#engine.name,
          settings: this.#config.engines,
          model: this.model,
          slotCount: UNDERLYING_CAPACITY,
          maxBatch: UNDERLYING_CAPACITY,
          sweep: true,
          calibration: this.#engine.calibration,
          log: (line) => this.log.info(line),
        });
        this.#engine = engine;
        this.#probabilityBytes = bytesOf(engine.probabilities);
        this.desk.onEngineRestored(engine, this.#input(RECORD.engineRestored, 0, ""));
        return;
      } catch (error) {
        this.log.error("the inference engine does not start again", { error });
      }
    }
  }
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** Where each feed connects: the venue itself, or what `KEEL_URL_…` says. */
function endpoints(config: Config): Map<number, FeedEndpoint | null> {
  const byFeed = new Map<number, FeedEndpoint | null>();
  for (const [id, { venue }] of config.feeds.entries()) byFeed.set(id, config.endpoints[venue]);
  if (config.signals !== undefined) {
    const { webSocketUrl } = config.signals;
    byFeed.set(config.feeds.length, webSocketUrl === null ? null : { webSocketUrl, restUrl: "" });
  }
  return byFeed;
}
