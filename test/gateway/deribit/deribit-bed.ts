import { systemClock } from "../../../src/core/clock.ts";
import { Secret } from "../../../src/core/secret.ts";
import { readInstrument } from "../../../src/feed/deribit/instruments.ts";
import { DEFAULT_BUDGET } from "../../../src/gateway/deribit/credits.ts";
import { DeribitGateway } from "../../../src/gateway/deribit/gateway.ts";
import type { DeribitGatewayOptions } from "../../../src/gateway/deribit/gateway-options.ts";
import type { ExecutionDetail, GatewayEvents } from "../../../src/gateway/gateway.ts";
import { type Instrument, InstrumentTable } from "../../../src/market/instrument.ts";
import { QuoteBatch } from "../../../src/quote/quote-batch.ts";
import { type ApprovedOrder, RiskGate } from "../../../src/risk/gate.ts";
import { NOT_TRIPPED } from "../../../src/risk/kill-switch.ts";
import type { OrderIntent } from "../../../src/risk/order.ts";
import { deribitInstruments } from "../../../src/sim/deribit-instruments.ts";
import type { SimAccount } from "../../../src/sim/deribit-trading/account.ts";
import type { TradingOptions } from "../../../src/sim/deribit-trading/trading.ts";
import { SIMULATED_KEY } from "../../../src/sim/deribit-venue.ts";
import { Simulation } from "../../../src/sim/simulation.ts";
import { approve, WIDEST_LIMITS } from "../../risk/approve.ts";

export interface Execution {
  readonly id: string;
  readonly instrument: number;
  readonly side: number;
  readonly priceTicks: number;
  readonly sizeLots: number;
  readonly detail: ExecutionDetail | undefined;
}

/** Everything that the desk would be told. */
export class Heard implements GatewayEvents {
  ups = 0;
  /** Of the last session. */
  upUs = Number.NaN;
  readonly downs: string[] = [];
  readonly acks: { quoteId: number; status: number; text: string }[] = [];
  readonly executions: Execution[] = [];
  readonly orders: { orderId: number; state: number; leavesLots: number; text: string }[] = [];
  readonly frozen: { base: string; untilUs: number; text: string; timeUs: number }[] = [];

  onSessionUp(timeUs: number): void {
    this.ups += 1;
    this.upUs = timeUs;
  }

  onSessionDown(reason: string): void {
    this.downs.push(reason);
  }

  onQuoteAck(quoteId: number, status: number, text: string): void {
    this.acks.push({ quoteId, status, text });
  }

  onExecution(
    id: string,
    instrument: number,
    side: number,
    priceTicks: number,
    sizeLots: number,
    _timeUs: number,
    detail?: ExecutionDetail,
  ): void {
    this.executions.push({ id, instrument, side, priceTicks, sizeLots, detail });
  }

  onOrderState(orderId: number, state: number, leavesLots: number, text: string): void {
    this.orders.push({ orderId, state, leavesLots, text });
  }

  onFrozen(base: string, untilUs: number, text: string, timeUs: number): void {
    this.frozen.push({ base, untilUs, text, timeUs });
  }
}

export interface Row {
  readonly instrument: Instrument;
  readonly bid: readonly [ticks: number, lots: number];
  readonly ask: readonly [ticks: number, lots: number];
  readonly level?: number;
}

