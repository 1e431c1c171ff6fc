import type { GridProgress } from "../../backtest/grid.ts";

const BAR = 30;
/** Where nobody sees a bar move, a line at most this often. */
const PLAIN_MS = 10_000;

/** How far a grid has come, on stderr: a bar that stays on its line, or plain lines where stderr is no terminal. */
export class ProgressBar {
  readonly #stream: { readonly isTTY?: boolean; write(text: string): unknown };
  readonly #nowMs: () => number;
  readonly #startMs: number;
  #toldMs = Number.NEGATIVE_INFINITY;
  #finished = -1;
  #open = false;

  constructor(
    stream: { readonly isTTY?: boolean; write(text: string): unknown } = process.stderr,
    nowMs: () => number = () => performance.now(),
  ) {
    this.#stream = stream;
    this.#nowMs = nowMs;
    this.#startMs = nowMs();
  }

  show(progress: GridProgress): void {
    const nowMs = this.#nowMs();
    if (this.#stream.isTTY === true) {
      this.#stream.write(`\r\u001b[K${this.#bar(progress)} ${this.#words(progress, nowMs)}`);
      this.#open = true;
      return;
    }
    if (progress.finished === this.#finished && nowMs - this.#toldMs < PLAIN_MS) return;
    this.#finished = progress.finished;
    this.#toldMs = nowMs;
    this.#stream.write(`${this.#words(progress, nowMs)}\n`);
  }

  close(): void {
    if (this.#open) this.#stream.write("\n");
    this.#open = false;
  }

  #bar({ share }: GridProgress): string {
    const full = Math.round(share * BAR);
    return `[${"#".repeat(full)}${".".repeat(BAR - full)}]`;
  }

  #words({ cells, finished, resumed, failed, share }: GridProgress, nowMs: number): string {
    const seconds = (nowMs - this.#startMs) / 1_000;
    const left = share > 0.02 && share < 1 ? `, ${Math.ceil((seconds * (1 - share)) / share)} s left` : "";
    const there = resumed > 0 ? `, ${resumed} were there` : "";
    const wrong = failed > 0 ? `, ${failed} failed` : "";
    return `${finished} of ${cells} runs, ${Math.floor(share * 100)} %${there}${wrong}${left}`;
  }
}
