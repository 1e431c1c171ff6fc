import { writeSync } from "node:fs";

/**
 * Writes all of a text: a disk that is nearly full takes a part of it and says so by a smaller number, not by an error.
 *
 * @throws Error of the file system; a part of the text may have been written then
 */
export function writeWhole(file: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written);
}
