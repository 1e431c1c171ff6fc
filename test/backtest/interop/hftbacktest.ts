/**
 * hftbacktest beside keel's matching: the same recording, strategy, latencies and queue model in both.
 *
 *     bun run interop:backtest     installs it
 *
 * @module
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "../../..");

/** Where `bun run interop:backtest` puts hftbacktest. */
export const HFTBACKTEST_VENV = join(ROOT, "node_modules/.cache/keel/hftbacktest");

const PINNED = "hftbacktest==2.4.4";

export function installHftBacktest(): void {
  const run = (...command: string[]): void => {
    const { exitCode, stderr } = Bun.spawnSync(command, { stdout: "inherit" });
    if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr.toString()}`);
  };
  run("python3", "-m", "venv", HFTBACKTEST_VENV);
  run(join(HFTBACKTEST_VENV, "bin/pip"), "install", "--quiet", PINNED);
}

/** Why hftbacktest cannot be compared with here; null when it can. */
export function whyNoHftBacktest(): string | null {
  const python = join(HFTBACKTEST_VENV, "bin/python");
  return existsSync(python) ? null : "hftbacktest is not installed (bun run interop:backtest)";
}

export interface PeerParameters {
  readonly originNs: number;
  readonly orderNs: number;
  readonly responseNs: number;
  readonly tick: number;
  readonly lot: number;
  readonly queue: "conservative" | "power" | "log";
  readonly exponent: number;
  readonly offsetTicks: number;
  readonly size: number;
  readonly everyNs: number;
  readonly rounds: number;
  /** The exchange that fills orders in parts, in place of the one that fills them whole. */
  readonly partial: boolean;
}

export interface PeerResult {
  /** Of the fastest round, without loading and compiling. */
  readonly ns: number;
  readonly rows: number;
  readonly position: number;
  readonly balance: number;
  readonly trades: number;
  readonly volume: number;
  /** Orders that traded: side (1 = buy, −1 = sell), price in ticks, size, last exchange time and time of sending in ns. */
  readonly fills: readonly (readonly [number, number, number, number, number])[];
}

/** @param rows `[ev, exchange ns, local ns, price, size]` each, times since the origin */
export function runPeer(rows: Float64Array, parameters: readonly PeerParameters[]): readonly PeerResult[] {
  const folder = mkdtempSync(join(tmpdir(), "keel-hftbacktest-"));
  try {
    const file = join(folder, "rows.f64");
    writeFileSync(file, rows);
    const { exitCode, stdout, stderr } = Bun.spawnSync([
      join(HFTBACKTEST_VENV, "bin/python"),
      join(import.meta.dir, "hftbacktest-peer.py"),
      ...[file, JSON.stringify(parameters)],
    ]);
    if (exitCode !== 0) throw new Error(`hftbacktest: ${stderr.toString().slice(-2_000)}`);
    return JSON.parse(stdout.toString().trim().split("\n").at(-1) ?? "") as PeerResult[];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (import.meta.main) installHftBacktest();
