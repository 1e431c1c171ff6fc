import type { Command } from "./command.ts";

/**
 * Verb → its command, loaded when asked for. The paths are literals so that the compiled executable holds every one of them.
 */
export const VERBS: Readonly<Record<string, () => Promise<Command>>> = {
  version: async () => (await import("./version.ts")).version,
};
