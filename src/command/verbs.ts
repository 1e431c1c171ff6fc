import type { Command } from "./command.ts";

export type VerbTable = Readonly<Record<string, () => Promise<Command>>>;

/**
 * Verb → its command, loaded when asked for. The paths are literals so that the compiled executable holds every one of them.
 */
export const VERBS: VerbTable = {
  bench: async () => (await import("./bench.ts")).bench,
  demo: async () => (await import("./demo.ts")).demo,
  doctor: async () => (await import("./doctor.ts")).doctor,
  explain: async () => (await import("./explain.ts")).explain,
  replay: async () => (await import("./replay.ts")).replay,
  record: async () => (await import("./record.ts")).record,
  run: async () => (await import("./run.ts")).run,
  venue: async () => (await import("./venue.ts")).venue,
  version: async () => (await import("./version.ts")).version,
};

/** Verbs that keel starts itself with; they are not listed. */
export const INTERNAL_VERBS: VerbTable = {
  "check-engine": async () => (await import("./check-engine.ts")).checkEngine,
  "probe-devices": async () => (await import("./probe-devices.ts")).probeDevicesCommand,
};
