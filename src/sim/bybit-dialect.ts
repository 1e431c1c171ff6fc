import { SIDE } from "../market/event-batch.ts";
import type { ChannelDialect, SimTrade } from "./channel-venue.ts";
import type { BothSides, SideLevels } from "./depth-window.ts";
import type { SimMarket } from "./market/market.ts";
import { nextFundingMs } from "./market/reference.ts";
import { BYBIT_CONTROL } from "./protocol/bybit-control.ts";
import type { HttpAnswer } from "./protocol/venue-server.ts";

const SYMBOL = "BTCUSDT";
const DEPTH = 200;

/** Bybit v5's linear market with one perpetual, in ticks of 0.1 USDT and lots of 0.001 BTC as the simulated one has them. */
export class BybitDialect implements ChannelDialect {
  readonly control = BYBIT_CONTROL;
  readonly bookChannel = `orderbook.${DEPTH}.${SYMBOL}`;
  readonly tradeChannel = `publicTrade.${SYMBOL}`;
  readonly depth = DEPTH;
  readonly #tickerChannel = `tickers.${SYMBOL}`;
  #update = 18_521_288;
  #sequence = 7_961_638_724;
  #trade = 0;

  book([bids, asks]: BothSides, whole: boolean, timeMs: number): string {
    if (!whole) {
      this.#update += 1;
      this.#sequence += bids.length + asks.length;
    }
    const type = whole ? "snapshot" : "delta";
    return `{"topic":"${this.bookChannel}","type":"${type}","ts":${timeMs},"data":{"s":"${SYMBOL}","b":${levels(bids)},"a":${levels(asks)},"u":${this.#update},"seq":${this.#sequence}},"cts":${timeMs}}`;
  }

  trades(trades: readonly SimTrade[], timeMs: number): string {
    const entries = trades.map(({ side, priceTicks, lots }) => {
      this.#trade += 1;
      const S = side === SIDE.bid ? "Buy" : "Sell";
      const i = `00000000-0000-4000-8000-${String(this.#trade).padStart(12, "0")}`;
      const seq = this.#sequence;
      return {
        T: timeMs,
        s: SYMBOL,
        S,
        v: size(lots),
        p: price(priceTicks),
        L: "PlusTick",
        i,
        BT: false,
        seq,
      };
    });
    return JSON.stringify({ topic: this.tradeChannel, type: "snapshot", ts: timeMs, data: entries });
  }

  tickers({ reference }: SimMarket, timeMs: number): readonly (readonly [string, string])[] {
    const data = {
      symbol: SYMBOL,
      markPrice: reference.mark(0).toFixed(2),
      indexPrice: reference.index.toFixed(2),
      fundingRate: reference.fundingRate.toFixed(8),
      nextFundingTime: String(nextFundingMs(timeMs)),
    };
    const text = JSON.stringify({
      topic: this.#tickerChannel,
      type: "snapshot",
      data,
      cs: this.#sequence,
      ts: timeMs,
    });
    return [[this.#tickerChannel, text]];
  }

  request(url: URL, timeMs: number): HttpAnswer {
    const answer = (result: object): HttpAnswer => ({
      status: 200,
      body: JSON.stringify({ retCode: 0, retMsg: "OK", result, retExtInfo: {}, time: timeMs }),
    });
    if (url.pathname === "/v5/market/time") return answer({ timeSecond: String(Math.floor(timeMs / 1_000)) });
    if (url.pathname !== "/v5/market/instruments-info") return { status: 404, body: "" };
    const symbol = url.searchParams.get("symbol");
    const list = symbol === null || symbol === SYMBOL ? [INSTRUMENT] : [];
    return answer({ category: "linear", list, nextPageCursor: "" });
  }
}

const INSTRUMENT = {
  symbol: SYMBOL,
  contractType: "LinearPerpetual",
  status: "Trading",
  baseCoin: "BTC",
  quoteCoin: "USDT",
  settleCoin: "USDT",
  launchTime: "1584230400000",
  deliveryTime: "0",
  priceScale: "2",
  priceFilter: { minPrice: "0.10", maxPrice: "1999999.80", tickSize: "0.10" },
  lotSizeFilter: { maxOrderQty: "1190.000", minOrderQty: "0.001", qtyStep: "0.001" },
  fundingInterval: 480,
};

function levels(side: SideLevels): string {
  return `[${side.map(([ticks, lots]) => `["${price(ticks)}","${lots === 0 ? "0" : size(lots)}"]`).join(",")}]`;
}

function price(ticks: number): string {
  return `${(ticks / 10).toFixed(1)}0`;
}

function size(lots: number): string {
  return (lots / 1_000).toFixed(3);
}
