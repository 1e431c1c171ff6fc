import { expect, test } from "bun:test";
import fc from "fast-check";
import { runDeribitBench } from "../../../src/bench/deribit.ts";
import { optionTable } from "../../../src/bench/option-table.ts";
import { stepsToDecimal } from "../../../src/core/decimal.ts";
import { ASK, BID, MassQuoteText } from "../../../src/gateway/deribit/mass-quote-text.ts";

const table = optionTable(8);

test("a mass quote reads back as what was written, whatever the numbers", () => {
  const writer = new MassQuoteText(table, 8);
  const row = fc.record({
    sides: fc.constantFrom(BID, ASK, BID | ASK),
    bidTicks: fc.integer({ min: 1, max: 2_000_000_000 }),
    bidLots: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 1_000_000_000 })),
    askTicks: fc.integer({ min: 1, max: 2_000_000_000 }),
    askLots: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 1_000_000_000 })),
  });
  fc.assert(
    fc.property(
      fc.array(row, { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      fc.string({ minLength: 1, maxLength: 64 }).filter((name) => /^[\x20-\x7e]*$/.test(name)),
      (rows, id, group) => {
        writer.open(id, group, id);
        for (const [at, { sides, bidTicks, bidLots, askTicks, askLots }] of rows.entries()) {
          writer.add(at, sides, bidTicks, bidLots, askTicks, askLots);
        }
        const message = JSON.parse(writer.finish());
        const side = (at: number, ticks: number, lots: number): object => {
          const { tick, lot } = table.get(at);
          if (lots === 0) return { amount: 0 };
          return { price: Number(stepsToDecimal(ticks, tick)), amount: Number(stepsToDecimal(lots, lot)) };
        };
        expect(message).toEqual({
          jsonrpc: "2.0",
          id,
          method: "private/mass_quote",
          params: {
            detailed: true,
            mmp_group: group,
            quote_id: String(id),
            quotes: rows.map(({ sides, bidTicks, bidLots, askTicks, askLots }, at) => ({
              instrument_name: table.get(at).symbol,
              quote_set_id: table.get(at).base,
              ...((sides & BID) === 0 ? {} : { bid: side(at, bidTicks, bidLots) }),
              ...((sides & ASK) === 0 ? {} : { ask: side(at, askTicks, askLots) }),
            })),
          },
        });
      },
    ),
    { numRuns: 300 },
  );
});

test("the benchmark runs, and writes the same for the same seed", () => {
  const first = runDeribitBench({ messages: 50, seed: 1 });
  expect(first.rows.map(({ name }) => name)).toContain("deribit/mass-quote-100/encode");
  expect(runDeribitBench({ messages: 50, seed: 1 }).checksum).toBe(first.checksum);
});
