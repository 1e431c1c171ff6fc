import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { KeelError } from "../../core/errors.ts";
import { sha256 } from "../dataset/manifest.ts";

const DONE = "done.json";
const LOCK = ".lock";
/** Characters of the digest of a step's inputs that its folder is called by. */
const DIGEST_CHARACTERS = 8;

const done = z.object({ inputs: z.string(), result: z.unknown() });

/** Where a step keeps what it makes, and its log. */
export interface Step {
  readonly folder: string;
  /** A line of the step's own `log.txt`. */
  log(line: string): void;
}

/** A step of a run failed; what was done before it is kept. */
export class StepFailedError extends KeelError {
  readonly step: string;
  /** Folder of the run. */
  readonly run: string;

  constructor(run: string, step: string, log: string, cause: unknown) {
    super("retrain-failed", `${step}: ${cause instanceof Error ? cause.message : String(cause)}; see ${log}`);
    this.step = step;
    this.run = run;
    this.cause = cause;
  }
}

/**
 * The folder of one run of a job: a folder a step and what decides it, with its artefacts, `log.txt` and, once it is whole, `done.json`.
 * A step that is done and whose inputs are the same is not done again; one that was cut off begins anew. What was done on other inputs
 * is kept beside it.
 */
export class RunFolder {
  readonly path: string;
  readonly #signal: AbortSignal | undefined;
  /** Steps that an earlier run had done. */
  resumed = 0;
  #steps = 0;
  readonly #logs = new Map<string, string>();

  /**
   * @param signal no step begins once it says to end
   * @throws KeelError when another process works on the same run
   */
  constructor(path: string, signal?: AbortSignal) {
    this.path = path;
    this.#signal = signal;
    mkdirSync(path, { recursive: true });
    const lock = join(path, LOCK);
    const holder = existsSync(lock) ? Number(readFileSync(lock, "utf8")) : Number.NaN;
    if (holder > 0 && holder !== process.pid && isAlive(holder)) {
      throw new KeelError("retrain-busy", `${path}: process ${holder} works on this run`);
    }
    rmSync(lock, { force: true });
    const file = openSync(lock, "wx");
    writeFileSync(file, String(process.pid));
    closeSync(file);
  }

  /** Path of the log of a step that this run did or took as done. */
  logOf(name: string): string {
    return this.#logs.get(name) ?? join(this.path, "no such step");
  }

  release(): void {
    rmSync(join(this.path, LOCK), { force: true });
  }

  /**
   * Does a step, or takes what it gave when it was done on the same inputs.
   *
   * @param inputs all that decides what comes of it, as text
   * @param shape of its result, which must be JSON
   * @param stands whether what was done is still there, where it is not in this folder
   * @throws StepFailedError with the reason, which stands in its log too
   */
  async step<T>(
    name: string,
    inputs: string,
    shape: z.ZodType<T>,
    work: (step: Step) => Promise<T> | T,
    stands: (result: T) => boolean = () => true,
  ): Promise<T> {
    this.#steps += 1;
    const digest = sha256(inputs).slice(0, DIGEST_CHARACTERS);
    const folder = join(this.path, `${String(this.#steps).padStart(2, "0")}-${name}-${digest}`);
    const log = join(folder, "log.txt");
    this.#logs.set(name, log);
    const before = this.#before(join(folder, DONE), inputs, shape);
    if (before !== null && stands(before.result)) {
      this.resumed += 1;
      return before.result;
    }
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    if (this.#signal?.aborted === true) {
      const why = new KeelError("retrain-stopped", `stopped by ${String(this.#signal.reason)} before it`);
      throw new StepFailedError(this.path, name, log, why);
    }
    const line = (text: string): void => appendFileSync(log, `${new Date().toISOString()} ${text}\n`);
    try {
      const result = await work({ folder, log: line });
      writeFileSync(join(folder, `${DONE}.new`), `${JSON.stringify({ inputs, result }, null, 1)}\n`);
      renameSync(join(folder, `${DONE}.new`), join(folder, DONE));
      return result;
    } catch (error) {
      line(`failed: ${error instanceof Error ? error.message : String(error)}`);
      throw new StepFailedError(this.path, name, log, error);
    }
  }

  #before<T>(path: string, inputs: string, shape: z.ZodType<T>): { readonly result: T } | null {
    if (!existsSync(path)) return null;
    try {
      const kept = done.parse(JSON.parse(readFileSync(path, "utf8")));
      if (kept.inputs !== inputs) return null;
      return { result: shape.parse(kept.result) };
    } catch {
      return null;
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
