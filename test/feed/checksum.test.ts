import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { stepsToDecimal } from "../../src/core/decimal.ts";
import { ChecksumText } from "../../src/feed/checksum.ts";

const crcOf = (write: (text: ChecksumText) => void): number => {
  const text = new ChecksumText(64);
  text.byte(65);
  text.clear();
  write(text);
  return text.crc32();
};

describe("checksum text", () => {
  test("gives the check value of CRC-32", () => {
    expect(crcOf((text) => text.integer(123_456_789))).toBe(0xcbf43926);
    expect(crcOf(() => {})).toBe(0);
  });

  test("writes integers as they are", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        expect(crcOf((text) => text.integer(value))).toBe(Bun.hash.crc32(String(value)));
      }),
    );
  });

  test("writes decimals with the step's digits, or as short as they go", () => {
    const step = fc.record({ mantissa: fc.constantFrom(1, 5, 25, 10), scale: fc.nat(20) });
    fc.assert(
      fc.property(fc.nat(10 ** 12), step, (steps, grid) => {
        const full = stepsToDecimal(steps, grid);
        const short = full.includes(".") ? full.replace(/\.?0+$/, "") : full;
        expect(crcOf((text) => text.decimal(steps, grid, false))).toBe(Bun.hash.crc32(full));
        expect(crcOf((text) => text.decimal(steps, grid, true))).toBe(Bun.hash.crc32(short));
      }),
    );
  });

  test("refuses what is no count and what does not fit", () => {
    const text = new ChecksumText(2);
    for (const value of [-1, 0.5, Number.NaN, 2 ** 53]) expect(() => text.integer(value)).toThrow();
    expect(() => text.integer(123)).toThrow();
  });
});
