import { INVERSE_OPTION } from "../../src/bench/option-table.ts";
import { EVENT, EventBatch, TICKER, TICKER_FIELDS } from "../../src/market/event-batch.ts";
import { type Instrument, type InstrumentSpec, InstrumentTable } from "../../src/market/instrument.ts";
import { FairValues } from "../../src/quote/fair-value.ts";
import { DEFAULT_QUOTE_PARAMETERS } from "../../src/quote/parameters.ts";
import { Adjustment } from "../../src/quote/policy.ts";
import { REASON } from "../../src/quote/quote-batch.ts";
import type { RfqFill, RfqMarket } from "../../src/rfq/market.ts";
import type { RequestedLeg, RfqAction, RfqQuote, RfqRequest, RfqResponse } from "../../src/rfq/message.ts";
import { DEFAULT_RFQ_PARAMETERS, type RfqParameters } from "../../src/rfq/parameters.ts";
import { RfqDesk } from "../../src/rfq/rfq-desk.ts";
import { RiskGate } from "../../src/risk/gate.ts";
import { NOT_TRIPPED } from "../../src/risk/kill-switch.ts";
import { DEFAULT_RISK_LIMITS, type RiskLimits } from "../../src/risk/limits.ts";
import { GREEK, GREEKS } from "../../src/risk/valuation.ts";
import { PERPETUAL } from "../support/perpetuals.ts";

export const START_US = 1_700_000_000_000_000;
export const PRICE = 60_000;

const option = (
  symbol: string,
  strike: number,
  optionType: "call" | "put",
  startUs: number,
): InstrumentSpec => ({
  ...INVERSE_OPTION,
  symbol,
  expiryMs: startUs / 1_000 + 7 * 86_400_000,
  strike,
  optionType,
});

/** An RFQ desk on real fair values and a real gate, with time and market moved by hand. */
export class RfqBed {
  readonly instruments = new InstrumentTable(16);
  readonly values = new FairValues(16);
  readonly gate: RiskGate;
  readonly desk: RfqDesk;
  readonly adjustment = new Adjustment();
  readonly actions: RfqAction[] = [];
  readonly fills: RfqFill[] = [];
  readonly perpetual: Instrument;
  readonly call: Instrument;
  readonly highCall: Instrument;
  readonly put: Instrument;
  price = PRICE;
  timeUs: number;
  /** Instruments that may not be quoted, with the reason. */
  readonly obstacles = new Map<number, number>();

  constructor(parameters: Partial<RfqParameters> = {}, limits: Partial<RiskLimits> = {}, startUs = START_US) {
    this.timeUs = startUs;
    this.gate = new RiskGate({
      instruments: this.instruments,
      limits: { ...DEFAULT_RISK_LIMITS, ...limits },
      kill: NOT_TRIPPED,
    });
    this.perpetual = this.#add(PERPETUAL);
    this.call = this.#add(option("BTC-C60", 60_000, "call", startUs));
    this.highCall = this.#add(option("BTC-C64", 64_000, "call", startUs));
    this.put = this.#add(option("BTC-P60", 60_000, "put", startUs));
    const { gate, values, obstacles } = this;
    const market: RfqMarket = {
      instruments: this.instruments,
      parameters: DEFAULT_QUOTE_PARAMETERS,
      values,
      underlyingOf: () => 0,
      appraise: (id, timeUs) => {
        const instrument = this.instruments.get(id);
        const valued =
          instrument.kind !== "option" || values.evaluate(instrument, this.price, timeUs, timeUs);
        return (obstacles.get(id) ?? 0) | (valued ? 0 : REASON.noFair);
      },
      adjustment: () => this.adjustment,
      netDelta: (underlying) => gate.positions.netDeltaNotional(underlying),
      netVega: (underlying) => {
        gate.positions.refresh(underlying);
        return gate.positions.net[underlying * GREEKS + GREEK.vega] ?? 0;
      },
    };
    this.desk = new RfqDesk({
      parameters: { ...DEFAULT_RFQ_PARAMETERS, ...parameters },
      market,
      port: {
        check: (quote, timeUs) => {
          const checked = gate.checkStructure(quote, timeUs);
          return typeof checked === "string" ? checked : checked.quote;
        },
        standing: (quote, timeUs) => gate.standingStructure(quote, timeUs),
        fill: (fill, timeUs) => {
          this.fills.push(fill);
          gate.onExecution(fill.instrument, fill.side, fill.priceTicks, fill.lots, timeUs);
        },
        act: (action) => {
          this.actions.push(action);
        },
      },
    });
    this.move(PRICE);
    this.desk.start(this.timeUs);
  }

  /** The underlying trades at another price; volatilities stay. */
  move(price: number): this {
    this.price = price;
    this.gate.onReference(0, price, this.timeUs);
    this.values.onMicroprice(this.perpetual.id, price, this.timeUs);
    const batch = new EventBatch(8, 8);
    for (const instrument of [this.call, this.highCall, this.put]) {
      batch.clear();
      const row = batch.begin(EVENT.ticker, instrument.id, this.timeUs);
      batch.values[row * TICKER_FIELDS + TICKER.markIv] = 0.5;
      batch.values[row * TICKER_FIELDS + TICKER.underlyingPrice] = price;
      this.values.onTicker(instrument.id, batch, row, Number.NaN, this.timeUs);
      this.gate.onTicker(instrument.id, 0.5, price, this.timeUs, this.timeUs);
    }
    return this;
  }

  /** Time passes with a live market, in steps of 10 ms. */
  later(ms: number): this {
    for (let gone = 0; gone < ms; gone += 10) {
      this.timeUs += Math.min(10, ms - gone) * 1_000;
      this.gate.onReference(0, this.price, this.timeUs);
      this.desk.onTimer(this.timeUs);
    }
    return this;
  }

  request(
    legs: readonly (Partial<RequestedLeg> & { readonly symbol: string })[],
    given: Partial<RfqRequest> = {},
  ): RfqAction {
    this.desk.onInput(
      {
        on: "request",
        channel: "fix",
        client: "ACME",
        requestId: `R${this.actions.length}`,
        side: null,
        quantity: "10",
        validUntilUs: null,
        tiedPrice: null,
        legs: legs.map((leg) => ({ venue: null, side: "buy", ratio: "1", ...leg })),
        ...given,
      },
      this.timeUs,
    );
    return this.last;
  }

  /** The request is quoted; else the test fails with what was said. */
  quoted(legs: Parameters<RfqBed["request"]>[0], given: Partial<RfqRequest> = {}): RfqQuote {
    return asQuote(this.request(legs, given));
  }

  respond(quoteId: string, given: Partial<RfqResponse>): RfqAction {
    this.desk.onInput(
      {
        on: "response",
        channel: "fix",
        client: "ACME",
        responseId: `A${this.actions.length}`,
        quoteId,
        kind: "hit",
        side: "buy",
        quantity: null,
        price: null,
        orderId: null,
        ...given,
      },
      this.timeUs,
    );
    return this.last;
  }

  get last(): RfqAction {
    const last = this.actions.at(-1);
    if (last === undefined) throw new Error("nothing was answered");
    return last;
  }

  #add(spec: InstrumentSpec): Instrument {
    const instrument = this.instruments.add(spec);
    if (instrument === undefined) throw new Error("the table is full");
    this.values.add(instrument, 0);
    this.gate.add(instrument, 0);
    this.gate.onFeedState(instrument.id, true);
    return instrument;
  }
}

export function asQuote(action: RfqAction): RfqQuote {
  if (action.do !== "quote") throw new Error(`no quote: ${JSON.stringify(action)}`);
  return action;
}
