import { invariant } from "../core/invariant.ts";
import { HEADS, type HeadName } from "../inference/card.ts";
import { EVENT, EventBatch, TICKER, TICKER_FIELDS } from "../market/event-batch.ts";
import { type Instrument, InstrumentTable } from "../market/instrument.ts";
import { black76, OptionValue, YEAR_US } from "../option/black76.ts";
import type { QuoteParameters } from "./parameters.ts";
import { Adjustment, QuotePolicy, severity } from "./policy.ts";
import { QuoteBatch, type ReasonName, reasonNames } from "./quote-batch.ts";
import { Quoter } from "./quoter.ts";
import { QuoteTerms } from "./spread.ts";

const TICK = { mantissa: 1, scale: 4 };
const LOT = { mantissa: 1, scale: 1 };
const TICK_SIZE = 1e-4;
const LOT_SIZE = 0.1;

/** The option and the prediction to explain. The option is coin-margined, with ticks of 0.0001 coin and lots of 0.1 coin. */
export interface ExplanationInput {
  readonly probabilities: Readonly<Record<HeadName, number>>;
  /** Forward of the underlying in quote currency. */
  readonly underlyingPrice: number;
  /** Its sign says call or put; the strike follows from it. */
  readonly delta: number;
  readonly days: number;
  readonly volatility: number;
  readonly positionLots: number;
}

/** Prices in coin, sizes in coin; −1 and 0 where a side is not quoted. */
export interface ExplainedQuote {
  readonly fair: number;
  readonly bid: number;
  readonly bidSize: number;
  readonly ask: number;
  readonly askSize: number;
}

export interface ExplainedPart {
  readonly part: string;
  readonly amount: string;
  readonly why: string;
}

export interface Explanation {
  /** Added to the half-spread by the prediction, in bp of the underlying's price per unit of |delta|. */
  readonly widenBp: number;
  readonly sizeFactor: number;
  readonly reasons: readonly ReasonName[];
  readonly probabilities: Readonly<Record<HeadName, number>>;
  readonly option: {
    readonly type: "call" | "put";
    readonly strike: number;
    readonly forward: number;
    readonly days: number;
    readonly impliedVolatility: number;
    readonly delta: number;
    /** Quote currency for one volatility point. */
    readonly vega: number;
  };
  readonly calm: ExplainedQuote;
  readonly quote: ExplainedQuote;
  readonly parts: readonly ExplainedPart[];
}

/** Quotes an option without and with a prediction, through the production quoter, and says what each part comes from. */
export function explainQuote(input: ExplanationInput, parameters: QuoteParameters): Explanation {
  const calm = quoteOnce(input, undefined, parameters);
  const quoted = quoteOnce(input, input.probabilities, parameters);
  const adjustment = new Adjustment();
  const vector = HEADS.map((head) => input.probabilities[head]);
  new QuotePolicy(parameters).decide(adjustment, vector, 0);
  const { instrument, quoter } = quoted;
  const { delta, vega, positionNotional } = quoted;
  const terms = new QuoteTerms();
  terms.option = true;
  terms.delta = delta;
  terms.gamma = quoted.gamma;
  terms.vega = vega;
  terms.underlyingPrice = input.underlyingPrice;
  terms.priceUnit = input.underlyingPrice;
  terms.tick = TICK_SIZE;
  const { inventory } = quoter;
  terms.netDelta = inventory.netDelta / parameters.deltaNotional;
  terms.netGamma = inventory.netGamma / parameters.gammaNotional;
  terms.netVega = inventory.netVega / parameters.vegaPoint;
  terms.position = positionNotional / parameters.positionNotional;
  terms.compute(adjustment, parameters);
  return {
    widenBp: adjustment.widenBp,
    sizeFactor: adjustment.sizeFactor,
    reasons: reasonNames(quoter.reasons[instrument.id]),
    probabilities: input.probabilities,
    option: {
      type: instrument.optionType === "put" ? "put" : "call",
      strike: instrument.strike,
      forward: input.underlyingPrice,
      days: input.days,
      impliedVolatility: input.volatility,
      delta,
      vega: vega / 100,
    },
    calm: calm.quote,
    quote: quoted.quote,
    parts: explainParts(input, terms, adjustment, parameters),
  };
}

