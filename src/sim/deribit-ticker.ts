import { SIDE } from "../market/event-batch.ts";
import { black76, OptionValue, yearsToExpiry } from "../option/black76.ts";
import { PERPETUAL } from "./deribit-instruments.ts";
import {
  DERIBIT_TICKS_PER_USD,
  DERIBIT_USD_PER_LOT,
  OPTION_LOTS_PER_COIN,
  OPTION_TICKS_PER_COIN,
} from "./market/instruments.ts";
import type { SimMarket } from "./market/market.ts";
import { expiryText } from "./market/option-chain.ts";
import { NO_LEVEL } from "./market/sim-book.ts";

const NEWTON_STEPS = 8;
const IV_MAX = 5;

const value = new OptionValue();

/** Deribit writes whole numbers with a decimal point. */
function floatText(number: number): string {
  return Number.isInteger(number) ? `${number}.0` : String(number);
}

/** Price and amount of a level of the perpetual, as Deribit writes them. */
export function perpetualPrice(ticks: number): string {
  return floatText(ticks / DERIBIT_TICKS_PER_USD);
}

export function perpetualAmount(lots: number): string {
  return floatText(lots * DERIBIT_USD_PER_LOT);
}

export function optionPrice(ticks: number): string {
  return floatText(ticks / OPTION_TICKS_PER_COIN);
}

export function optionAmount(lots: number): string {
  return floatText(lots / OPTION_LOTS_PER_COIN);
}

/** `data` of `ticker.BTC-PERPETUAL.…`. */
export function perpetualTicker(market: SimMarket, timeUs: number): string {
  const { reference, follower } = market;
  const { book } = follower;
  const mark = reference.mark(1).toFixed(2);
  const index = reference.index.toFixed(2);
  const bid = book.best(SIDE.bid);
  const ask = book.best(SIDE.ask);
  const premium = reference.mark(1) / reference.index - 1;
  return `{"timestamp":${Math.floor(timeUs / 1_000)},"state":"open","stats":{"high":null,"low":null,"price_change":null,"volume":null,"volume_usd":null,"volume_notional":null},"index_price":${index},"instrument_name":"${PERPETUAL}","last_price":${perpetualPrice(follower.lastTradeTicks)},"settlement_price":${index},"min_price":${perpetualPrice(Math.floor(book.midTicks * 0.985))},"max_price":${perpetualPrice(Math.ceil(book.midTicks * 1.015))},"open_interest":1132329370.0,"mark_price":${mark},"interest_value":${(premium * 100).toFixed(8)},"best_ask_price":${ask === NO_LEVEL ? "0.0" : perpetualPrice(ask)},"best_bid_price":${bid === NO_LEVEL ? "0.0" : perpetualPrice(bid)},"estimated_delivery_price":${index},"best_ask_amount":${perpetualAmount(book.bestLots(SIDE.ask))},"best_bid_amount":${perpetualAmount(book.bestLots(SIDE.bid))},"current_funding":${premium.toFixed(8)},"funding_8h":${reference.fundingRate.toFixed(8)}}`;
}

/** `data` of `ticker.<option>.…`; `option` is its number in the chain. IVs in percent, Greeks in USD as Deribit gives them. */
export function optionTicker(market: SimMarket, option: number, timeUs: number): string {
  const { options, reference } = market;
  const spec = options.chain[option];
  const mark = options.marks[option];
  if (spec === undefined || mark === undefined) return "{}";
  const index = reference.index.toFixed(2);
  const bid = options.best(option, SIDE.bid);
  const ask = options.best(option, SIDE.ask);
  const years = Math.max(yearsToExpiry(spec.expiryMs, timeUs), 0);
  const bidIv = impliedPercent(spec.call, mark.forward, spec.strike, years, bid, mark.volatility);
  const askIv = impliedPercent(spec.call, mark.forward, spec.strike, years, ask, mark.volatility);
  const last = Math.max(1, Math.round(mark.price * OPTION_TICKS_PER_COIN));
  const rho = (mark.delta * mark.forward - mark.price * mark.forward) * years * 0.01;
  return `{"timestamp":${Math.floor(timeUs / 1_000)},"state":"open","stats":{"high":null,"low":null,"price_change":null,"volume":null,"volume_usd":null},"underlying_price":${mark.forward.toFixed(4)},"underlying_index":"SYN.BTC-${expiryText(spec.expiryMs)}","settlement_price":${mark.price.toFixed(8)},"open_interest":572.5,"min_price":0.0001,"max_price":${optionPrice(last * 3 + 100)},"mark_price":${mark.price.toFixed(6)},"mark_iv":${(mark.volatility * 100).toFixed(2)},"last_price":${optionPrice(last)},"interest_rate":0.0,"instrument_name":"${spec.symbol}","index_price":${index},"greeks":{"vega":${(mark.vega / 100).toFixed(5)},"theta":${(mark.theta / 365.25).toFixed(5)},"rho":${rho.toFixed(5)},"gamma":${mark.gamma.toFixed(5)},"delta":${mark.delta.toFixed(5)}},"estimated_delivery_price":${index},"bid_iv":${bidIv},"best_bid_price":${bid === NO_LEVEL ? "0.0" : optionPrice(bid)},"best_bid_amount":${optionAmount(options.bestLots(option, SIDE.bid))},"best_ask_price":${ask === NO_LEVEL ? "0.0" : optionPrice(ask)},"best_ask_amount":${optionAmount(options.bestLots(option, SIDE.ask))},"ask_iv":${askIv}}`;
}

/** Implied volatility of a price in percent by safeguarded Newton; 0.0 where there is none, as Deribit shows it. */
function impliedPercent(
  call: boolean,
  forward: number,
  strike: number,
  years: number,
  ticks: number,
  guess: number,
): string {
  if (ticks === NO_LEVEL || years === 0) return "0.0";
  const price = (ticks / OPTION_TICKS_PER_COIN) * forward;
  let low = 0;
  let high = IV_MAX;
  let volatility = guess;
  for (let i = 0; i < NEWTON_STEPS; i += 1) {
    black76(value, call, forward, strike, years, volatility);
    const error = value.price - price;
    if (error > 0) high = volatility;
    else low = volatility;
    const step = volatility - error / value.vega;
    volatility = step > low && step < high ? step : (low + high) / 2;
  }
  return volatility < 0.01 ? "0.0" : (volatility * 100).toFixed(2);
}
