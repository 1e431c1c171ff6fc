import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { gunzipSync } from "node:zlib";

/** How `keel record` begins each gzip member (RFC 1952, section 2.3.1): deflate, no flags, no time. Others' members seldom do. */
const MEMBER_START = Buffer.from("1f8b080000000000", "hex");
/** A member is a chunk of about a megabyte of text, or a single line that is longer. */
const MEMBER_BYTES_MAX = 64 * 1024 * 1024;
const READ_BYTES = 1024 * 1024;

/** Told of bytes from `from` to `to` that are no whole member. */
export type MemberDamage = (from: number, to: number, reason: string) => void;

/**
 * Whether a file holds several gzip members that stand alone, as `keel record` writes them: such a file can be read around a damaged one.
 * They are looked for in the first 64 MiB.
 */
export function standAlone(path: string): boolean {
  const file = openSync(path, "r");
  try {
    const bytes = Math.min(fstatSync(file).size, MEMBER_BYTES_MAX);
    const first = nextMember(file, 0, bytes);
    return first >= 0 && nextMember(file, first + 1, bytes) > first;
  } finally {
    closeSync(file);
  }
}

/** Texts of a file's gzip members, those left out whose CRC-32 or length is wrong. */
export function* memberTexts(path: string, onDamaged: MemberDamage): Generator<Buffer> {
  const file = openSync(path, "r");
  try {
    const bytes = fstatSync(file).size;
    let start = nextMember(file, 0, bytes);
    if (start !== 0) onDamaged(0, start < 0 ? bytes : start, "no gzip member");
    while (start >= 0 && start < bytes) {
      const next = nextMember(file, start + 1, bytes);
      const end = next < 0 ? bytes : next;
      const text = end - start > MEMBER_BYTES_MAX ? "too long" : inflated(readAt(file, start, end - start));
      if (typeof text === "string") onDamaged(start, end, text);
      else yield text;
      start = next;
    }
  } finally {
    closeSync(file);
  }
}

/** @returns the text, or what is wrong with the member */
function inflated(member: Buffer): Buffer | string {
  try {
    return gunzipSync(member);
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}

function nextMember(file: number, from: number, to: number): number {
  for (let at = from; at < to; at += READ_BYTES) {
    const found = readAt(file, at, READ_BYTES + MEMBER_START.length - 1).indexOf(MEMBER_START);
    if (found >= 0) return at + found;
  }
  return -1;
}

function readAt(file: number, offset: number, bytes: number): Buffer {
  const buffer = Buffer.allocUnsafe(bytes);
  let used = 0;
  while (used < bytes) {
    const read = readSync(file, buffer, used, bytes - used, offset + used);
    if (read === 0) break;
    used += read;
  }
  return buffer.subarray(0, used);
}
