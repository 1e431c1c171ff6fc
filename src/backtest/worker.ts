/** A thread that runs one backtest after the other and writes their results. */
import { InputDigests } from "./digest.ts";
import type { CellReply, CellRequest } from "./grid.ts";
import { runBacktest } from "./run.ts";
import { ResultStore } from "./store.ts";

declare const self: Worker;

const PROGRESS_MS = 200;
const inputs = new InputDigests();
const clocks = new Map<string, readonly number[]>();

self.onmessage = async ({ data }: MessageEvent<CellRequest>) => {
  const { cell, spec, out } = data;
  let toldMs = 0;
  const reply = (message: CellReply): void => self.postMessage(message);
  try {
    const { result, timing } = await runBacktest(spec, {
      inputs,
      clocks,
      progress: (share) => {
        const nowMs = performance.now();
        if (nowMs - toldMs < PROGRESS_MS) return;
        toldMs = nowMs;
        reply({ say: "progress", cell, share });
      },
    });
    new ResultStore(out).save(result);
    reply({ say: "done", cell, timing });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    reply({ say: "failed", cell, message });
  }
};
