import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { black76, OptionValue } from "../../src/option/black76.ts";
import { sharedPath, skipUnlessShared } from "../support/shared-data.ts";

const folder = sharedPath("data/chains");
const chains = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".csv.gz")) : [];

function rows(name: string): Map<string, string>[] {
  const text = new TextDecoder().decode(Bun.gunzipSync(readFileSync(sharedPath("data/chains", name))));
  const [head, ...lines] = text.trimEnd().split("\n");
  const columns = head.split(",");
  return lines.map((line) => new Map(line.split(",").map((cell, at) => [columns[at], cell])));
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

test.skipIf(skipUnlessShared("data/chains"))(
  "the venue's marks are repriced from its own volatilities",
  () => {
    expect(chains.length).toBe(21);
    const value = new OptionValue();
    const allErrors: number[] = [];
    for (const chain of chains) {
      const errors: number[] = [];
      const deltaErrors: number[] = [];
      for (const row of rows(chain)) {
        const number = (column: string): number => Number(row.get(column) || Number.NaN);
        const forward = number("underlying");
        const volatility = number("implied_volatility");
        const mark = number("mark_price");
        if (!(forward > 0 && volatility > 0 && mark >= 0)) continue;
        const call = row.get("option_type") === "call";
        black76(value, call, forward, number("strike"), number("time_to_maturity"), volatility);
        errors.push(Math.abs(value.price / forward - mark));
        deltaErrors.push(Math.abs(value.delta - number("delta")));
      }
      expect(errors.length).toBeGreaterThan(500);
      expect(median(errors)).toBeLessThan(4e-5);
      expect(median(deltaErrors)).toBeLessThan(1e-3);
      allErrors.push(...errors);
    }
    expect(median(allErrors)).toBeLessThan(2e-5);
  },
);
