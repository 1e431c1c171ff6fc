/**
 * The process around a desk: sockets, timer, engine, journal, gateway. Everything that happens to the desk passes here, is
 * written to the journal first and then handed on with its time.
 *
 * @module
 */
import type { Config } from "../config.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";
import { Desk } from "../desk/desk.ts";
import { STAGES_EVERY, StageHistograms } from "../desk/latency.ts";
import { applyModelAct } from "../desk/model-act.ts";
import type { KafkaFeedSource } from "../distribution/feed/source.ts";
import type { JournalEnd } from "../failover/handover/messages.ts";
import type { GatewayEvents, QuoteGateway, SessionNumbers } from "../gateway/gateway.ts";
import { NoGateway } from "../gateway/no-gateway.ts";
import type { DeskTap } from "../gateway/tap.ts";
import type { Scaling } from "../inference/calibration.ts";
import type { StepEngine } from "../inference/engine.ts";
import type { StepModel } from "../inference/step-model.ts";
import { SwitchedEngine } from "../inference/switched-engine.ts";
import { type JournalSink, RECORD } from "../journal/record.ts";
import type { JournalSummary, JournalWriter } from "../journal/writer.ts";
import type { DriftChange } from "../learn/drift/monitor.ts";
import { CollectionWatch } from "../monitor/collection-watch.ts";
import { LoopLag } from "../monitor/loop-lag.ts";
import { summarise } from "../monitor/summary.ts";
import type { SavedSides } from "../quote/sides-store.ts";
import type { SavedCounterparty } from "../rfq/counterparty-store.ts";
import type { RfqInput } from "../rfq/message.ts";
import { LOAD_STAGE, LOAD_STAGES } from "../risk/load-shedder.ts";
import { ORDER_STATE } from "../risk/order.ts";
import type { VenuePosition } from "../risk/reconciliation.ts";
import { spreadFeeds } from "../shard/assignment.ts";
import { ClockWatch } from "./clock-watch.ts";
import type { Connections } from "./connections.ts";
import { LiveBooks } from "./live-books.ts";
import { LiveCounterparties } from "./live-counterparties.ts";
import { LiveCounterparty } from "./live-counterparty.ts";
import { LiveEngine } from "./live-engine.ts";
import { LiveFeeds } from "./live-feeds.ts";
import { LiveInputs } from "./live-inputs.ts";
import type { LiveDeskOptions, LiveSummary } from "./live-options.ts";
import { LivePort } from "./live-port.ts";
import type { LiveShards } from "./live-shards.ts";
import { liveStart } from "./live-start.ts";
import { LiveTrading } from "./live-trading.ts";
import { loadWatchOf } from "./load/live-load.ts";
import type { LoadWatch } from "./load/load-watch.ts";
import { ModelDirector } from "./model-director.ts";
import { OpeningPositions } from "./opening-positions.ts";
import type { PositionCheckCounters } from "./position-check.ts";
import { openJournal, type PreparedEngine, prepareEngine } from "./prepare.ts";
import type { ConfiguredModel } from "./registry-model.ts";
import { StateDirectory } from "./state-directory.ts";
import type { StateWrites } from "./state-writes.ts";

const TIMER_MS = 10;
const ABANDON_MS = 2_000;

/** Stands in for a journal where none is configured. */
const NO_JOURNAL: JournalSink = { dropped: 0, text: () => {}, bytes: () => {} };

export { INSTRUMENT_CAPACITY, type LiveDeskOptions, type LiveSummary } from "./live-options.ts";

