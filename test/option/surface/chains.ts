import { existsSync, readdirSync, readFileSync } from "node:fs";
import {
  DEFAULT_SURFACE_PARAMETERS,
  type SurfaceParameters,
} from "../../../src/option/surface/parameters.ts";
import { VolatilitySurface } from "../../../src/option/surface/surface.ts";
import { sharedPath } from "../../support/shared-data.ts";

export const CHAINS = "data/chains";
const folder = sharedPath(CHAINS);

export const chainNames = existsSync(folder)
  ? readdirSync(folder).filter((name) => name.endsWith(".csv.gz"))
  : [];

/** One option of a recorded chain; prices in coin, NaN where the file has none. */
export interface ChainRow {
  readonly expiryMs: number;
  readonly strike: number;
  readonly call: boolean;
  readonly bid: number;
  readonly ask: number;
  readonly mark: number;
  readonly forward: number;
  readonly years: number;
  readonly markIv: number;
}

/** A recorded chain of one underlying. */
export interface Chain {
  readonly name: string;
  readonly timeUs: number;
  readonly rows: readonly ChainRow[];
}

/** The BTC and the ETH chain of a file. */
export function readChains(file: string): Chain[] {
  const text = new TextDecoder().decode(Bun.gunzipSync(readFileSync(sharedPath(CHAINS, file))));
  const [head, ...lines] = text.trimEnd().split("\n");
  const columns = head.split(",");
  const at = (name: string): number => columns.indexOf(name);
  const [currency, type, strike, expiry] = ["currency", "option_type", "strike", "expiry_datetime"].map(at);
  const [bid, ask, mark, forward] = ["bid_price", "ask_price", "mark_price", "underlying"].map(at);
  const [years, markIv, timestamp] = ["time_to_maturity", "implied_volatility", "timestamp"].map(at);
  const cells = lines.map((line) => line.split(","));
  const number = (text: string): number => (text === "" ? Number.NaN : Number(text));
  return ["BTC", "ETH"].map((name) => ({
    name,
    timeUs: Date.parse(cells[0][timestamp]) * 1_000,
    rows: cells
      .filter((row) => row[currency] === name)
      .map((row) => ({
        expiryMs: Date.parse(row[expiry]),
        strike: number(row[strike]),
        call: row[type] === "call",
        bid: number(row[bid]),
        ask: number(row[ask]),
        mark: number(row[mark]),
        forward: number(row[forward]),
        years: number(row[years]),
        markIv: number(row[markIv]),
      })),
  }));
}

/** A surface with the options of a chain, none of them priced yet, and each row's slot and row in it. */
export function emptySurface(
  chain: Chain,
  changes: Partial<SurfaceParameters> = {},
): { surface: VolatilitySurface; slots: Int32Array; rows: Int32Array } {
  const surface = new VolatilitySurface({
    expiries: 32,
    optionsPerExpiry: 512,
    parameters: { ...DEFAULT_SURFACE_PARAMETERS, ...changes },
  });
  const slots = new Int32Array(chain.rows.length);
  const rows = new Int32Array(chain.rows.length);
  chain.rows.forEach((row, i) => {
    slots[i] = surface.addExpiry(row.expiryMs);
    rows[i] = surface.addOption(slots[i], row.strike, row.call, true);
  });
  return { surface, slots, rows };
}

/** Median forward of each slot: the recorder took the rows one after the other while the market moved. */
export function chainForwards(chain: Chain, slots: Int32Array): Map<number, number> {
  const all = new Map<number, number[]>();
  chain.rows.forEach(({ forward }, i) => {
    if (forward > 0) all.set(slots[i], [...(all.get(slots[i]) ?? []), forward]);
  });
  return new Map(
    [...all].map(([slot, values]) => [
      slot,
      values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN,
    ]),
  );
}

/** {@link emptySurface}, priced, with forwards, but not yet fitted. */
export function pricedSurface(chain: Chain, changes: Partial<SurfaceParameters> = {}) {
  const { surface, slots, rows } = emptySurface(chain, changes);
  chain.rows.forEach(({ bid, ask }, i) => {
    surface.setQuote(slots[i], rows[i], bid, ask, chain.timeUs);
  });
  for (const [slot, forward] of chainForwards(chain, slots)) surface.setForward(slot, forward);
  return { surface, slots, rows };
}

/** {@link pricedSurface}, fitted. */
export function fittedSurface(chain: Chain, changes: Partial<SurfaceParameters> = {}) {
  const priced = pricedSurface(chain, changes);
  priced.surface.refit(chain.timeUs, chain.timeUs);
  return priced;
}
