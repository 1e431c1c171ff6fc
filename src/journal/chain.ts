import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import {
  DIGEST_BYTES,
  decodeHeader,
  HEADER_BYTES,
  parseSegmentName,
  RUN_ID_BYTES_MAX,
  type SegmentHeader,
} from "./format.ts";

/** A segment as it lies in a folder. */
export interface SegmentFile {
  readonly runId: string;
  readonly segment: number;
  readonly path: string;
  readonly bytes: number;
  readonly modifiedMs: number;
}

/** Segments of all runs, oldest first: by run id, then by number. */
export function segmentFiles(directory: string): SegmentFile[] {
  return readdirSync(directory)
    .flatMap((name) => {
      const parsed = parseSegmentName(name);
      const path = join(directory, name);
      const stats = parsed === null ? undefined : statSync(path, { throwIfNoEntry: false });
      if (parsed === null || stats === undefined) return [];
      return [{ ...parsed, path, bytes: stats.size, modifiedMs: stats.mtimeMs }];
    })
    .sort((a, b) => (a.runId === b.runId ? a.segment - b.segment : a.runId < b.runId ? -1 : 1));
}

/** SHA-256 of a file as it is now. */
export function fileDigest(path: string): Uint8Array {
  return new Bun.CryptoHasher("sha256").update(readFileSync(path)).digest();
}

/**
 * What the first segment of a new run names as the one before it: the digest of the last segment in the folder, so that whole runs
 * cannot be taken away unseen either. Zeros where there is none.
 */
export function chainHead(directory: string): Uint8Array {
  const last = segmentFiles(directory).at(-1);
  return last === undefined ? new Uint8Array(DIGEST_BYTES) : fileDigest(last.path);
}

/** The header of a segment's file, or in words what is wrong with it. */
export function readHeader(path: string): SegmentHeader | string {
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(HEADER_BYTES + RUN_ID_BYTES_MAX);
    return decodeHeader(bytes.subarray(0, readSync(file, bytes)));
  } finally {
    closeSync(file);
  }
}