interface QuotedOnce {
  readonly instrument: Instrument;
  readonly quoter: Quoter;
  readonly quote: ExplainedQuote;
  readonly delta: number;
  readonly gamma: number;
  readonly vega: number;
  readonly positionNotional: number;
}

function quoteOnce(
  input: ExplanationInput,
  probabilities: Readonly<Record<HeadName, number>> | undefined,
  parameters: QuoteParameters,
): QuotedOnce {
  const expiryMs = (input.days * 86_400 * 1e6 + YEAR_US) / 1_000;
  const timeUs = YEAR_US;
  const instruments = new InstrumentTable(1);
  const instrument = instruments.add({
    venue: "deribit",
    symbol: "EXPLAINED",
    kind: "option",
    base: "BTC",
    quote: "BTC",
    settle: "BTC",
    tick: TICK,
    tickSteps: [],
    lot: LOT,
    minSizeLots: 1,
    inverse: true,
    contractSize: 1,
    expiryMs,
    strike: strikeOfDelta(input),
    optionType: input.delta < 0 ? "put" : "call",
  });
  invariant(instrument !== undefined, "an empty table has room for one instrument");
  const id = instrument.id;
  const quoter = new Quoter({
    capacity: 1,
    underlyings: 1,
    parameters: { ...parameters, expiryCutoffMs: 0 },
  });
  quoter.add(instrument, 0);
  quoter.onFeedState(id, true, 0);
  quoter.onSessionUp();
  const ticker = new EventBatch(1, 1);
  const row = ticker.begin(EVENT.ticker, id, timeUs);
  ticker.values[row * TICKER_FIELDS + TICKER.markIv] = input.volatility;
  ticker.values[row * TICKER_FIELDS + TICKER.underlyingPrice] = input.underlyingPrice;
  quoter.onTicker(id, ticker, row, timeUs);
  quoter.onModelStatus(0, 0);
  if (probabilities !== undefined) {
    const vector = HEADS.map((head) => probabilities[head]);
    quoter.onPrediction(0, vector, 0, timeUs);
  }
  const out = new QuoteBatch(1);
  // The position's delta is known once the option has been valued, so the first decision values it and the second one counts it.
  quoter.requote(0, timeUs, out);
  out.clear();
  quoter.onSent(out, 0, timeUs);
  quoter.stability.renew(id);
  quoter.onPosition(id, input.positionLots);
  quoter.requote(0, timeUs, out);
  const { delta, gamma, vega, fair } = quoter.values;
  const quoted = out.count === 1;
  return {
    instrument,
    quoter,
    delta: delta[id],
    gamma: gamma[id],
    vega: vega[id],
    positionNotional: quoter.inventory.positionNotional(id, input.underlyingPrice),
    quote: {
      fair: fair[id],
      bid: quoted && out.bidTicks[0] >= 0 ? round(out.bidTicks[0] * TICK_SIZE) : -1,
      bidSize: quoted ? round(out.bidLots[0] * LOT_SIZE) : 0,
      ask: quoted && out.askTicks[0] >= 0 ? round(out.askTicks[0] * TICK_SIZE) : -1,
      askSize: quoted ? round(out.askLots[0] * LOT_SIZE) : 0,
    },
  };
}

/** The strike, to a cent, at which the option has the given delta: Black-76's delta is monotone in it. */
function strikeOfDelta(input: ExplanationInput): number {
  const call = input.delta >= 0;
  const years = (input.days * 86_400 * 1e6) / YEAR_US;
  const wing = Math.exp(
    8 * input.volatility * Math.sqrt(years) * Math.max(1, input.volatility * Math.sqrt(years)),
  );
  const value = new OptionValue();
  let low = input.underlyingPrice / wing;
  let high = input.underlyingPrice * wing;
  for (let i = 0; i < 100; i += 1) {
    const strike = Math.sqrt(low * high);
    black76(value, call, input.underlyingPrice, strike, years, input.volatility);
    if (value.delta > input.delta) low = strike;
    else high = strike;
  }
  return Math.max(Math.round(low * 100) / 100, 0.01);
}

