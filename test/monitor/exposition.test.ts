import { describe, expect, test } from "bun:test";
import { ExpositionText } from "../../src/monitor/exposition.ts";
import { MetricRegistry } from "../../src/monitor/metrics.ts";
import { exposition } from "../support/exposition.ts";

function written(write: (text: ExpositionText) => void): string {
  const text = new ExpositionText();
  write(text);
  return new TextDecoder().decode(text.bytes);
}

describe("ExpositionText", () => {
  test("writes numbers as JavaScript does, and what is none as Prometheus does", () => {
    const whole = [0, -0, 1, 9, 10, 99, 100, -7, 2 ** 31, -(2 ** 53) + 1, 2 ** 53 - 1, 2 ** 53, 1e21];
    for (const value of [...whole, 0.1, -1.5e-7, 1.7e308, 5e-324]) {
      expect(written((text) => text.writeNumber(value))).toBe(String(value));
    }
    expect(written((text) => text.writeNumber(Number.NaN))).toBe("NaN");
    expect(written((text) => text.writeNumber(Number.POSITIVE_INFINITY))).toBe("+Inf");
    expect(written((text) => text.writeNumber(Number.NEGATIVE_INFINITY))).toBe("-Inf");
  });

  test("writes what is not ASCII as UTF-8, wherever it stands", () => {
    for (const said of ["", "µs", "plain then é", "日本語", "a😀b", "\ud800 alone"]) {
      expect(written((text) => text.write(said))).toBe(said.toWellFormed());
    }
  });

  test("escapes a label's value, and in a help text no quotes", () => {
    const odd = 'a"b\\c\nd';
    expect(written((text) => text.writeEscaped(odd))).toBe('a\\"b\\\\c\\nd');
    expect(written((text) => text.writeEscaped(odd, false))).toBe('a"b\\\\c\\nd');
  });

  test("grows with what is written, and begins anew", () => {
    const text = new ExpositionText();
    const line = "é".repeat(1_000);
    for (let at = 0; at < 200; at += 1) text.write(line);
    expect(new TextDecoder().decode(text.bytes)).toBe(line.repeat(200));
    text.clear();
    text.write("x");
    expect(text.bytes).toEqual(new Uint8Array([0x78]));
  });
});

test("a scrape in flight keeps its text while the next one is written", async () => {
  const metrics = new MetricRegistry();
  let value = 1;
  metrics.single("keel_x", "gauge", "X.", () => value);
  const first = new Response(metrics.expose());
  value = 2;
  expect(exposition(metrics)).toContain("keel_x 2\n");
  expect(await first.text()).toContain("keel_x 1\n");
});
