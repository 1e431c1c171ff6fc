import { readInstrument as readBybit } from "../../src/feed/bybit/instruments.ts";
import { BYBIT_VENUES, type BybitVenueName } from "../../src/feed/bybit/venue.ts";
import { readInstrument as readOkx } from "../../src/feed/okx/instruments.ts";
import { bybitInstrument, FakeBybit } from "./fake-bybit.ts";
import { FakeOkx, OKX_OPTION, OKX_SWAP } from "./fake-okx.ts";
import { listing, type VenueFrames } from "./simulated-frames.ts";

/** Rounds of changes that each venue tells. */
const ROUNDS = 120;

/** Frames of Bybit's linear and option markets, of every kind that the feed subscribes. */
export function bybitFrames(): VenueFrames {
  const frames: string[] = [];
  const venues: readonly BybitVenueName[] = ["bybit-linear", "bybit-option"];
  const specs = venues.flatMap((name) => {
    const venue = new FakeBybit(name);
    for (let round = 0; round < ROUNDS; round += 1) {
      const index = round % 2;
      frames.push(venue.next(index), venue.trade(index));
      if (round % 20 === 0) frames.push(venue.snapshot(index));
      const markPrice = (100 + round / 10).toFixed(2);
      frames.push(venue.ticker(index, "delta", { markPrice, nextFundingTime: "1673280000000" }));
    }
    const contract = {
      lastPrice: "17216.00",
      indexPrice: "17227.36",
      fundingRate: "-0.000212",
      openInterest: "68744.761",
    };
    frames.push(venue.ticker(0, "snapshot", { tickDirection: "PlusTick", ...contract }));
    const greeks = { delta: "0.047831", gamma: "0.00021453", vega: "0.81351067", theta: "-19.9115368" };
    const ivs = { bidIv: "0", askIv: "0.514", markPriceIv: "0.4896", underlyingPrice: "16815.1" };
    frames.push(venue.ticker(1, "snapshot", { ...greeks, ...ivs }));
    return venue.symbols.map((symbol) =>
      readBybit(
        BYBIT_VENUES[name],
        bybitInstrument(name, { symbol, base: symbol.slice(0, 3), tick: "0.10", lot: "0.001" }),
      ),
    );
  });
  return { bySymbol: listing(specs), frames, snapshots: [] };
}

/** Frames of OKX of every kind that the feed subscribes, but for the index, which is left to JSON.parse. */
export function okxFrames(): VenueFrames {
  const frames: string[] = [];
  const venue = new FakeOkx(true);
  const later = new FakeOkx(false);
  const told = (channel: string, index: number, data: object): string => {
    const instId = venue.symbols[index];
    return JSON.stringify({ arg: { channel, instId }, data: [{ instId, ...data, ts: "1597026383085" }] });
  };
  for (let round = 0; round < ROUNDS; round += 1) {
    const index = round % 2;
    frames.push(venue.next(index), later.next(index), venue.trade(index));
    if (round % 20 === 0) frames.push(venue.snapshot(index), venue.nothing(index));
    frames.push(venue.top(index, [1_000, 5], round % 7 === 0 ? null : [1_001, round + 1], round));
    frames.push(told("mark-price", index, { instType: "SWAP", markPx: `${100 + round}.25` }));
  }
  frames.push(
    told("tickers", 0, { last: "9999.99", lastSz: "0.1", askPx: "" }),
    told("open-interest", 1, { oi: "5000", oiCcy: "555.55" }),
    told("funding-rate", 0, {
      fundingRate: "-0.0001875391284828",
      fundingTime: "1744590349506",
      nextFundingRate: "",
    }),
  );
  const summary = {
    delta: "0.5",
    deltaBS: "0.53",
    gammaBS: "0.0000134",
    thetaBS: "-0.0015",
    vegaBS: "0.0038",
  };
  const vols = { markVol: "0.53", bidVol: "", askVol: "0", fwdPx: "92150.50", realVol: "0.45" };
  frames.push(
    JSON.stringify({
      arg: { channel: "opt-summary", instFamily: "BTC-USD" },
      data: [{ instId: OKX_OPTION.instId, uly: "BTC-USD", ...summary, ...vols, ts: "1711612800000" }],
    }),
  );
  return { bySymbol: listing([OKX_SWAP, OKX_OPTION].map(readOkx)), frames, snapshots: [] };
}
