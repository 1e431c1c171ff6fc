import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BadInputError } from "../core/errors.ts";
import type { BacktestResult, FillRecord, IntervalRecord } from "./result.ts";

/** A result as its first file holds it: all but fills and intervals, which are files of JSON lines beside it. */
export type StoredResult = Omit<BacktestResult, "fills" | "intervals">;

/**
 * Results in a folder: `DIGEST.json`, `DIGEST.fills.jsonl`, `DIGEST.intervals.jsonl`. The first is written last, so a run is either
 * there as a whole or not at all.
 */
export class ResultStore {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  has(digest: string): boolean {
    return existsSync(this.#path(digest, ".json"));
  }

  save({ fills, intervals, ...result }: BacktestResult): void {
    mkdirSync(this.folder, { recursive: true });
    const { digest } = result;
    this.#write(digest, ".fills.jsonl", lines(fills));
    this.#write(digest, ".intervals.jsonl", lines(intervals));
    this.#write(digest, ".json", `${JSON.stringify(result)}\n`);
  }

  /** @throws BadInputError when there is no such result or it cannot be read */
  summary(digest: string): StoredResult {
    return this.#parsed(this.#path(digest, ".json")) as StoredResult;
  }

  /** @throws BadInputError when there is no such result or it cannot be read */
  load(digest: string): BacktestResult {
    return {
      ...this.summary(digest),
      fills: this.#lines<FillRecord>(digest, ".fills.jsonl"),
      intervals: this.#lines<IntervalRecord>(digest, ".intervals.jsonl"),
    };
  }

  #path(digest: string, suffix: string): string {
    return join(this.folder, `${digest}${suffix}`);
  }

  #write(digest: string, suffix: string, text: string): void {
    const path = this.#path(digest, suffix);
    writeFileSync(`${path}.tmp`, text);
    renameSync(`${path}.tmp`, path);
  }

  #lines<T>(digest: string, suffix: string): T[] {
    const path = this.#path(digest, suffix);
    return this.#text(path)
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as T);
  }

  #parsed(path: string): unknown {
    try {
      return JSON.parse(this.#text(path));
    } catch (error) {
      if (error instanceof BadInputError) throw error;
      throw new BadInputError(path, "no JSON", "a result of keel backtest");
    }
  }

  #text(path: string): string {
    try {
      return readFileSync(path, "utf8");
    } catch {
      throw new BadInputError(path, "no readable file", "a result of keel backtest");
    }
  }
}

function lines(records: readonly object[]): string {
  return records.map((record) => `${JSON.stringify(record)}\n`).join("");
}
