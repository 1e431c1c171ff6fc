import { REASON } from "../quote/quote-batch.ts";

/** Limits by the names under which refusals are counted and reported, each with what it refuses. */
const MEANING = {
  killed: "Everything while the desk is halted: the kill switch is tripped",
  unknownInstrument: "What was never registered",
  duplicate: "An id that is not above all earlier ones, or a second row for one instrument",
  unreconciled: "Everything until positions, orders and quotes are known to be those of the counterparty",
  feed: "An instrument whose feed is not live, or that has expired",
  stale: "An underlying whose price is older than `KEEL_RISK_MAX_DATA_AGE_MS`",
  protection: "An underlying whose market-maker protection was set off",
  malformed: "Sizes, prices, fair values or Greeks that are none",
  selfCross: "A bid at or above an own ask: of the same quote, of a standing quote, of an order at work",
  collarFair: "A price too far on the wrong side of fair value, by move, volatility and ticks",
  collarPct: "A price too far on the wrong side of fair value, in percent of it",
  collarLast: "A price too far on the wrong side of the instrument's last trade",
  collarMarket: "A price that reaches the venue's best opposite one",
  quoteSize: "A side larger than `KEEL_RISK_MAX_QUOTE_SIZE` coins",
  quoteNotional: "A side of a quote above its notional limit",
  orderNotional: "An order above its notional limit",
  structureNotional: "An answer to a request for quotes above its notional limit",
  position: "What adds to a position at its limit",
  expiry: "What adds to the positions of an expiry at their limit",
  gross: "What adds to all positions at their limit",
  delta: "What adds to an underlying's net delta at its limit",
  deltaGross: "What adds to an underlying's gross delta at its limit",
  deltaTotal: "What adds to the sum of net deltas at its limit",
  deltaTotalGross: "What adds to the sum of gross deltas at its limit",
  gamma: "What adds to an underlying's net gamma at its limit",
  gammaGross: "What adds to an underlying's gross gamma at its limit",
  gammaTotal: "What adds to the sum of net gammas at its limit",
  gammaTotalGross: "What adds to the sum of gross gammas at its limit",
  vega: "What adds to an underlying's net vega at its limit",
  vegaGross: "What adds to an underlying's gross vega at its limit",
  vegaTotal: "What adds to the sum of net vegas at its limit",
  vegaTotalGross: "What adds to the sum of gross vegas at its limit",
  theta: "What adds to an underlying's net theta at its limit",
  thetaGross: "What adds to an underlying's gross theta at its limit",
  thetaTotal: "What adds to the sum of net thetas at its limit",
  thetaTotalGross: "What adds to the sum of gross thetas at its limit",
  stress: "What could bring an underlying's worst loss over the stress grid beyond its limit",
  stressTotal: "What could bring the sum of those losses beyond its limit",
  loss: "What does not reduce a position, after a loss beyond the limit",
  drawdown: "What does not reduce a position, after a drawdown beyond the limit",
  reduceOnly: "What does not reduce a position while an operator has the desk reduce only",
  messageRate: "Quotes beyond the rate",
  orderRate: "Orders beyond the rate",
  openOrders: "An order beyond the number that may be at work",
  unknownOutcome: "An order in an instrument that has one whose outcome is unknown",
} as const;
export type LimitName = keyof typeof MEANING;

/** Names of all limits; refusals are counted in this order. */
export const LIMITS = Object.keys(MEANING) as LimitName[];

/** What each limit refuses, in words. */
export const LIMIT_MEANING: Readonly<Record<LimitName, string>> = MEANING;

/** Number of each limit. */
export const LIMIT = Object.fromEntries(LIMITS.map((name, number) => [name, number])) as Record<
  LimitName,
  number
>;

/** Refusals that a working quoter never causes; too many of them within a second trip the kill switch. */
export const LOSS_OF_CONTROL: ReadonlySet<number> = new Set([
  LIMIT.unknownInstrument,
  LIMIT.duplicate,
  LIMIT.malformed,
  LIMIT.selfCross,
  LIMIT.collarFair,
  LIMIT.collarMarket,
  LIMIT.collarPct,
  LIMIT.collarLast,
  LIMIT.quoteSize,
  LIMIT.quoteNotional,
  LIMIT.orderNotional,
]);

/** What a refusal adds to the row's reasons. */
export const REFUSAL_REASON = new Int32Array(LIMITS.length).fill(REASON.riskLimit);
REFUSAL_REASON[LIMIT.killed] = REASON.killed;
REFUSAL_REASON[LIMIT.feed] = REASON.bookUnsound;
REFUSAL_REASON[LIMIT.stale] = REASON.stale;
REFUSAL_REASON[LIMIT.malformed] = REASON.riskLimit | REASON.noFair;
