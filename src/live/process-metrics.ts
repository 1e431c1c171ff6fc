import { heapSize } from "bun:jsc";
import { readdirSync, readFileSync } from "node:fs";
import type { MetricRegistry } from "../monitor/metrics.ts";

/** Descriptors that this process has open as a share of what it may have; 1 when there is none left to look with. */
function openFilesShare(): number {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return readdirSync("/proc/self/fd").length / (limit === undefined ? Number.NaN : Number(limit));
  } catch (error) {
    const isNoneLeft = error instanceof Error && "code" in error && error.code === "EMFILE";
    return isNoneLeft ? 1 : Number.NaN;
  }
}

/** Registers the heap, and what the host gives the process and how much of it is used. Names are listed in `docs/metrics.md`. */
export function registerResources(metrics: MetricRegistry): void {
  metrics.single("keel_process_heap_bytes", "gauge", "Size of the JavaScript heap.", heapSize);
  metrics.single(
    "keel_process_open_files_ratio",
    "gauge",
    "Open descriptors as a share of the process's limit.",
    openFilesShare,
  );
}
