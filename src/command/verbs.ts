import type { Command } from "./command.ts";

export type VerbTable = Readonly<Record<string, () => Promise<Command>>>;

/**
 * Verb → its command, loaded when asked for. The paths are literals so that the compiled executable holds every one of them.
 */
export const VERBS: VerbTable = {
  run: async () => (await import("./run.ts")).run,
  top: async () => (await import("./top.ts")).top,
  demo: async () => (await import("./demo.ts")).demo,
  venue: async () => (await import("./venue.ts")).venue,
  record: async () => (await import("./record.ts")).record,
  capture: async () => (await import("./capture.ts")).capture,
  backtest: async () => (await import("./backtest.ts")).backtest,
  replay: async () => (await import("./replay.ts")).replay,
  report: async () => (await import("./report.ts")).report,
  explain: async () => (await import("./explain.ts")).explain,
  dataset: async () => (await import("./dataset.ts")).dataset,
  retrain: async () => (await import("./retrain.ts")).retrain,
  bench: async () => (await import("./bench.ts")).bench,
  model: async () => (await import("./model.ts")).model,
  audit: async () => (await import("./audit.ts")).audit,
  rfq: async () => (await import("./rfq.ts")).rfq,
  fix: async () => (await import("./fix.ts")).fix,
  failover: async () => (await import("./failover.ts")).failover,
  print: async () => (await import("./print.ts")).print,
  doctor: async () => (await import("./doctor.ts")).doctor,
  licenses: async () => (await import("./licenses.ts")).licenses,
  version: async () => (await import("./version.ts")).version,
};

/** Verbs that keel starts itself with; they are not listed. */
export const INTERNAL_VERBS: VerbTable = {
  "check-engine": async () => (await import("./check-engine.ts")).checkEngine,
  "flood-frames": async () => (await import("./flood-frames.ts")).floodFrames,
  "probe-devices": async () => (await import("./probe-devices.ts")).probeDevicesCommand,
};
