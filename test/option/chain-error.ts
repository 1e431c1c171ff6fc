/**
 * Prints the table of docs/gpu.md: the largest error of the chain on the software adapter against double precision, by distance
 * from the money and by maturity.
 *
 * @example bun test/option/chain-error.ts
 */
import { Rng } from "../../src/core/rng.ts";
import { Gpu } from "../../src/gpu/device.ts";
import { black76, OptionValue } from "../../src/option/black76.ts";
import { CHAIN_VALUES, CpuChain, IMPRECISE, PREMIUMS } from "../../src/option/chain.ts";
import { GpuChain } from "../../src/option/chain-gpu.ts";
import { VALUE_STATUS } from "../../src/option/greeks.ts";
import { IV_STATUS } from "../../src/option/implied-volatility.ts";

const DISTANCES = [0, 1, 2, 3, 4, 6, 8, 10, 12, 14];
const MATURITIES = {
  "1 hour": 1 / 24,
  "1 day": 1,
  "1 week": 7,
  "1 month": 30,
  "1 year": 365.25,
  "3 years": 1_096,
};
const DRAWS = 64;
const ROWS = DRAWS * 2;

const gpu = await Gpu.open({ adapter: process.env.KEEL_GPU ?? "software", vulkanDir: null });
const chain = await GpuChain.create(gpu, ROWS);
const cpu = new CpuChain(ROWS);
const value = new OptionValue();
const rng = new Rng(51);

interface Errors {
  price: number;
  delta: number;
  greeks: number;
  volatility: number;
  told: number;
  rows: number;
}

/** The largest errors of options about `distance` standard deviations from the money. */
async function errorsOf(distance: number, days: number): Promise<Errors> {
  for (let row = 0; row < ROWS; row += 1) {
    const years = days / 365.25;
    const volatility = 0.15 + 1.5 * rng.next();
    const forward = 65_000 * (1 + rng.next());
    const off = (row % 2 === 0 ? 1 : -1) * (distance + rng.next() - 0.5);
    const strike = forward * Math.exp(off * volatility * Math.sqrt(years));
    // The side out of the money: the other's price is this one's with the exact intrinsic value on top.
    const call = strike > forward;
    black76(value, call, forward, strike, years, volatility);
    for (const { types, forwards, strikes, years: times, volatilities, premiums } of [
      chain.input,
      cpu.input,
    ]) {
      types[row] = call ? 1 : 0;
      forwards[row] = forward;
      strikes[row] = strike;
      times[row] = years;
      volatilities[row] = volatility;
      for (const premium of PREMIUMS) premiums[premium][row] = value.price;
    }
  }
  await chain.run(ROWS);
  cpu.run(ROWS);
  const errors: Errors = { price: 0, delta: 0, greeks: 0, volatility: 0, told: 0, rows: ROWS };
  for (let row = 0; row < ROWS; row += 1) {
    if (chain.output.volatilityStatus.mark[row] === IV_STATUS.ok) {
      const ratio = chain.output.volatilities.mark[row] / cpu.output.volatilities.mark[row];
      errors.volatility = Math.max(errors.volatility, Math.abs(ratio - 1));
    }
    if (chain.output.valueStatus[row] === IMPRECISE) errors.told += 1;
    if (chain.output.valueStatus[row] !== VALUE_STATUS.ok) continue;
    const { forwards, strikes, years, volatilities } = cpu.input;
    const deviation = volatilities[row] * Math.sqrt(years[row]);
    const d1 = Math.log(forwards[row] / strikes[row]) / deviation + deviation / 2;
    const reach = {
      vanna: Math.max(1, 1 / Math.abs(d1 - deviation)),
      volga: Math.max(1, 1 / Math.abs(d1 * (d1 - deviation))),
    };
    for (const name of CHAIN_VALUES) {
      const [found, expected] = [chain.output.values[name][row], cpu.output.values[name][row]];
      const scale = Math.abs(expected) * (name === "vanna" || name === "volga" ? reach[name] : 1);
      if (name === "delta") errors.delta = Math.max(errors.delta, Math.abs(found - expected));
      else if (name === "price") errors.price = Math.max(errors.price, Math.abs(found - expected) / scale);
      else errors.greeks = Math.max(errors.greeks, Math.abs(found - expected) / scale);
    }
  }
  return errors;
}

function show(label: string, all: readonly Errors[]): string {
  const most = (of: (errors: Errors) => number): string =>
    Math.max(...all.map(of))
      .toExponential(0)
      .replace("e-", "e−");
  const share = all.reduce((sum, { told }) => sum + told, 0) / all.reduce((sum, { rows }) => sum + rows, 0);
  const cells = [
    most((e) => e.price),
    most((e) => e.delta),
    most((e) => e.greeks),
    most((e) => e.volatility),
  ];
  return `| ${label} | ${cells.join(" | ")} | ${Math.round(share * 100)} % |`;
}

const table = new Map<string, Errors[]>();
for (const distance of DISTANCES) {
  for (const [maturity, days] of Object.entries(MATURITIES)) {
    const errors = await errorsOf(distance, days);
    for (const label of distance <= 6 ? [`${distance} σ√T`, maturity] : [`${distance} σ√T`]) {
      table.set(label, [...(table.get(label) ?? []), errors]);
    }
  }
}
console.log(`${gpu.adapter}, ${gpu.driver}`);
console.log(
  "| Where | Price | Delta | Other Greeks | Volatility | Said imprecise |\n| --- | --- | --- | --- | --- | --- |",
);
const labels = [...DISTANCES.map((distance) => `${distance} σ√T`), ...Object.keys(MATURITIES)];
for (const label of labels) console.log(show(label, table.get(label) ?? []));
chain.close();
gpu.close();