/** A gateway on a real socket against the simulated venue, whose market stands still unless it is moved. */
export class Bed {
  readonly simulation: Simulation;
  readonly instruments = new InstrumentTable(512);
  readonly gateway: DeribitGateway;
  readonly heard = new Heard();
  readonly problems: string[] = [];
  #quoteId = 0;
  #orderId = 0;
  readonly #gate: RiskGate;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(options: Partial<DeribitGatewayOptions> = {}, trading: Partial<TradingOptions> = {}) {
    const clients = [SIMULATED_KEY];
    this.simulation = new Simulation({
      seed: 7,
      clock: systemClock,
      deribitTrading: { clients, ...trading },
    });
    for (const entry of deribitInstruments(this.simulation.market, "BTC", undefined) ?? []) {
      this.instruments.add(readInstrument(entry));
    }
    this.#gate = new RiskGate({ instruments: this.instruments, limits: WIDEST_LIMITS, kill: NOT_TRIPPED });
    this.gateway = this.another(options);
    this.#timer = setInterval(() => this.gateway.onTimer(systemClock.wallUs()), 5);
  }

  /** Quotes an option, 5 lots 100 ticks below its fair value and 7 as far above, and waits for the first answer. */
  async quoted(): Promise<{ readonly option: Instrument; readonly fair: number; readonly id: number }> {
    const option = this.option();
    const fair = this.fair(option);
    const id = this.quote([{ instrument: option, bid: [fair - 100, 5], ask: [fair + 100, 7] }]);
    await until(() => this.heard.acks.length === 1);
    return { option, fair, id };
  }

  /** A gateway to the same account; its timer is the caller's. */
  another(options: Partial<DeribitGatewayOptions> = {}): DeribitGateway {
    return new DeribitGateway({
      url: `${this.simulation.deribit.server.url}/ws/api/v2`,
      credentials: {
        clientId: SIMULATED_KEY.id,
        clientSecret: new Secret(SIMULATED_KEY.secret),
        grant: "signature",
      },
      instruments: this.instruments,
      clock: systemClock,
      seed: 1,
      indexes: ["btc_usd"],
      quoting: "mass",
      levels: 1,
      name: "keel",
      mmp: {
        intervalSeconds: 1,
        frozenSeconds: 1,
        quantityLimit: 50,
        deltaLimit: 40,
        vegaLimit: 0,
        maxQuoteQuantity: 0,
      },
      cancelOnDisconnect: "connection",
      budget: DEFAULT_BUDGET,
      timeoutMs: 5_000,
      heartbeatSeconds: 10,
      reconnectFirstMs: 5,
      reconnectCapMs: 20,
      onProblem: (text) => this.problems.push(text),
      ...options,
    });
  }

  get trading() {
    return this.simulation.deribit.trading;
  }

  get account(): SimAccount {
    const account = this.trading.accounts.get(SIMULATED_KEY.id);
    if (account === undefined) throw new Error("the simulated venue has the key");
    return account;
  }

  /** One of the options near the money that are worth most, whose prices are on the coarse grid. */
  option(at = 0): Instrument {
    const { options } = this.simulation.market;
    const near = options.chain
      .map((option, number) => ({ option, mark: options.marks[number] }))
      .filter(({ mark }) => Math.abs(mark.delta) > 0.3 && Math.abs(mark.delta) < 0.7)
      .sort((a, b) => b.mark.price - a.mark.price);
    return this.find(near[at].option.symbol);
  }

  find(symbol: string): Instrument {
    const instrument = this.instruments.find("deribit", symbol);
    if (instrument === undefined) throw new Error(`the simulated venue lists ${symbol}`);
    return instrument;
  }

  /** Fair value in ticks, on the coarse grid. */
  fair(instrument: Instrument): number {
    const traded = this.trading.exchange.instruments.get(instrument.symbol);
    if (traded === undefined) throw new Error(`${instrument.symbol} is traded`);
    return Math.round(this.trading.exchange.markTicks(traded) / 5) * 5;
  }

  async start(): Promise<void> {
    this.gateway.start(this.heard);
    await until(() => this.gateway.ready);
  }

  /** @returns the id of the last row */
  quote(rows: readonly Row[]): number {
    const batch = new QuoteBatch(Math.max(rows.length, 1));
    for (const { instrument, bid, ask, level = 0 } of rows) {
      this.#quoteId += 1;
      const row = batch.count;
      batch.instrument[row] = instrument.id;
      batch.level[row] = level;
      batch.quoteId[row] = this.#quoteId;
      batch.bidTicks[row] = bid[1] > 0 ? bid[0] : -1;
      batch.bidLots[row] = bid[1];
      batch.askTicks[row] = ask[1] > 0 ? ask[0] : -1;
      batch.askLots[row] = ask[1];
      batch.fair[row] = (bid[0] + ask[0]) / 2 / 10_000;
      batch.delta[row] = 0.5;
      batch.vega[row] = 1;
      batch.standing[row] = 1;
      batch.count += 1;
    }
    const timeUs = systemClock.wallUs();
    this.gateway.publish(approve(this.instruments, batch, timeUs), timeUs);
    return this.#quoteId;
  }

  /** Passes an order through a gate of the widest limits. */
  approveOrder(intent: Omit<OrderIntent, "orderId" | "fair" | "delta" | "hedge">): ApprovedOrder {
    this.#orderId += 1;
    const timeUs = systemClock.wallUs();
    const instrument = this.instruments.get(intent.instrument);
    this.#gate.add(instrument, 0);
    this.#gate.onFeedState(instrument.id, true);
    this.#gate.onReference(0, 60_000, timeUs);
    const tick = instrument.tick.mantissa / 10 ** instrument.tick.scale;
    const order = {
      ...intent,
      orderId: this.#orderId,
      fair: intent.priceTicks * tick,
      delta: 1,
      hedge: true,
    };
    const approved = this.#gate.checkOrder(order, timeUs);
    if (typeof approved === "string") throw new Error(`the gate refuses the order: ${approved}`);
    return approved;
  }

  async stop(): Promise<void> {
    await this.gateway.stop(500);
    clearInterval(this.#timer);
    await this.simulation.stop();
  }
}

export async function until(met: () => boolean, what = "the condition"): Promise<void> {
  for (const untilMs = performance.now() + 45_000; performance.now() < untilMs; ) {
    if (met()) return;
    await Bun.sleep(5);
  }
  throw new Error(`${what} was not met within 45 s`);
}

const opened: Bed[] = [];

/** A bed that {@link stopBeds} ends. */
export function openBed(...options: ConstructorParameters<typeof Bed>): Bed {
  const bed = new Bed(...options);
  opened.push(bed);
  return bed;
}

/** One whose gateway is up. */
export async function started(...options: ConstructorParameters<typeof Bed>): Promise<Bed> {
  const bed = openBed(...options);
  await bed.start();
  return bed;
}

/** After each test. */
export async function stopBeds(): Promise<void> {
  for (const bed of opened.splice(0)) await bed.stop();
}
