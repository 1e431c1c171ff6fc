/** A file inside the executable. */
export interface EmbeddedFile {
  /** Path in the repository or its package. */
  readonly name: string;
  readonly bytes: number;
  /** Hex. */
  readonly sha256: string;
}

/** What is known of how this executable came to be. */
export interface BuildInfo {
  readonly version: string;
  /** Full commit hash, `+` after it when the tree had changes; null when it was not built from a git checkout. */
  readonly commit: string | null;
  /** Date of the commit, ISO 8601; null as `commit`. */
  readonly date: string | null;
  readonly bun: string;
  /** Largest first. Without the text of the program itself. */
  readonly embedded: readonly EmbeddedFile[];
  /** Why there is no native library inside; null when there is one. */
  readonly nativeMissing: string | null;
  /** Why there is no TensorRT shim inside; null when there is one. */
  readonly tensorrtMissing: string | null;
}

/** Set by `build.ts`; not there when running from source. */
declare const KEEL_BUILD: BuildInfo | undefined;

/** Undefined when running from source. */
export const BUILD: BuildInfo | undefined = typeof KEEL_BUILD === "undefined" ? undefined : KEEL_BUILD;

/** Where the modules of a compiled executable lie. */
const EMBEDDED_ROOT = "file:///$bunfs/root/";

/**
 * URL of a worker's entry point, from source and inside the executable. `build.ts` makes an entry point of every
 * `worker.ts` below `src`.
 *
 * @param room folder of the worker below `src`, e.g. `journal` for `src/journal/worker.ts`.
 */
export function workerUrl(room: string): string {
  return BUILD === undefined
    ? new URL(`../${room}/worker.ts`, import.meta.url).href
    : new URL(`${room}/worker.js`, EMBEDDED_ROOT).href;
}
