import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

/** The optional data folder beside the checkout; see the README. Nothing in it is part of the project. */
const sharedRoot = resolve(import.meta.dir, "../../../shared");

const told = new Set<string>();

/** Absolute path of something in the shared folder, e.g. `sharedPath("data/binance/usdm-btcusdt-20240808.gz")`. It may be absent. */
export function sharedPath(...parts: string[]): string {
  return join(sharedRoot, ...parts);
}

/**
 * Answers whether a test has to be skipped, and prints the reason (once a process) when it has:
 * `test.skipIf(skipUnless(hasCompiler, "no C compiler"))("…", …)`.
 */
export function skipUnless(condition: boolean, reason: string): boolean {
  if (condition) return false;
  if (!told.has(reason)) {
    told.add(reason);
    console.warn(`skipped: ${reason}`);
  }
  return true;
}

/** {@link skipUnless} for files of the shared folder: true, with the absent ones named, unless all of them are there. */
export function skipUnlessShared(...relativePaths: string[]): boolean {
  const absent = relativePaths.filter((path) => !existsSync(sharedPath(path)));
  return skipUnless(absent.length === 0, `../shared has no ${absent.join(", ")}`);
}
