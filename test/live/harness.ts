import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Config, loadConfig } from "../../src/config.ts";
import { systemClock } from "../../src/core/clock.ts";
import { Logger } from "../../src/core/log.ts";
import type { Desk } from "../../src/desk/desk.ts";
import { endpointAt } from "../../src/feed/registry.ts";
import { FixQuoteGateway } from "../../src/gateway/fix/quote-gateway.ts";
import type { GatewayEvents, QuoteGateway } from "../../src/gateway/gateway.ts";
import { LiveDesk, type LiveSummary } from "../../src/live/live-desk.ts";
import { configuredTaps } from "../../src/live/taps.ts";
import { FEED_STATE } from "../../src/market/event-batch.ts";
import type { ApprovedOrder, ApprovedQuotes } from "../../src/risk/gate.ts";
import { FixCounterparty, type FixCounterpartyOptions } from "../../src/sim/counterparty.ts";
import { Simulation } from "../../src/sim/simulation.ts";

const PROBLEMS_KEPT = 5;

/** A quote that must not have left: where and why. */
export interface Violation {
  readonly what: string;
  readonly instrument: string;
}

/**
 * Simulated venues, a real FIX counterparty and a live desk, all in this process, with real sockets between them. Every quote
 * on its way to the gateway is held against the state of the feeds it rests on.
 */
export class Harness {
  readonly simulation: Simulation;
  readonly counterparty: FixCounterparty;
  readonly live: LiveDesk;
  readonly folder: string;
  readonly violations: Violation[] = [];
  readonly #problems: readonly string[];
  readonly #timer: ReturnType<typeof setInterval>;

  static async start(
    environment: Readonly<Record<string, string>> = {},
    peer: Partial<FixCounterpartyOptions> = {},
    through: (url: string) => string = (url) => url,
    logged: ((line: string) => void) | null = null,
  ): Promise<Harness> {
    const folder = mkdtempSync(join(tmpdir(), "keel-harness-"));
    const simulation = new Simulation({ seed: 7, clock: systemClock, price: 60_000 });
    const counterparty = new FixCounterparty({
      host: "127.0.0.1",
      port: 0,
      version: "4.4",
      senderCompId: "PEER",
      targetCompId: "KEEL",
      clock: systemClock,
      seed: 7,
      flow: null,
      ...peer,
    });
    const fixPort = counterparty.start();
    const config: Config = {
      ...loadConfig({
        KEEL_FEEDS: "binance-usdm:BTCUSDT,deribit:BTC-PERPETUAL,deribit:options:BTC",
        KEEL_STATE_DIR: join(folder, "state"),
        KEEL_JOURNAL_DIR: join(folder, "journal"),
        KEEL_SILENCE_MS: "1500",
        // A host that is short of processor time is no fault of what is tested.
        KEEL_SHED: "off",
        ...environment,
      }),
    };
    const { endpoints } = config;
    const violations: Violation[] = [];
    const problems: string[] = [];
    const log = new Logger(
      logged === null
        ? { format: "text", level: "error", sink: () => {} }
        : { format: "json", level: "info", sink: logged },
    );
    let prepared: LiveDesk | null = null;
    const live = await LiveDesk.prepare({
      config: {
        ...config,
        endpoints: {
          ...endpoints,
          "binance-usdm": {
            ...endpointAt("binance-usdm", through(simulation.binance.server.url)),
            standIn: true,
          },
          deribit: { ...endpointAt("deribit", through(simulation.deribit.server.url)), standIn: true },
        },
      },
      log,
      clock: systemClock,
      gateway: (desk) =>
        new WatchedGateway(
          desk,
          new FixQuoteGateway({
            host: "127.0.0.1",
            port: fixPort,
            version: "4.4",
            senderCompId: "KEEL",
            targetCompId: "PEER",
            heartbeatSeconds: 1,
            resetOnLogon: false,
            storeDir: join(folder, "fix"),
            instruments: desk.market.instruments,
            seed: 7,
            clock: systemClock,
            reconnectFirstMs: 50,
            reconnectCapMs: 200,
            onProblem: (text) => {
              problems.push(text);
              if (problems.length > PROBLEMS_KEPT) problems.shift();
            },
          }),
          violations,
        ),
      taps: (desk, model) =>
        configuredTaps(config, desk, model, {
          clock: systemClock,
          log,
          onRfq: (input) => prepared?.takeRfq(input),
          onDrift: (change) => prepared?.takeDrift(change),
          onCalibration: (slot, head, platt) => prepared?.takeCalibration(slot, head, platt),
          counterpartyUp: () => prepared?.gateway.ready ?? false,
        }),
    });
    prepared = live;
    simulation.start();
    live.start();
    return new Harness(simulation, counterparty, live, folder, violations, problems);
  }

