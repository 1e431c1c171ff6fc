import { SIDE } from "../market/event-batch.ts";
import type { ChannelDialect, SimTrade } from "./channel-venue.ts";
import type { BothSides, SideLevels } from "./depth-window.ts";
import type { SimMarket } from "./market/market.ts";
import { nextFundingMs } from "./market/reference.ts";
import { OKX_CONTROL, okxArgument } from "./protocol/okx-control.ts";
import type { HttpAnswer } from "./protocol/venue-server.ts";

const SYMBOL = "BTC-USDT-SWAP";
const DEPTH = 400;

/**
 * OKX v5 with one swap: the simulated perpetual's lots of 0.001 BTC are tenths of a contract. Sends checksums as the venue did until
 * June 2026, or 0 as it does since.
 */
export class OkxDialect implements ChannelDialect {
  readonly control = OKX_CONTROL;
  readonly bookChannel = `books:${SYMBOL}`;
  readonly tradeChannel = `trades:${SYMBOL}`;
  readonly depth = DEPTH;
  readonly #sums: boolean;
  readonly #told: readonly [Map<number, number>, Map<number, number>] = [new Map(), new Map()];
  #sequence = 123_456;
  #trade = 130_639_474;

  /** @param sums sends checksums */
  constructor(sums: boolean) {
    this.#sums = sums;
  }

  book([bids, asks]: BothSides, whole: boolean, timeMs: number): string {
    const previous = whole ? -1 : this.#sequence;
    if (!whole) this.#sequence += 1 + ((bids.length + asks.length) % 17);
    for (const [side, changed] of [bids, asks].entries()) {
      if (whole) this.#told[side].clear();
      for (const [ticks, lots] of changed) {
        if (lots === 0) this.#told[side].delete(ticks);
        else this.#told[side].set(ticks, lots);
      }
    }
    const checksum = this.#sums ? this.#checksum() : 0;
    return `{"arg":${JSON.stringify(okxArgument(this.bookChannel))},"action":"${whole ? "snapshot" : "update"}","data":[{"asks":${levels(asks)},"bids":${levels(bids)},"ts":"${timeMs}","checksum":${checksum},"seqId":${this.#sequence},"prevSeqId":${previous}}]}`;
  }

  trades(trades: readonly SimTrade[], timeMs: number): string {
    const data = trades.map(({ side, priceTicks, lots }) => {
      this.#trade += 1;
      return {
        instId: SYMBOL,
        tradeId: String(this.#trade),
        px: price(priceTicks),
        sz: size(lots),
        side: side === SIDE.bid ? "buy" : "sell",
        ts: String(timeMs),
        count: "1",
      };
    });
    return JSON.stringify({ arg: okxArgument(this.tradeChannel), data });
  }

  tickers({ reference }: SimMarket, timeMs: number): readonly (readonly [string, string])[] {
    const ts = String(timeMs);
    const told = (channel: string, instId: string, data: object): readonly [string, string] => {
      const name = `${channel}:${instId}`;
      return [name, JSON.stringify({ arg: okxArgument(name), data: [{ instId, ...data, ts }] })];
    };
    const fundingTime = String(nextFundingMs(timeMs));
    return [
      told("mark-price", SYMBOL, { instType: "SWAP", markPx: reference.mark(0).toFixed(1) }),
      told("index-tickers", "BTC-USDT", { idxPx: reference.index.toFixed(1) }),
      told("funding-rate", SYMBOL, { fundingRate: reference.fundingRate.toFixed(8), fundingTime }),
    ];
  }

  request(url: URL, timeMs: number): HttpAnswer {
    const answer = (data: readonly object[]): HttpAnswer => ({
      status: 200,
      body: JSON.stringify({ code: "0", msg: "", data }),
    });
    if (url.pathname === "/api/v5/public/time") return answer([{ ts: String(timeMs) }]);
    if (url.pathname !== "/api/v5/public/instruments") return { status: 404, body: "" };
    const asked = url.searchParams.get("instId");
    const isListed = url.searchParams.get("instType") === "SWAP" && (asked === null || asked === SYMBOL);
    return answer(isListed ? [INSTRUMENT] : []);
  }

  #checksum(): number {
    const [bids, asks] = this.#told.map((told, side) =>
      [...told]
        .sort(([a], [b]) => (side === SIDE.bid ? b - a : a - b))
        .slice(0, 25)
        .map(([ticks, lots]) => `${price(ticks)}:${size(lots)}`),
    );
    const parts: string[] = [];
    for (let i = 0; i < 25; i += 1) parts.push(...bids.slice(i, i + 1), ...asks.slice(i, i + 1));
    return Bun.hash.crc32(parts.join(":")) | 0;
  }
}

const INSTRUMENT = {
  instId: SYMBOL,
  instType: "SWAP",
  instFamily: "BTC-USDT",
  uly: "BTC-USDT",
  baseCcy: "",
  quoteCcy: "",
  settleCcy: "USDT",
  ctVal: "0.01",
  ctMult: "1",
  ctType: "linear",
  ctValCcy: "BTC",
  expTime: "",
  stk: "",
  optType: "",
  tickSz: "0.1",
  lotSz: "0.1",
  minSz: "0.1",
  state: "live",
};

function levels(side: SideLevels): string {
  return `[${side.map(([ticks, lots]) => `["${price(ticks)}","${size(lots)}","0","${lots === 0 ? 0 : 1}"]`).join(",")}]`;
}

/** Numbers are as short as they go. */
function price(ticks: number): string {
  return String(ticks / 10);
}

function size(lots: number): string {
  return String(lots / 10);
}
