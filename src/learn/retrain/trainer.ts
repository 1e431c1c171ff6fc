import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import packageJson from "../../../package.json";
import { KeelError } from "../../core/errors.ts";
import { BUILD } from "../../core/executable.ts";
import { loadSplit } from "../dataset/load.ts";
import { readManifest } from "../dataset/manifest.ts";
import { writeLinearModel } from "../train/linear-export.ts";
import { trainLinear } from "../train/linear-trainer.ts";

/** What a trainer is given. */
export interface TrainingTask {
  /** Dataset with the splits train, validation and test; the last is not to be looked at. */
  readonly dataset: string;
  /** Where `model.onnx` and `card.json` go; not there yet. */
  readonly out: string;
  readonly scratch: string;
  readonly seed: number;
  readonly log: (line: string) => void;
  /** Tells a program to end. */
  readonly signal?: AbortSignal;
}

/** Makes a candidate of a dataset. @throws KeelError when it cannot */
export type Trainer = (task: TrainingTask) => Promise<void>;

/** Last words of a program that say nothing by name. */
const LINES_KEPT = 3;
const LINE_CHARACTERS_MAX = 4_096;
/** How Python, and most others, name what went wrong; torchrun puts the rank before it. */
const NAMED_ERROR = /^(?:\[\w+\]:\s*)?(?:[\w.]*(?:Error|Exception|Exit|Interrupt)|nothing written)\b.*/;
const TERM_MS = 10_000;
const SCRIPT = /\.(?:py|sh|ts|js|mjs)$/;

/** Logistic regression, in this process: what every host can train, and what every other candidate is held against. */
export const linearTrainer: Trainer = async ({ dataset, out, seed, log }) => {
  const manifest = readManifest(dataset);
  const parts = await loadSplit(dataset, "train");
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  log(`logistic regression on ${rows} rows of ${parts.length} instruments`);
  const model = trainLinear(parts, log);
  writeLinearModel(out, model, {
    name: "linear",
    version: `${packageJson.version}-${manifest.digest.slice(0, 12)}`,
    description:
      "Logistic regression of every head on all features, clipped, on rows and their mirror images.",
    training: {
      command: `keel retrain ${packageJson.version} ${BUILD?.commit ?? ""}`.trim(),
      seed,
      dataDigest: manifest.digest,
      captures: manifest.parts.map((part) => ({ name: part.source, sha256: part.file.sha256, use: "train" })),
      rows: { train: rows, validate: 0, test: 0 },
    },
  });
};

/**
 * A program that trains: `COMMAND --dataset DIR --out DIR --scratch DIR --seed N`, as `models/train/train.py` does, by itself or
 * under torchrun. No shell looks at it.
 *
 * @param command its words, e.g. `["/opt/keel/.venv/bin/python", "/opt/keel/models/train/train.py"]`
 */
export function commandTrainer(command: readonly string[]): Trainer {
  return async ({ dataset, out, scratch, seed, log, signal }) => {
    await runCommand(
      [...command, "--dataset", dataset, "--out", out, "--scratch", scratch, "--seed", String(seed)],
      log,
      signal,
    );
    expectModel(out, command);
  };
}

/**
 * Digest of a command's own files: of each word that names a script, and of what lies beside it in the same language, as `train.py`'s
 * modules do. Programs that were compiled count by name only.
 *
 * @returns empty where there are none
 */
export function programDigest(words: readonly string[]): string {
  const scripts = words.filter((word) => SCRIPT.test(word) && existsSync(word) && statSync(word).isFile());
  const files = new Set<string>();
  for (const script of scripts) {
    const folder = dirname(script);
    for (const name of readdirSync(folder))
      if (extname(name) === extname(script)) files.add(join(folder, name));
  }
  if (files.size === 0) return "";
  const hasher = new Bun.CryptoHasher("sha256");
  for (const file of [...files].sort()) {
    if (!statSync(file).isFile()) continue;
    const bytes = readFileSync(file);
    hasher.update(`${basename(file)} ${bytes.length}\n`).update(bytes);
  }
  return hasher.digest("hex");
}

/**
 * Runs a program to its end; what it says goes to the log. It is not given keel's own variables, which may hold secrets. When `signal` says
 * so it is asked to end, and killed where it does not.
 *
 * @throws KeelError when it is not there, is told to end, or does not end with 0; with what it named as its error, or its last words
 */
export async function runCommand(
  words: readonly string[],
  log: (line: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  const [program = ""] = words;
  const found = Bun.which(program);
  if (found === null) {
    throw new KeelError(
      "trainer-missing",
      `${program}: found no such program, expected a trainer (KEEL_TRAIN_COMMAND); models/train/README.md tells how its environment is made, and without one logistic regression is fitted`,
    );
  }
  signal?.throwIfAborted();
  log(words.join(" "));
  const child = Bun.spawn([found, ...words.slice(1)], {
    ...{ stdout: "pipe", stderr: "pipe", stdin: "ignore", env: foreignEnvironment() },
  });
  let killer: Timer | null = null;
  const end = (): void => {
    child.kill("SIGTERM");
    killer = setTimeout(() => child.kill("SIGKILL"), TERM_MS);
  };
  signal?.addEventListener("abort", end, { once: true });
  const last: string[] = [];
  let named: string | null = null;
  const heard = (line: string): void => {
    const kept = line.length > LINE_CHARACTERS_MAX ? `${line.slice(0, LINE_CHARACTERS_MAX)}…` : line;
    log(kept);
    if (NAMED_ERROR.test(kept)) named = kept;
    last.push(kept);
    if (last.length > LINES_KEPT) last.shift();
  };
  const follow = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> => {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const piece of stream) {
      const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
      rest = (lines.pop() ?? "").slice(0, LINE_CHARACTERS_MAX + 1);
      for (const line of lines) heard(line);
    }
    if (rest !== "") heard(rest);
  };
  try {
    await Promise.all([follow(child.stdout), follow(child.stderr)]);
    const code = await child.exited;
    if (signal?.aborted === true)
      throw new KeelError("trainer-stopped", `${program} was stopped by ${String(signal.reason)}`);
    if (code !== 0) {
      throw new KeelError("trainer-failed", `${program} ended with ${code}: ${named ?? last.join(" | ")}`);
    }
  } finally {
    signal?.removeEventListener("abort", end);
    if (killer !== null) clearTimeout(killer);
  }
}

function foreignEnvironment(): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !name.startsWith("KEEL_") && name !== "CREDENTIALS_DIRECTORY",
    ),
  );
}

export function expectModel(folder: string, command: readonly string[]): void {
  for (const name of ["card.json", "model.onnx"]) {
    if (existsSync(join(folder, name))) continue;
    throw new KeelError(
      "trainer-failed",
      `${command.join(" ")}: found no ${name} in ${folder}, expected a model`,
    );
  }
}
