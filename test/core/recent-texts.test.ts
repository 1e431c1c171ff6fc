import { describe, expect, test } from "bun:test";
import { RecentTexts } from "../../src/core/recent-texts.ts";
import { Rng } from "../../src/core/rng.ts";

describe("RecentTexts", () => {
  test("keeps the latest up to a number, the oldest go first", () => {
    const texts = new RecentTexts(2);
    expect(["a", "b", "a", "c", "a"].map((text) => texts.add(text))).toEqual([true, true, false, true, true]);
    expect(texts.latest(1)).toEqual(["a"]);
    expect(texts.latest(9)).toEqual(["c", "a"]);
    expect([texts.has("b"), texts.has("c"), texts.size]).toEqual([false, true, 2]);
  });

  for (const capacity of [1, 3, 255, 256, 257, 1_000]) {
    test(`says what a set of the latest ${capacity} says`, () => {
      const rng = new Rng(capacity);
      const texts = new RecentTexts(capacity);
      const plain = new Set<string>();
      for (let step = 0; step < 8_000; step += 1) {
        // Of different lengths, some empty, some of more than one byte to a character, known ones among them.
        const number = rng.int(capacity * 3);
        const text = number % 17 === 0 ? "\ufeffé😀".repeat(number % 90) : `${number}`.repeat(number % 40);
        const isNew = !plain.has(text);
        expect(texts.has(text)).toBe(!isNew);
        expect(texts.add(text)).toBe(isNew);
        if (isNew && plain.size === capacity) plain.delete([...plain][0] ?? "");
        plain.add(text);
      }
      expect(texts.latest(capacity)).toEqual([...plain]);
    });
  }

  test("tells texts apart that have the same hash", () => {
    // Two words of one FNV-1a hash of 32 bits.
    const texts = new RecentTexts(4);
    expect([texts.add("costarring"), texts.add("liquid"), texts.has("costarring")]).toEqual([
      true,
      true,
      true,
    ]);
    texts.add("x");
    texts.add("y");
    texts.add("z");
    expect([texts.has("costarring"), texts.has("liquid")]).toEqual([false, true]);
  });

  test("keeps nothing of what it forgot, however long that was", () => {
    const texts = new RecentTexts(2);
    texts.add("a".repeat(100_000));
    texts.add("b");
    texts.add("c");
    expect([texts.has("a".repeat(100_000)), texts.latest(2)]).toEqual([false, ["b", "c"]]);
  });

  test("refuses to keep none", () => {
    expect(() => new RecentTexts(0)).toThrow("at least one text is kept, got 0");
  });
});
