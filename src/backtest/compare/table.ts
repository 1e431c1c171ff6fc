import type { StoredResult } from "../store.ts";
import { Ladder } from "./ladder.ts";
import type { BlockSums } from "./sums.ts";

/** A run of a comparison, added up. */
export interface SummedRun {
  /** Which strategy with which parameters. */
  readonly variant: number;
  readonly recording: number;
  readonly scale: number;
  readonly sums: BlockSums;
  /** Instruments that were traded, `venue:symbol`. */
  readonly symbols: ReadonlySet<string>;
  readonly summary: StoredResult["summary"];
}

/**
 * Ladders of all variants over the same blocks. Recordings that trade the same instruments at different times belong to one market,
 * whose volume is matched as one; blocks at the same time in different markets are one block, since markets move together.
 */
export interface LadderTable {
  /** Begin of each block, µs, ascending. */
  readonly blocksUs: readonly number[];
  /** The instruments of each market. */
  readonly markets: readonly string[];
  /** `[variant][market]`. */
  readonly ladders: readonly (readonly Ladder[])[];
}

export function ladderTable(
  runs: readonly SummedRun[],
  variants: number,
  scales: readonly number[],
  blockUs: number,
): LadderTable {
  const markets = marketsOf(runs);
  const keys = [...new Set(runs.flatMap(({ sums }) => [...sums.keys()]))].sort((a, b) => a - b);
  const indexOf = new Map(keys.map((key, index) => [key, index]));
  const ladders = Array.from({ length: variants }, () =>
    markets.names.map(() => new Ladder(scales, keys.length)),
  );
  for (const { variant, recording, scale, sums } of runs) {
    const ladder = ladders[variant]?.[markets.of.get(recording) ?? 0];
    const rung = scales.indexOf(scale);
    for (const [key, block] of sums) ladder?.add(rung, indexOf.get(key) ?? 0, block);
  }
  return { blocksUs: keys.map((key) => key * blockUs), markets: markets.names, ladders };
}

/** Joins recordings that trade an instrument in common. */
function marketsOf(runs: readonly SummedRun[]): { names: string[]; of: Map<number, number> } {
  const symbols = new Map<number, Set<string>>();
  for (const run of runs) {
    const known = symbols.get(run.recording) ?? new Set<string>();
    for (const symbol of run.symbols) known.add(symbol);
    symbols.set(run.recording, known);
  }
  const groups: { recordings: number[]; symbols: Set<string> }[] = [];
  for (const [recording, traded] of symbols) {
    const joined = groups.filter((group) => [...traded].some((symbol) => group.symbols.has(symbol)));
    const group = { recordings: [recording], symbols: new Set(traded) };
    for (const other of joined) {
      group.recordings.push(...other.recordings);
      for (const symbol of other.symbols) group.symbols.add(symbol);
      groups.splice(groups.indexOf(other), 1);
    }
    groups.push(group);
  }
  const named = groups.map(({ recordings, symbols: traded }) => {
    const all = [...traded].sort();
    const more = all.length > 3 ? ` and ${all.length - 3} more` : "";
    return { recordings, name: all.length === 0 ? "nothing traded" : all.slice(0, 3).join(", ") + more };
  });
  named.sort((a, b) => Math.min(...a.recordings) - Math.min(...b.recordings));
  return {
    names: named.map(({ name }) => name),
    of: new Map(
      named.flatMap(({ recordings }, market) => recordings.map((recording) => [recording, market] as const)),
    ),
  };
}