export class LiveDesk {
  readonly desk: Desk;
  readonly timer: StageHistograms;
  readonly log: Logger;
  readonly clock: Clock;
  readonly model: StepModel;
  /** Those who follow the desk's decisions. */
  readonly taps: DeskTap[];
  readonly loopLag = new LoopLag(TIMER_MS);
  readonly #collections = new CollectionWatch();
  /** Models beside the one in force, and who changes them; null where that is not configured. */
  readonly models: ModelDirector | null;
  /** Notices that the host's clock was put. */
  readonly clockWatch: ClockWatch;
  /** How far behind the desk is and what is done about it; null where nothing is shed. */
  readonly load: LoadWatch | null;
  /** What operators say of trading. */
  readonly trading: LiveTrading;
  readonly #config: Config;
  readonly #feeds: LiveFeeds;
  readonly #journal: JournalWriter | null;
  readonly #sink: JournalSink;
  readonly #inputs: LiveInputs;
  readonly #port: LivePort;
  readonly #options: LiveDeskOptions;
  #gateway: QuoteGateway;
  /** Null while the state directory is another process's. */
  #books: LiveBooks | null = null;
  readonly #state: StateDirectory;
  #counterparties: LiveCounterparties | null = null;
  readonly #counterparty: LiveCounterparty;
  /** Null where none are configured. */
  readonly #opening: OpeningPositions | null;
  readonly #startedNs: number;
  /** Time of the journal's first record, which the desk starts with: ids are made from it, in a replay too. */
  readonly #startUs: number;
  readonly #engine: LiveEngine;
  #interval: ReturnType<typeof setInterval> | undefined;
  readonly #isPair: boolean;
  #standsBy: boolean;
  #stopped: Promise<LiveSummary> | null = null;

  /** Loads the model, starts the engine and the journal. Nothing is connected yet. @throws KeelError naming what is missing. */
  static async prepare(options: LiveDeskOptions): Promise<LiveDesk> {
    const { config, clock, log } = options;
    const prepared = await prepareEngine(config, clock, log);
    const before = options.successor?.journalRun;
    return new LiveDesk(options, prepared, await openJournal(config.journal, clock, log, before));
  }

