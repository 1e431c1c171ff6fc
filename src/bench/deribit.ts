import { stepsToDecimal } from "../core/decimal.ts";
import { Histogram } from "../core/histogram.ts";
import { invariant } from "../core/invariant.ts";
import { Rng } from "../core/rng.ts";
import { ASK, BID, MassQuoteText } from "../gateway/deribit/mass-quote-text.ts";
import { optionTable } from "./option-table.ts";
import { type BenchReport, benchHost, ratioOf, rowOf } from "./report.ts";

export interface DeribitBenchOptions {
  readonly messages: number;
  readonly seed: number;
}

const INSTRUMENTS = 256;
/** Quotes in one message: one strike, the usual share of a chain that moves together, and the most that the venue takes. */
const SIZES = [1, 20, 100] as const;

/**
 * Times `private/mass_quote` as text, of 1, 20 and 100 two-sided quotes: by patching prepared bytes, beside `JSON.stringify` of the
 * same message, in turn. Prices walk and sizes change as the FIX benchmark's do. Both end with the string that a WebSocket sends.
 */
export function runDeribitBench({ messages, seed }: DeribitBenchOptions): BenchReport {
  const table = optionTable(INSTRUMENTS);
  const rng = new Rng(seed);
  const writer = new MassQuoteText(table, 100);
  const bid = Array.from({ length: INSTRUMENTS }, () => 1 + rng.int(3_000));
  const lots = Array.from({ length: INSTRUMENTS }, () => 1 + rng.int(500));
  const rows = [];
  const ratios = [];
  let checksum = 0;
  for (const size of SIZES) {
    const patched = new Histogram();
    const stringified = new Histogram();
    const warmUp = Math.min(2_000, messages);
    for (let message = -warmUp; message < messages; message += 1) {
      const first = rng.int(INSTRUMENTS - size + 1);
      for (let at = first; at < first + size; at += 1) {
        bid[at] = Math.max(1, bid[at] + rng.int(5) - 2);
        if (rng.int(3) === 0) lots[at] = 1 + rng.int(500);
      }
      const id = warmUp + message + 1;
      const start = Bun.nanoseconds();
      writer.open(id, "keel-btc_usd", id);
      for (let at = first; at < first + size; at += 1) {
        writer.add(at, BID | ASK, bid[at], lots[at], bid[at] + 5, lots[at]);
      }
      const text = writer.finish();
      const middle = Bun.nanoseconds();
      const quotes = [];
      for (let at = first; at < first + size; at += 1) {
        const { symbol, base, tick, lot } = table.get(at);
        const amount = Number(stepsToDecimal(lots[at], lot));
        quotes.push({
          instrument_name: symbol,
          quote_set_id: base,
          bid: { price: Number(stepsToDecimal(bid[at], tick)), amount },
          ask: { price: Number(stepsToDecimal(bid[at] + 5, tick)), amount },
        });
      }
      const params = { detailed: true, mmp_group: "keel-btc_usd", quote_id: String(id), quotes };
      const reference = JSON.stringify({ jsonrpc: "2.0", id, method: "private/mass_quote", params });
      const end = Bun.nanoseconds();
      if (message % 1_000 === 0) invariant(text === reference, `${text} is ${reference}`);
      checksum = (checksum + text.length * id) >>> 0;
      if (message < 0) continue;
      patched.record(middle - start);
      stringified.record(end - middle);
    }
    const name = `deribit/mass-quote-${size}`;
    const own = rowOf(`${name}/encode`, patched, "us", { quotes: size });
    const peer = rowOf(`${name}/json-stringify`, stringified, "us", { quotes: size });
    rows.push(own, peer);
    ratios.push(ratioOf(`${name}/json-stringify:keel`, peer, own));
  }
  return {
    bench: "deribit",
    host: benchHost(),
    seed,
    checksum: String(checksum),
    input: `${messages} messages of each size, ${INSTRUMENTS} options`,
    rows,
    ratios,
    notes: ["per message, both sides of every quote"],
  };
}
