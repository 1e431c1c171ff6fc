import { BadInputError } from "../../core/errors.ts";
import { invariant } from "../../core/invariant.ts";
import type { Columns, RowOf } from "./table.ts";

const ROW_BYTES_MAX = 8_192;
const TEXT_BYTES_MAX = 512;
const scratch = new Uint8Array(ROW_BYTES_MAX);
const scratchView = new DataView(scratch.buffer);
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * A row in binary: its columns in their order, little-endian; text as u16 bytes and UTF-8, cut at {@link TEXT_BYTES_MAX}.
 *
 * @returns a view that holds until the next call
 */
export function encodeRow<C extends Columns>(columns: C, row: RowOf<C>): Uint8Array {
  const values = row as Readonly<Record<string, number | string>>;
  let at = 0;
  for (const name in columns) {
    const value = values[name];
    if (columns[name] === "text") {
      const { written } = encoder.encodeInto(
        String(value),
        scratch.subarray(at + 2, at + 2 + TEXT_BYTES_MAX),
      );
      scratchView.setUint16(at, written, true);
      at += 2 + written;
      continue;
    }
    const number = Number(value);
    if (columns[name] === "f64") scratchView.setFloat64(at, number, true);
    else if (columns[name] === "f32") scratchView.setFloat32(at, number, true);
    else scratchView.setInt32(at, number, true);
    at += columns[name] === "f64" ? 8 : 4;
    invariant(at + 2 + TEXT_BYTES_MAX < ROW_BYTES_MAX, "a row of outcomes fits");
  }
  return scratch.subarray(0, at);
}

/** Reads a row back. @throws BadInputError when the bytes are not those of a row with these columns */
export function decodeRow<C extends Columns>(columns: C, bytes: Uint8Array): RowOf<C> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const row: Record<string, number | string> = {};
  let at = 0;
  const take = (count: number): number => {
    const from = at;
    at += count;
    if (at > bytes.byteLength) throw wrong(bytes, `at least ${at}`);
    return from;
  };
  for (const name in columns) {
    const type = columns[name];
    if (type === "f64") row[name] = view.getFloat64(take(8), true);
    else if (type === "f32") row[name] = view.getFloat32(take(4), true);
    else if (type === "i32") row[name] = view.getInt32(take(4), true);
    else {
      const length = view.getUint16(take(2), true);
      const from = take(length);
      row[name] = decoder.decode(bytes.subarray(from, from + length));
    }
  }
  if (at !== bytes.byteLength) throw wrong(bytes, String(at));
  return row as RowOf<C>;
}

function wrong(bytes: Uint8Array, expected: string): BadInputError {
  return new BadInputError("row of outcomes", `${bytes.byteLength} bytes`, `${expected} bytes`);
}
