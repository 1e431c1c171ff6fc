import type { EventBatch } from "../market/event-batch.ts";
import type { InstrumentTable } from "../market/instrument.ts";
import { VenueMarket } from "./venue-market.ts";

const KEPT_MIN = 256;

interface Series {
  readonly market: VenueMarket;
  times: number[];
  mids: number[];
}

/** Middles of instruments as the reader, which is ahead of the matching, comes by them. */
export class MidSeries {
  readonly #series: (Series | undefined)[] = [];

  /** An event has been read. */
  onRead(instruments: InstrumentTable, batch: EventBatch, row: number, venueUs: number): void {
    const id = batch.instrument[row];
    let series = this.#series[id];
    if (series === undefined) {
      const instrument = instruments.get(id);
      if (instrument.kind !== "option") return;
      series = { market: new VenueMarket(instrument), times: [], mids: [] };
      this.#series[id] = series;
    }
    series.market.applyRow(batch, row);
    const { mid } = series.market;
    if (Number.isNaN(mid) || mid === series.mids.at(-1)) return;
    series.times.push(Math.max(venueUs, series.times.at(-1) ?? Number.NEGATIVE_INFINITY));
    series.mids.push(mid);
  }

  /** The middle in force at a time; NaN before the first. */
  at(instrument: number, timeUs: number): number {
    const series = this.#series[instrument];
    if (series === undefined) return Number.NaN;
    const { times, mids } = series;
    let low = 0;
    let high = times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] <= timeUs) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? Number.NaN : mids[low - 1];
  }

  /** What lies before a time will not be asked for any more. */
  forget(beforeUs: number): void {
    for (const series of this.#series) {
      if (series === undefined || series.times.length < KEPT_MIN) continue;
      let gone = 0;
      while (gone + 1 < series.times.length && series.times[gone + 1] <= beforeUs) gone += 1;
      if (gone * 2 < series.times.length) continue;
      series.times = series.times.slice(gone);
      series.mids = series.mids.slice(gone);
    }
  }
}