  private constructor(
    options: LiveDeskOptions,
    { model, engine, registered }: PreparedEngine,
    journal: JournalWriter | null,
  ) {
    const { log, clock } = options;
    const config = { ...options.config, feeds: spreadFeeds(options.config.feeds, options.config.shards) };
    this.#config = config;
    this.#options = options;
    this.log = log;
    this.clock = clock;
    this.clockWatch = new ClockWatch(clock, log);
    this.model = model;
    this.#journal = journal;
    this.#sink = journal ?? NO_JOURNAL;
    this.#inputs = new LiveInputs(clock, this.#sink);
    this.#startedNs = clock.monotonicNs();
    this.timer = new StageHistograms(clock.monotonicNs, STAGES_EVERY);
    const shared = { config, clock, log, journal: this.#sink };
    const onOverdue = (nowNs: number): void => {
      if (this.#stopped === null) this.#turn(nowNs, false);
    };
    this.#feeds = new LiveFeeds({ ...shared, onOverdue, timer: this.timer, engine });
    this.#engine = new LiveEngine({ ...shared, model, engine });
    const { successor } = options;
    this.#state = new StateDirectory(config, clock, log, successor?.left);
    const start = liveStart(config, model, engine, this.#state.left);
    this.#port = new LivePort({
      feeds: this.#feeds.port,
      journal: this.#sink,
      clock,
      onSubmit: (rows) => this.#engine.submit(rows),
      onEngineLost: (step, error, timeUs) => this.#engine.lost(step, error, timeUs),
      onKill: (state, reduced) => {
        if (state.tripped) log.warn("kill switch tripped", { ...state });
        else if (reduced !== null) log.warn("only what reduces a position is quoted", { ...reduced });
        else log.warn("kill switch reset", { ...state });
        options.onTrading?.(state, reduced);
        this.#state.saveTrading(state, reduced);
      },
      onOrderNotSent: (orderId) => {
        this.#counterparty.events.onOrderState(orderId, ORDER_STATE.done, 0, "not sent", clock.wallUs());
      },
      onExpired: ({ decided, ...position }) => {
        if (decided === "settled") log.info("a position was settled at its expiry", position);
        else log.warn("a position has expired without a price: it is held at its last mark", position);
      },
    });
    const remote = this.#feeds.shards?.remote;
    this.desk = new Desk({ ...start, engine, remote, port: this.#port, timer: this.timer });
    this.#feeds.attach(this.desk);
    this.load = loadWatchOf(config, this.desk, this.#feeds, TIMER_MS);
    this.#engine.attach(this.desk);
    this.#gateway = successor === undefined ? options.gateway(this.desk) : new NoGateway();
    this.models = registered === null ? null : this.#directed(engine, registered);
    this.taps = [
      ...(successor === undefined ? (options.taps?.(this.desk, model, this.gateway) ?? []) : []),
      ...(this.models === null ? [] : [this.models.tap]),
    ];
    this.#port.attach(this.gateway, this.taps);
    const reconciles = successor?.reconciles ?? this.gateway.reconciliation !== undefined;
    const reconcile = reconciles ? config.positionMismatch : null;
    if (reconcile !== null) this.desk.requireReconciliation(reconcile);
    this.#startUs = clock.wallUs();
    this.#sink.text(RECORD.start, 0, this.#startUs, JSON.stringify({ ...start, reconcile }));
    this.#isPair = options.pair === true || successor !== undefined;
    this.#standsBy = this.#isPair;
    this.#counterparty = new LiveCounterparty({
      ...{ desk: this.desk, gateway: () => this.gateway, taps: this.taps, journal: this.#sink, clock, log },
      ...{ inputs: this.#inputs, positionCheckMs: config.positionCheckMs, standsBy: () => this.#standsBy },
    });
    const { openingPositions: positions } = config;
    this.#opening =
      positions === undefined
        ? null
        : new OpeningPositions({
            ...{ positions, instruments: this.desk.market.instruments, log },
            adopt: (left) =>
              this.#counterparty.reconciled({ positions: left, openOrders: [], quotes: [] }, true, "file"),
            save: (taken) => this.#state.saveOpening(taken),
          });
    this.trading = new LiveTrading({
      ...{ config, desk: this.desk, gateway: () => this.gateway, inputs: this.#inputs, clock, log },
      journalFailed: () => journal?.failed === true,
      recordsLost: () => this.#sink.dropped,
      onSides: (symbol, sides) => {
        this.#state.saveSides(symbol, sides);
        options.onSides?.(symbol, sides);
      },
    });
    if (successor === undefined) this.#keepState();
  }

  get gateway(): QuoteGateway {
    return this.#gateway;
  }

  /** Which sides operators have said are quoted. */
  get sides(): SavedSides {
    return this.#state.sides;
  }

  /** What has been learnt of counterparties. */
  get counterparties(): SavedCounterparty[] {
    return this.desk.rfq?.saved() ?? [];
  }

  /**
   * The process whose place this one takes has closed everything: the state directory, the journal's folder, the counterparty's session
   * and every address are this one's from here on.
   *
   * @param before the run that ended, and the digest of its last segment; null where it kept no journal
   * @param term under which this one leads from now on; null where a lease says who does
   */
  takePlace(before: JournalEnd | null, term: number | null): void {
    this.#journal?.link(before?.runId ?? null, before?.digest ?? null, this.clock.wallUs());
    this.#state.own();
    this.#keepState();
    this.#beginPositions();
    if (term !== null) this.lead(term, null);
    this.#gateway = this.#options.gateway(this.desk);
    this.taps.unshift(...(this.#options.taps?.(this.desk, this.model, this.#gateway) ?? []));
    this.#port.attach(this.#gateway, this.taps);
    this.#gateway.start(this.#counterparty.events);
  }

  /** Connects everything and begins to quote. */
  start(): void {
    if (this.#isPair) this.desk.standBy("standby", this.#inputs.control("standBy", "started"));
    this.desk.start(this.#startUs);
    this.#feeds.start(this.#startUs);
    if (this.#options.successor === undefined) this.#beginPositions();
    this.gateway.start(this.#counterparty.events);
    this.#interval = setInterval(() => this.#onTimer(), TIMER_MS);
  }

  /** Takes a frame of the signal feed that came another way than over its WebSocket. Without signals it is dropped. */
  takeSignal(frame: string): void {
    const { signals } = this.desk;
    if (signals === null) return;
    this.desk.onFrame(signals.id, frame, this.#inputs.take(RECORD.feedFrame, signals.id, frame));
  }

  /** A client asks for a quote, answers one, sends an order or withdraws. After the stop has begun nothing is taken. */
  takeRfq(input: RfqInput): void {
    if (this.#stopped !== null) return;
    this.#options.checkTerm?.();
    this.desk.onRfq(input, this.#inputs.take(RECORD.rfq, 0, JSON.stringify(input)));
  }

  /** An underlying's model is trusted less, or again, because of drift. */
  takeDrift({ underlying, share, stage, causes }: DriftChange): void {
    if (this.#stopped !== null) return;
    this.desk.onDrift(
      underlying,
      share,
      this.#inputs.take(RECORD.drift, underlying, JSON.stringify({ share, stage, causes })),
    );
  }

  /** Probabilities of an instrument are calibrated otherwise from the next step on. */
  takeCalibration(slot: number, head: number, scaling: Scaling): void {
    if (this.#stopped !== null) return;
    this.#inputs.take(RECORD.calibration, slot, JSON.stringify({ head, ...scaling }));
    this.#engine.calibrate(slot, head, scaling);
  }

  /**
   * Asks the counterparty what it holds and has its positions taken over, whatever the rule.
   *
   * @returns false when the counterparty cannot be asked or the session is down
   */
  adoptPositions(): boolean {
    return this.#counterparty.adoptPositions();
  }

  /** Of a pair, this process leads from now on: the session with the counterparty is opened. */
  lead(term: number, before: SessionNumbers | null): void {
    this.#standsBy = false;
    const timeUs = this.#inputs.control("lead", `term ${term}`);
    this.desk.lead();
    this.gateway.lead?.(before, timeUs);
  }

  /** Of a pair, the other one is to lead. Resolves when the session has ended or was given up. */
  async standBy(reason: string): Promise<void> {
    this.#standsBy = true;
    const timeUs = this.#inputs.control("standBy", reason);
    this.desk.standBy("standby", timeUs);
    await this.gateway.follow?.(reason, timeUs);
  }

  /** Of a pair, the other one leads, or none yet: this one has no session with the counterparty. */
  get standsBy(): boolean {
    return this.#standsBy;
  }

  /** What the leader was told by the counterparty, for the one that stands by; an input like the counterparty's own words. */
  get leaderEvents(): GatewayEvents {
    return this.#counterparty.events;
  }

  /** Takes over what the leader holds, while this process stands by. */
  adoptLeader(positions: readonly VenuePosition[]): void {
    this.#counterparty.reconciled({ positions, openOrders: [], quotes: [] }, true, "leader");
  }

  /** What came of asking the counterparty for positions during sessions; all 0 where it cannot be asked. */
  get positionChecks(): Readonly<PositionCheckCounters> {
    return this.#counterparty.checks;
  }

  /** Threads that keep feeds; null when they are kept on this one. */
  get shards(): LiveShards | null {
    return this.#feeds.shards;
  }

  /** Another keel's topic; null without relayed feeds. */
  get relay(): KafkaFeedSource | null {
    return this.#feeds.relay;
  }

  get connections(): Connections {
    return this.#feeds.connections;
  }

  /** What of the state folder could not be written. */
  get stateWrites(): StateWrites {
    return this.#state.writes;
  }

  get engineName(): string {
    return this.#engine.name;
  }

  /** Null when nothing is journalled. */
  get journal(): JournalWriter | null {
    return this.#journal;
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
      load: this.load?.summary(this.desk.counters.conflatedFrames) ?? null,
    };
  }

  /**
   * For a process that is going down on an error it did not expect: cancels everything while the socket still takes it, and
   * holds the thread until the journal is on disk. Where the error came from a part that is met again here, the others are still brought to
   * their end.
   */
  abandon(): void {
    clearInterval(this.#interval);
    const timeUs = this.clock.wallUs();
    const steps = [
      () => this.gateway.cancelAll(timeUs),
      ...this.taps.flatMap((tap) => [() => tap.onCancelAll(timeUs), () => tap.close()]),
      () => this.#books?.flush(),
      () => this.#journal?.closeSync(ABANDON_MS),
    ];
    for (const step of steps) {
      try {
        step();
      } catch (error) {
        this.log.error("a part of the desk could not be brought to its end", { error });
      }
    }
  }

  /** Cancels all quotes, logs out, closes everything in order; the same promise when called again. */
  stop(): Promise<LiveSummary> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<LiveSummary> {
    clearInterval(this.#interval);
    this.#engine.stop();
    this.models?.stop();
    this.#counterparty.stop();
    this.desk.shutdown(this.#inputs.control("shutdown", ""));
    await this.gateway.stop(this.#config.timeouts.shutdownMs);
    await this.#books?.stop();
    await this.#state.synced();
    await this.#counterparties?.stop();
    for (const tap of this.taps) tap.close();
    this.#feeds.close();
    this.#sink.text(RECORD.end, 0, this.clock.wallUs(), JSON.stringify(this.desk.counters));
    const journal = (await this.#journal?.close()) ?? null;
    const summary = this.summary(journal);
    await this.#engine.dispose();
    return summary;
  }

  #onTimer(): void {
    const nowNs = this.clock.monotonicNs();
    this.loopLag.turn(nowNs, this.#collections.seen());
    this.#turn(nowNs, true);
  }

  /** @param isTimer the event loop came back to the timer; else it is overdue, and its turn is taken between two frames */
  #turn(nowNs: number, isTimer: boolean): void {
    this.#options.checkTerm?.();
    this.#feeds.turnedNs = nowNs;
    this.clockWatch.turn(nowNs);
    this.trading.onTimer();
    if (this.load?.turn(nowNs, isTimer) === true) this.#shed(this.load);
    this.#feeds.take();
    this.#feeds.decideOpen();
    const timeUs = this.#inputs.take(RECORD.timer, 0, "");
    this.desk.onTimer(timeUs);
    this.gateway.onTimer(timeUs);
    this.#counterparty.onTimer(nowNs);
    for (const tap of this.taps) tap.onTimer(timeUs);
    this.#feeds.onTimer();
    this.#books?.onTimer(timeUs);
    this.#state.onTimer(timeUs);
    this.#counterparties?.onTimer(timeUs);
    this.#opening?.onTimer();
  }

  /** Opening positions that are not in the books yet are taken over. */
  #beginPositions(): void {
    const { takenOpening, left } = this.#state;
    const books = { hasBooks: left.opening !== null, handedOver: this.#options.successor !== undefined };
    this.#opening?.begin(takenOpening, books, this.clock.wallUs());
  }

  /** From now on what a restart must not forget is written. */
  #keepState(): void {
    const { log } = this;
    const { rfq, book } = this.desk;
    this.#books = new LiveBooks(book, this.#state.books, log, this.#state.writes);
    this.#counterparties = rfq === null ? null : new LiveCounterparties(rfq, this.#state.counterparties, log);
  }

  /** Another stage of load shedding is in force: an input of the desk. */
  #shed({ shedder, share, loopMs, ageMs, queuedBytes, ringFill, ringMs, relayMs }: LoadWatch): void {
    const stage = LOAD_STAGES[shedder.stage];
    const { cause } = shedder;
    const told = { stage, share, cause, loopMs, ageMs, queuedBytes, ringFill, ringMs, relayMs };
    this.#feeds.shed(shedder.stage);
    this.desk.onLoad(shedder.stage, share, this.#inputs.take(RECORD.load, 0, JSON.stringify(told)));
    if (shedder.stage === LOAD_STAGE.normal) this.log.info("load is within capacity again", told);
    else this.log.warn("load beyond capacity", told);
  }

  /** The models follow the registry; every change of them is an input of the desk. */
  #directed(
    engine: StepEngine,
    registered: NonNullable<ConfiguredModel["registered"]>,
  ): ModelDirector | null {
    const { challenge } = this.#config;
    if (challenge === null || !(engine instanceof SwitchedEngine)) return null;
    const { desk, clock, log } = this;
    return new ModelDirector({
      ...{ config: this.#config, challenge, ...registered, desk, models: engine, clock, log },
      act: (act, loaded) => {
        const gone = applyModelAct(act, engine, desk, loaded);
        this.#inputs.take(RECORD.model, 0, JSON.stringify(act));
        return gone;
      },
    });
  }
}
