import { createReadStream, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../../package.json";
import { BadInputError } from "../core/errors.ts";
import { BUILD } from "../core/executable.ts";
import type { BacktestSpec } from "./spec.ts";

/** Raised whenever the matching or the records change what a run gives. */
const BACKTEST_VERSION = 1;

/** Version of what computes a backtest: keel's, with the commit it was built from where that is known. */
export function programVersion(): string {
  return `${packageJson.version}+${BACKTEST_VERSION}${BUILD?.commit ? `.${BUILD.commit.slice(0, 12)}` : ""}`;
}

/** Contents of files and folders by path, so that a grid reads each recording once for its name. */
export class InputDigests {
  readonly #known = new Map<string, Promise<string>>();

  /** SHA-256 over the contents of a file, or of a folder's files in the order of their names. @throws BadInputError */
  of(path: string): Promise<string> {
    let digest = this.#known.get(path);
    if (digest === undefined) {
      digest = digestFiles(path);
      this.#known.set(path, digest);
    }
    return digest;
  }
}

async function digestFiles(path: string): Promise<string> {
  const folder =
    statSync(path, { throwIfNoEntry: false }) === undefined ? path.replace(/@[^/@]+$/, "") : path;
  const stat = statSync(folder, { throwIfNoEntry: false });
  if (stat === undefined) throw new BadInputError(path, "no file", "a recording");
  const files = stat.isDirectory()
    ? readdirSync(folder)
        .sort()
        .map((name) => join(folder, name))
        .filter((file) => statSync(file).isFile())
    : [folder];
  const hash = new Bun.CryptoHasher("sha256");
  for (const file of files) {
    for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  }
  return hash.digest("hex");
}

/** The name of a run: SHA-256, hex, over its spec, the contents of its inputs and the version. Paths do not count, contents do. */
export async function runDigest(
  spec: BacktestSpec,
  inputs: InputDigests = new InputDigests(),
): Promise<string> {
  const contents = await Promise.all(spec.recordings.map((path) => inputs.of(path)));
  const rule = /^rule:(.+)$/.exec(spec.strategy)?.[1];
  const model = rule ?? /^model:(.*\/.*)$/.exec(spec.strategy)?.[1];
  const modelDigest = model === undefined ? null : await inputs.of(model);
  const { recordings, ...written } = spec;
  const rest = rule === undefined ? written : { ...written, strategy: "rule" };
  const runs = recordings.map((path) => /@([^/@]+)$/.exec(path)?.[1] ?? null);
  const named = sorted({ ...rest, contents, runs, modelDigest, version: programVersion() });
  return new Bun.CryptoHasher("sha256").update(JSON.stringify(named)).digest("hex");
}

/** With the keys of all objects in order, so that the order in which they were written does not count. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
