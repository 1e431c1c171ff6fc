import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BadInputError } from "../core/errors.ts";
import { BinanceFrames } from "../sim/binance-frames.ts";
import { SimMarket } from "../sim/market/market.ts";

/** Real capture that a checkout may have beside it. */
const BESIDE = "../shared/data/binance/usdm-btcusdt-20240808.gz";
const SIMULATED_SECONDS = 60;
const SNAPSHOT_LEVELS = 1_000;
/** Any time will do; this one is fixed so that the same seed gives the same bytes. */
const START_US = 1_700_000_000e6;

/** What a benchmark runs on. */
export interface BenchInput {
  readonly path: string;
  /** For the report. */
  readonly name: string;
  remove(): void;
}

/**
 * The capture given, else the one beside the checkout, else frames of the simulated market.
 *
 * @throws BadInputError when the capture given does not exist.
 */
export function benchInput(given: string | undefined, seed: number): BenchInput {
  if (given !== undefined && !existsSync(given))
    throw new BadInputError("--capture", given, "a capture file");
  const path = given ?? (existsSync(BESIDE) ? BESIDE : null);
  if (path !== null) return { path, name: path, remove: () => {} };
  return simulated(seed);
}

function simulated(seed: number): BenchInput {
  const folder = mkdtempSync(join(tmpdir(), "keel-bench-"));
  const path = join(folder, "simulated.txt");
  writeFileSync(path, simulatedCapture(seed, SIMULATED_SECONDS));
  return {
    path,
    name: `simulated market, seed ${seed}, ${SIMULATED_SECONDS} s`,
    remove: () => rmSync(folder, { recursive: true }),
  };
}

/** A capture in Binance's layout, as a recorder of the simulated BTCUSDT would have written it. */
export function simulatedCapture(seed: number, seconds: number): string {
  const market = new SimMarket({ seed, startUs: START_US });
  const lines: string[] = [];
  const at = (): string => `${Math.round(market.timeUs)}000`;
  const wanted = new Set([
    "btcusdt@depth@0ms",
    "btcusdt@bookTicker",
    "btcusdt@trade",
    "btcusdt@markPrice@1s",
  ]);
  const frames = new BinanceFrames(
    market,
    {
      wanted: (channel) => wanted.has(channel),
      emit: (channel, data) => lines.push(`${at()} {"stream":"${channel}","data":${data}}`),
    },
    seed,
  );
  const endUs = START_US + seconds * 1e6;
  let snapshotDue = true;
  for (let timeUs = START_US; timeUs < endUs; timeUs += 1_000) {
    market.advance(timeUs);
    if (snapshotDue && lines.length > 20) {
      lines.push(`${at()} ${frames.snapshot(SNAPSHOT_LEVELS)}`);
      snapshotDue = false;
    }
  }
  return `${lines.join("\n")}\n`;
}