  private constructor(
    simulation: Simulation,
    counterparty: FixCounterparty,
    live: LiveDesk,
    folder: string,
    violations: Violation[],
    problems: readonly string[],
  ) {
    this.#problems = problems;
    this.simulation = simulation;
    this.counterparty = counterparty;
    this.live = live;
    this.folder = folder;
    this.violations = violations;
    this.#timer = setInterval(() => {
      counterparty.onTimer(systemClock.wallUs());
      this.#look();
    }, 5);
  }

  get desk(): Desk {
    return this.live.desk;
  }

  /** Waits until `condition` holds. @throws Error naming `what` when it does not within the time. */
  async until(what: string, condition: () => boolean, withinMs = 45_000): Promise<void> {
    const deadlineMs = performance.now() + withinMs;
    while (!condition()) {
      if (performance.now() > deadlineMs)
        throw new Error(`not within ${withinMs} ms: ${what}; ${this.#state()}`);
      await Bun.sleep(5);
    }
  }

  /** Every instrument is live and quoted, and the counterparty holds quotes. */
  async untilQuoting(): Promise<void> {
    await this.until(
      "all instruments live and most of them quoted",
      () =>
        this.live.gateway.ready &&
        this.liveInstruments() === this.desk.market.instruments.size &&
        this.desk.market.instruments.size > 100 &&
        this.counterparty.liveQuotes.size > this.desk.market.instruments.size * 0.8,
    );
  }

  liveInstruments(): number {
    const { feedState, instruments } = this.desk.market;
    let live = 0;
    for (let id = 0; id < instruments.size; id += 1) if (feedState[id] === FEED_STATE.live) live += 1;
    return live;
  }

  async stop(): Promise<LiveSummary> {
    const summary = await this.live.stop();
    clearInterval(this.#timer);
    this.counterparty.stop();
    await this.simulation.stop();
    return summary;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #state(): string {
    const { feedStates, reasons, killed, quotesSent } = this.live.summary();
    const quoted = this.counterparty.liveQuotes.size;
    const up = this.live.gateway.ready;
    return JSON.stringify({
      up,
      quoted,
      quotesSent,
      killed,
      feedStates,
      reasons,
      counts: this.counterparty.counters,
      problems: this.#problems,
    });
  }

  /** Between two turns nothing may stand on an instrument that is not live. */
  #look(): void {
    const { market, quoter } = this.desk;
    for (const { id, symbol } of market.instruments.all()) {
      if (market.feedState[id] === FEED_STATE.live) continue;
      const { bidLots, askLots } = quoter.standing(id);
      if (bidLots > 0 || askLots > 0)
        this.violations.push({ what: "stands on a dead feed", instrument: symbol });
    }
  }
}

class WatchedGateway implements QuoteGateway {
  readonly #desk: Desk;
  readonly #gateway: FixQuoteGateway;
  readonly #violations: Violation[];

  constructor(desk: Desk, gateway: FixQuoteGateway, violations: Violation[]) {
    this.#desk = desk;
    this.#gateway = gateway;
    this.#violations = violations;
  }

  get ready(): boolean {
    return this.#gateway.ready;
  }

  start(events: GatewayEvents): void {
    this.#gateway.start(events);
  }

  publish(quotes: ApprovedQuotes, timeUs: number): number {
    const { market } = this.#desk;
    const { batch } = quotes;
    for (let row = 0; row < batch.count; row += 1) {
      if (batch.bidLots[row] === 0 && batch.askLots[row] === 0) continue;
      const id = batch.instrument[row];
      const { symbol: instrument, kind } = market.instruments.get(id);
      if (market.feedState[id] !== FEED_STATE.live)
        this.#violations.push({ what: "sent on a dead feed", instrument });
      if (market.books[id].crossed) this.#violations.push({ what: "sent on a crossed book", instrument });
      if (kind === "option" && !market.referenceLive(market.underlyingOf(id))) {
        this.#violations.push({ what: "sent on a dead reference", instrument });
      }
    }
    return this.#gateway.publish(quotes, timeUs);
  }

  cancelAll(timeUs: number): boolean {
    return this.#gateway.cancelAll(timeUs);
  }

  sendOrder(order: ApprovedOrder, timeUs: number): boolean {
    return this.#gateway.sendOrder(order, timeUs);
  }

  cancelOrder(orderId: number, timeUs: number): boolean {
    return this.#gateway.cancelOrder(orderId, timeUs);
  }

  askOrder(orderId: number, timeUs: number): boolean {
    return this.#gateway.askOrder(orderId, timeUs);
  }

  onTimer(timeUs: number): void {
    this.#gateway.onTimer(timeUs);
  }

  stop(timeoutMs: number): Promise<void> {
    return this.#gateway.stop(timeoutMs);
  }
}
