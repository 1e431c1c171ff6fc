import { readSymbol } from "../../src/feed/binance/instruments.ts";
import { readInstrument } from "../../src/feed/deribit/instruments.ts";
import { type Instrument, type InstrumentSpec, InstrumentTable } from "../../src/market/instrument.ts";
import { deribitInstruments } from "../../src/sim/deribit-instruments.ts";
import { channelFrame } from "../../src/sim/protocol/json-rpc.ts";
import { recordedMarket, START_US } from "../sim/sim-support.ts";
import { exchangeInfo } from "./fake-binance.ts";

/** Frames of one venue with the instruments that they name. */
export interface VenueFrames {
  readonly bySymbol: ReadonlyMap<string, Instrument>;
  readonly frames: readonly string[];
  /** REST depth of Binance. */
  readonly snapshots: readonly string[];
}

/** The first `seconds` of the simulated market as both venues tell them, Binance's frames both combined and raw. */
export function simulatedFrames(
  seed: number,
  seconds: number,
): { readonly binance: VenueFrames; readonly deribit: VenueFrames } {
  const { market, binance, deribit, frames } = recordedMarket(seed);
  market.advance(START_US + seconds * 1e6);
  const first = deribit.channels.flatMap((channel) => {
    const data = deribit.first(channel);
    return data === null ? [] : [channelFrame(channel, data)];
  });
  const listed = deribitInstruments(market, "BTC", undefined) ?? [];
  const told = (venue: string) => frames.filter((frame) => frame.venue === venue);
  return {
    binance: {
      bySymbol: listing([usdm(binance.symbol, "0.10", "0.001")]),
      frames: told("binance").flatMap(({ channel, data }) => [
        `{"stream":"${channel}","data":${data}}`,
        data,
      ]),
      snapshots: [1_000, 5, 0].map((limit) => binance.snapshot(limit)),
    },
    deribit: {
      bySymbol: listing(listed.map(readInstrument)),
      frames: [...first, ...told("deribit").map(({ channel, data }) => channelFrame(channel, data))],
      snapshots: [],
    },
  };
}

/** A symbol of Binance USDⓈ-M as the feed would have learnt it. */
export function usdm(symbol: string, tick: string, lot: string): InstrumentSpec {
  const info = exchangeInfo("binance-usdm", [{ symbol, base: symbol.slice(0, 3), tick, lot }]);
  return readSymbol("binance-usdm", JSON.parse(info).symbols[0]);
}

/** Instruments by symbol, numbered from 3 so that a number is never mistaken for a row. */
export function listing(specs: readonly InstrumentSpec[]): Map<string, Instrument> {
  const table = new InstrumentTable(specs.length + 3);
  for (const symbol of ["A", "B", "C"]) table.add({ ...specs[0], symbol });
  return new Map(
    specs.flatMap((spec) => {
      const instrument = table.add(spec);
      return instrument === undefined ? [] : [[spec.symbol, instrument] as const];
    }),
  );
}
