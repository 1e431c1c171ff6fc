import type { MetricRegistry } from "../monitor/metrics.ts";

/** Which of the state folder's files are behind what this process holds, because they could not be written. */
export class StateWrites {
  /** Times that something could not be written. */
  failures = 0;
  readonly #behind = new Set<string>();
  readonly #watched: (() => boolean)[] = [];

  /** @param file what it holds */
  failed(file: string): void {
    this.failures += 1;
    this.#behind.add(file);
  }

  written(file: string): void {
    this.#behind.delete(file);
  }

  /** Follows somebody who writes for himself. @param isBehind what he holds could not be written */
  watch(isBehind: () => boolean): void {
    this.#watched.push(isBehind);
  }

  get behind(): number {
    return this.#behind.size + this.#watched.filter((isBehind) => isBehind()).length;
  }

  /** Registers what is known of it. Names are listed in `docs/metrics.md`. */
  register(metrics: MetricRegistry): void {
    metrics.single(
      "keel_state_behind",
      "gauge",
      "Files of the state folder that are behind what the process holds.",
      () => this.behind,
    );
    metrics.single(
      "keel_state_write_failures_total",
      "counter",
      "Times that a file of the state folder could not be written.",
      () => this.failures,
    );
  }
}
