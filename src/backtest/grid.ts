/**
 * Many backtests on all cores: every cell is a spec, and a cell whose result is in the folder already is not run again.
 *
 * @module
 */
import { availableParallelism } from "node:os";
import { KeelError } from "../core/errors.ts";
import { workerUrl } from "../core/executable.ts";
import { InputDigests, runDigest } from "./digest.ts";
import type { BacktestTiming } from "./result.ts";
import type { BacktestSpec } from "./spec.ts";
import { ResultStore, type StoredResult } from "./store.ts";

export interface GridOptions {
  readonly specs: readonly BacktestSpec[];
  /** Folder of the results. */
  readonly out: string;
  /** Threads; as many as there are cores when left out. */
  readonly workers?: number | undefined;
  readonly onProgress?: (progress: GridProgress) => void;
  /** Aborted: cells under way are given up, finished ones stay. */
  readonly signal?: AbortSignal;
}

export interface GridProgress {
  readonly cells: number;
  readonly finished: number;
  /** Of those, results that were there already. */
  readonly resumed: number;
  readonly failed: number;
  /** Of the whole grid, from 0 to 1. */
  readonly share: number;
}

/** What became of one cell. */
export interface CellOutcome {
  readonly spec: BacktestSpec;
  /** Empty when it failed before it had one. */
  readonly digest: string;
  /** Null when the cell failed or was given up. */
  readonly result: StoredResult | null;
  /** Null for a result that was there already. */
  readonly timing: BacktestTiming | null;
  readonly resumed: boolean;
  /** Why there is no result; null when there is one. */
  readonly error: string | null;
}

/** Asked of a worker, and what it answers. */
export interface CellRequest {
  readonly cell: number;
  readonly spec: BacktestSpec;
  readonly out: string;
}
export type CellReply =
  | { readonly say: "progress"; readonly cell: number; readonly share: number }
  | { readonly say: "done"; readonly cell: number; readonly timing: BacktestTiming }
  | { readonly say: "failed"; readonly cell: number; readonly message: string };

/** Runs every cell that has no result yet. Never throws for a cell: its outcome says what was wrong. */
export async function runGrid(options: GridOptions): Promise<readonly CellOutcome[]> {
  const grid = new Grid(options);
  return grid.run();
}

class Grid {
  readonly #options: GridOptions;
  readonly #store: ResultStore;
  readonly #outcomes: (CellOutcome | undefined)[];
  readonly #shares: Float64Array;
  readonly #digests: string[] = [];
  #waiting: number[] = [];

  constructor(options: GridOptions) {
    this.#options = options;
    this.#store = new ResultStore(options.out);
    this.#outcomes = options.specs.map(() => undefined);
    this.#shares = new Float64Array(options.specs.length);
  }

  async run(): Promise<readonly CellOutcome[]> {
    const { specs, signal } = this.#options;
    const inputs = new InputDigests();
    for (const [cell, spec] of specs.entries()) await this.#prepare(cell, spec, inputs);
    this.#tell();
    const threads = Math.min(this.#options.workers ?? availableParallelism(), this.#waiting.length);
    await Promise.all(Array.from({ length: threads }, () => this.#work()));
    return specs.map(
      (spec, cell) =>
        this.#outcomes[cell] ?? {
          spec,
          digest: this.#digests[cell] ?? "",
          result: null,
          timing: null,
          resumed: false,
          error: signal?.aborted === true ? "given up" : "not run",
        },
    );
  }

  /** A cell with a result, or the same as one before it, is not run. */
  async #prepare(cell: number, spec: BacktestSpec, inputs: InputDigests): Promise<void> {
    try {
      const digest = await runDigest(spec, inputs);
      const isSame = this.#digests.includes(digest);
      this.#digests[cell] = digest;
      if (this.#store.has(digest)) this.#finish(cell, null, true);
      else if (!isSame) this.#waiting.push(cell);
    } catch (error) {
      if (!(error instanceof KeelError)) throw error;
      this.#fail(cell, error.message);
    }
  }

  /** One thread: takes cells until there are none. A thread that dies loses its cell, not the grid. */
  async #work(): Promise<void> {
    const { specs, out, signal } = this.#options;
    const isOver = (): boolean => this.#waiting.length === 0 || signal?.aborted === true;
    while (!isOver()) {
      const worker = new Worker(workerUrl("backtest"));
      let isUsable = true;
      while (isUsable && !isOver()) {
        const cell = this.#waiting.shift();
        const spec = cell === undefined ? undefined : specs[cell];
        if (cell === undefined || spec === undefined) break;
        isUsable = await this.#runCell(worker, { cell, spec, out });
      }
      worker.terminate();
    }
  }

  /** @returns false when the worker cannot be used any more */
  #runCell(worker: Worker, request: CellRequest): Promise<boolean> {
    const { cell } = request;
    const { signal } = this.#options;
    return new Promise((resolve) => {
      const end = (usable: boolean): void => {
        signal?.removeEventListener("abort", giveUp);
        this.#tell();
        resolve(usable);
      };
      const giveUp = (): void => end(false);
      signal?.addEventListener("abort", giveUp);
      worker.onerror = (event) => {
        this.#fail(cell, `the thread failed: ${event.message}`);
        end(false);
      };
      worker.onmessage = ({ data }: MessageEvent<CellReply>) => {
        if (data.cell !== cell) return;
        if (data.say === "progress") {
          if (data.share >= 0) this.#shares[cell] = data.share;
          this.#tell();
          return;
        }
        if (data.say === "done") this.#finish(cell, data.timing, false);
        else this.#fail(cell, data.message);
        end(true);
      };
      worker.postMessage(request);
    });
  }

  /** A result is there; cells with the same name have it too. */
  #finish(cell: number, timing: BacktestTiming | null, resumed: boolean): void {
    const digest = this.#digests[cell] ?? "";
    const result = this.#store.summary(digest);
    for (const [other, spec] of this.#options.specs.entries()) {
      if (this.#digests[other] !== digest || this.#outcomes[other] !== undefined) continue;
      this.#shares[other] = 1;
      this.#outcomes[other] = {
        spec,
        digest,
        result,
        timing,
        resumed: resumed || other !== cell,
        error: null,
      };
    }
  }

  #fail(cell: number, error: string): void {
    const spec = this.#options.specs[cell];
    if (spec === undefined) return;
    this.#shares[cell] = 1;
    const digest = this.#digests[cell] ?? "";
    this.#outcomes[cell] = { spec, digest, result: null, timing: null, resumed: false, error };
  }

  #tell(): void {
    const known = this.#outcomes.filter((outcome) => outcome !== undefined);
    const cells = this.#outcomes.length;
    this.#options.onProgress?.({
      cells,
      finished: known.length,
      resumed: known.filter(({ resumed }) => resumed).length,
      failed: known.filter(({ error }) => error !== null).length,
      share: cells === 0 ? 1 : this.#shares.reduce((sum, share) => sum + share, 0) / cells,
    });
  }
}
