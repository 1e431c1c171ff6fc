import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { MassQuoteEncoder } from "../../../src/gateway/fix/mass-quote.ts";
import { FixMessage } from "../../../src/gateway/fix/message.ts";
import { FixParser, PARSE } from "../../../src/gateway/fix/parser.ts";
import { BEGIN_STRING, type FixVersion } from "../../../src/gateway/fix/tags.ts";
import type { QuoteBatch } from "../../../src/quote/quote-batch.ts";
import { instrumentTable, LISTED, quoteBatch } from "./instruments.ts";
import { referenceMassQuote } from "./reference-mass-quote.ts";

const TIME_US = Date.UTC(2026, 0, 5, 23, 59, 59, 998) * 1_000;
const table = instrumentTable();

/** An encoder that has seen every instrument in the table's order, which is then the order of the quote sets. */
function encoderOf(
  version: FixVersion,
): (batch: QuoteBatch, from: number, count: number, seq: number, timeUs: number) => string {
  const encoder = new MassQuoteEncoder({ version, senderCompId: "KEEL", targetCompId: "PEER" }, table, 8);
  const out = new Uint8Array(encoder.maxBytes);
  const first = { quoteId: 1, bidTicks: 1, bidLots: 1, askTicks: 2, askLots: 1 };
  for (let level = 0; level < 3; level += 1) {
    const all = quoteBatch(LISTED.map((_, instrument) => ({ ...first, instrument, level })));
    encoder.encode(all, 0, LISTED.length, 1, 0, out);
  }
  return (batch, from, count, seq, timeUs) => {
    const length = encoder.encode(batch, from, count, seq, timeUs, out);
    return Buffer.from(out.subarray(encoder.start, encoder.start + length)).toString("latin1");
  };
}

const quote = fc.record({
  instrument: fc.nat({ max: LISTED.length - 1 }),
  level: fc.constantFrom(0, 0, 1, 2),
  quoteId: fc.oneof(fc.nat({ max: 2_000 }), fc.integer({ min: 1, max: 2 ** 40 })),
  bidTicks: fc.oneof(fc.nat({ max: 1_000 }), fc.nat({ max: 2_147_483_647 })),
  bidLots: fc.oneof(fc.constant(0), fc.nat({ max: 100 }), fc.nat({ max: 1e12 })),
  askTicks: fc.oneof(fc.nat({ max: 1_000 }), fc.nat({ max: 2_147_483_647 })),
  askLots: fc.oneof(fc.constant(0), fc.nat({ max: 100 }), fc.nat({ max: 1e12 })),
});

describe("MassQuoteEncoder", () => {
  test.each(["4.4", "4.2"] as const)("writes FIX %s as the slow reference does", (version) => {
    const encode = encoderOf(version);
    fc.assert(
      fc.property(
        fc.array(quote, { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 1, max: 2_000_000 }),
        fc.nat({ max: 5_000_000 }),
        (rows, seq, laterUs) => {
          const batch = quoteBatch(rows);
          const timeUs = TIME_US + laterUs;
          for (const [from, count] of [
            [0, rows.length],
            [rows.length - 1, 1],
          ]) {
            const wanted = referenceMassQuote(table, batch, from, count, seq, timeUs, BEGIN_STRING[version]);
            expect(encode(batch, from, count, seq, timeUs)).toBe(wanted);
          }
        },
      ),
      { numRuns: 300, seed: 11 },
    );
  });

  test("writes one instrument again and again as numbers grow and sides come and go", () => {
    const encode = encoderOf("4.4");
    for (let i = 0; i < 2_500; i += 1) {
      const batch = quoteBatch([
        {
          instrument: 1,
          quoteId: i * 7 + 1,
          bidTicks: i % 1_300,
          bidLots: i % 11 === 0 ? 0 : i,
          askTicks: (i % 1_300) + 5,
          askLots: i % 13 === 0 ? 0 : 12,
        },
      ]);
      const timeUs = TIME_US + i * 1_700;
      expect(encode(batch, 0, 1, i + 1, timeUs)).toBe(
        referenceMassQuote(table, batch, 0, 1, i + 1, timeUs, "FIX.4.4"),
      );
    }
  });

  test("is read back by the parser", () => {
    const batch = quoteBatch([
      { instrument: 1, quoteId: 5, bidTicks: 120, bidLots: 3, askTicks: 130, askLots: 0 },
    ]);
    const bytes = Uint8Array.from(Buffer.from(encoderOf("4.4")(batch, 0, 1, 9, TIME_US), "latin1"));
    const message = new FixMessage(64);
    expect(new FixParser(4_096).parse(bytes, 0, bytes.length, message)).toBe(PARSE.complete);
    expect(message.text(132)).toBe("0.0600");
    expect(message.text(133)).toBeUndefined();
    expect(message.text(135)).toBe("0");
  });

  test("replaces what would break the message in a symbol", () => {
    const odd = instrumentTable([{ ...LISTED[0], symbol: "A\x01B|é" }]);
    const encoder = new MassQuoteEncoder({ version: "4.4", senderCompId: "A", targetCompId: "B" }, odd);
    const out = new Uint8Array(encoder.maxBytes);
    const batch = quoteBatch([
      { instrument: 0, quoteId: 1, bidTicks: 1, bidLots: 1, askTicks: 2, askLots: 1 },
    ]);
    const length = encoder.encode(batch, 0, 1, 1, TIME_US, out);
    expect(Buffer.from(out.subarray(encoder.start, encoder.start + length)).toString()).toContain(
      "55=A?B??\x01",
    );
  });
});