function explainParts(
  input: ExplanationInput,
  terms: QuoteTerms,
  adjustment: Adjustment,
  parameters: QuoteParameters,
): ExplainedPart[] {
  const p = input.probabilities;
  const parts: ExplainedPart[] = [
    {
      part: "base",
      amount: coin(terms.base),
      why:
        `the larger of |delta| ${Math.abs(terms.delta).toFixed(3)} × ${parameters.optionHalfSpreadBp} bp + vega × ` +
        `${parameters.optionHalfSpreadVol} vol points, and ${parameters.minHalfSpreadTicks} ticks`,
    },
  ];
  const policy = new QuotePolicy(parameters);
  const alone = new Adjustment();
  const heads = [
    ["down50", "a fall within 50 ms", parameters.neutralMove],
    ["down100", "a fall within 100 ms", parameters.neutralMove],
    ["up50", "a rise within 50 ms", parameters.neutralMove],
    ["up100", "a rise within 100 ms", parameters.neutralMove],
    ["bidWithdraw50", "20 % of the bids withdrawn within 50 ms", parameters.neutralWithdrawal],
    ["askWithdraw50", "20 % of the asks withdrawn within 50 ms", parameters.neutralWithdrawal],
    ["volatilitySpike", "a volatility spike", parameters.neutralVolatility],
  ] as const;
  for (const [head, words, neutral] of heads) {
    const excitement = severity(p[head], neutral);
    if (excitement === 0) continue;
    const vector = HEADS.map((name) => (name === head ? p[head] : 0));
    policy.decide(alone, vector, 0);
    const effects: string[] = [];
    if (alone.widenBp > 0) effects.push(`+ ${alone.widenBp} bp`);
    if (alone.volatilityPoints > 0) effects.push(`+ ${round(alone.volatilityPoints)} vol`);
    if (alone.sizeFactor < 1) effects.push(`size × ${alone.sizeFactor}`);
    parts.push({
      part: head,
      amount: effects.join(", "),
      why: `P(${words}) = ${p[head]} lies ${percent(excitement)} of the way from neutral ${neutral} to certainty`,
    });
  }
  if (adjustment.widenBp > 0) {
    parts.push({
      part: "adverse move",
      amount: coin(Math.max(terms.moveBid, terms.moveAsk)),
      why: `|delta| × ${adjustment.widenBp} bp of the underlying: the worst move predicted, at most ${parameters.maxWidenBp} bp`,
    });
  }
  if (terms.volatility > 0) {
    parts.push({
      part: "volatility",
      amount: coin(terms.volatility),
      why: `vega × ${round(adjustment.volatilityPoints)} vol points`,
    });
  }
  if (terms.counterparty > 0) {
    parts.push({
      part: "counterparty",
      amount: coin(terms.counterparty),
      why: `|delta| × ${parameters.counterpartyBp} bp`,
    });
  }
  const skews = [
    ["skew delta", terms.skewDelta, `against ${percent(terms.netDelta)} of a full net delta`],
    ["skew gamma", terms.skewGamma, `against ${percent(terms.netGamma)} of a full net gamma`],
    ["skew vega", terms.skewVega, `against ${percent(terms.netVega)} of a full net vega`],
    [
      "skew position",
      terms.skewPosition,
      `against ${percent(terms.position)} of a full position; the side that adds to it is smaller`,
    ],
  ] as const;
  for (const [part, amount, why] of skews) {
    if (amount !== 0) parts.push({ part, amount: coin(amount, true), why: `both sides are shifted ${why}` });
  }
  return parts;
}

function coin(value: number, signed = false): string {
  return `${signed && value > 0 ? "+ " : ""}${value.toFixed(6)} coin`;
}

function percent(fraction: number): string {
  return `${round(100 * fraction)} %`;
}

function round(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}
