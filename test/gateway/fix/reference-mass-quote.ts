import { stepsToDecimal } from "../../../src/core/decimal.ts";
import type { InstrumentTable } from "../../../src/market/instrument.ts";
import type { QuoteBatch } from "../../../src/quote/quote-batch.ts";
import { seal } from "./script.ts";

export function utcTimestamp(timeUs: number): string {
  const iso = new Date(Math.floor(timeUs / 1_000)).toISOString();
  return `${iso.slice(0, 10).replaceAll("-", "")}-${iso.slice(11, 23)}`;
}

/** The message the encoder must write, built slowly from strings. */
export function referenceMassQuote(
  instruments: InstrumentTable,
  batch: QuoteBatch,
  from: number,
  count: number,
  seq: number,
  timeUs: number,
  begin: string,
): string {
  const rows = Array.from({ length: count }, (_, i) => from + i);
  const time = utcTimestamp(timeUs);
  const lastId = Math.max(...rows.map((row) => batch.quoteId[row]));
  const bases = [...new Set(instruments.all().map((instrument) => instrument.base))];
  const sets = [0, 1, 2]
    .flatMap((level) =>
      bases.map((base) => ({
        base,
        id: level === 0 ? base : `${base}.${level + 1}`,
        rows: rows.filter(
          (row) => batch.level[row] === level && instruments.get(batch.instrument[row]).base === base,
        ),
      })),
    )
    .filter((set) => set.rows.length > 0);
  const fields = ["35=i", `34=${seq}`, "49=KEEL", `52=${time}`, "56=PEER", `117=${lastId}`, "301=2"];
  fields.push(`296=${sets.length}`);
  for (const set of sets) {
    fields.push(`302=${set.id}`, `311=${set.base}`, `304=${set.rows.length}`, `295=${set.rows.length}`);
    for (const row of set.rows) {
      const { symbol, venue, tick, lot } = instruments.get(batch.instrument[row]);
      const bid = batch.bidLots[row] > 0;
      const ask = batch.askLots[row] > 0;
      fields.push(`299=${batch.quoteId[row]}`, `55=${symbol}`, `207=${venue}`);
      if (bid) fields.push(`132=${stepsToDecimal(batch.bidTicks[row], tick)}`);
      if (ask) fields.push(`133=${stepsToDecimal(batch.askTicks[row], tick)}`);
      fields.push(`134=${bid ? stepsToDecimal(batch.bidLots[row], lot) : "0"}`);
      fields.push(`135=${ask ? stepsToDecimal(batch.askLots[row], lot) : "0"}`);
      fields.push(`60=${time}`);
    }
  }
  return seal(`8=${begin}\x01${fields.join("\x01")}\x01`);
}
