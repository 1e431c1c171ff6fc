import { ModelRefusedError } from "../../core/errors.ts";

/** Protocol Buffers wire types (protobuf.dev, "Encoding"). Groups (3, 4) are not used by ONNX and are refused. */
export const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** More nested messages than any ONNX file has; bounds the recursion of the reader. */
const NESTING_MAX = 16;

const TWO_32 = 4_294_967_296;

/**
 * Reads one protobuf message from a byte range. Every read is checked against the range's end, so a truncated or hostile
 * file ends in a ModelRefusedError and never in a read beyond it.
 */
export class WireReader {
  readonly #model: string;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #end: number;
  readonly #depth: number;
  #position: number;
  /** Field number and wire type of the field that {@link next} stood on. */
  field = 0;
  wireType = 0;

  constructor(model: string, bytes: Uint8Array, start = 0, end = bytes.length, depth = 0) {
    this.#model = model;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#position = start;
    this.#end = end;
    this.#depth = depth;
    if (depth > NESTING_MAX) this.refuse(`messages nested ${depth} deep`, `at most ${NESTING_MAX}`);
  }

  refuse(found: string, expected: string): never {
    throw new ModelRefusedError(this.#model, `${found} at byte ${this.#position}`, expected);
  }

  /** Moves to the next field; false at the end of the message. */
  next(): boolean {
    if (this.#position >= this.#end) return false;
    const key = this.unsigned();
    this.field = Math.floor(key / 8);
    this.wireType = key % 8;
    if (this.field < 1 || this.field > 536_870_911) {
      this.refuse(`field number ${this.field}`, "an ONNX protobuf message");
    }
    return true;
  }

  /** Passes over the value of the present field. */
  skip(): void {
    switch (this.wireType) {
      case WIRE.varint:
        this.unsigned();
        return;
      case WIRE.fixed64:
        this.#take(8);
        return;
      case WIRE.bytes:
        this.#take(this.unsigned());
        return;
      case WIRE.fixed32:
        this.#take(4);
        return;
      default:
        this.refuse(`wire type ${this.wireType}`, "an ONNX protobuf message");
    }
  }

  /** An unsigned varint; values above 2^53 are rounded, which only keys and lengths must not be (they are then out of range). */
  unsigned(): number {
    let low = 0;
    let high = 0;
    for (let i = 0; i < 10; i += 1) {
      const byte = this.#bytes[this.#take(1)];
      const bits = byte & 0x7f;
      if (i < 4) low += bits * 2 ** (7 * i);
      else if (i === 4) {
        low += (bits & 0x0f) * 2 ** 28;
        high += bits >> 4;
      } else high += bits * 2 ** (7 * i - 32);
      if (byte < 0x80) return (high % TWO_32) * TWO_32 + low;
    }
    this.refuse("a varint longer than 10 bytes", "an ONNX protobuf message");
  }

  /** A signed 64-bit varint, saturated to the safe integers (ONNX uses INT64_MAX for "to the end"). */
  int64(): number {
    const start = this.#position;
    const value = this.unsigned();
    if (value <= Number.MAX_SAFE_INTEGER) return value;
    return largeInt64(this.#bytes, start);
  }

  float(): number {
    return this.#view.getFloat32(this.#take(4), true);
  }

  double(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  /** The bytes of a length-delimited field, as a view into the file. */
  bytes(): Uint8Array {
    this.#expect(WIRE.bytes);
    const length = this.unsigned();
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  text(): string {
    return new TextDecoder("utf-8").decode(this.bytes());
  }

  /** A reader over the message in a length-delimited field. */
  message(): WireReader {
    this.#expect(WIRE.bytes);
    const length = this.unsigned();
    const start = this.#take(length);
    return new WireReader(this.#model, this.#bytes, start, start + length, this.#depth + 1);
  }

  integer(): number {
    this.#expect(WIRE.varint);
    return this.int64();
  }

  /** Appends a repeated integer field, packed or not. */
  integersInto(values: number[]): void {
    if (this.wireType === WIRE.varint) {
      values.push(this.int64());
      return;
    }
    const packed = this.message();
    while (!packed.atEnd()) values.push(packed.int64());
  }

  /** Appends a repeated float field, packed or not. */
  floatsInto(values: number[]): void {
    if (this.wireType === WIRE.fixed32) {
      values.push(this.float());
      return;
    }
    const packed = this.message();
    while (!packed.atEnd()) values.push(packed.float());
  }

  /** Appends a repeated double field, packed or not. */
  doublesInto(values: number[]): void {
    if (this.wireType === WIRE.fixed64) {
      values.push(this.double());
      return;
    }
    const packed = this.message();
    while (!packed.atEnd()) values.push(packed.double());
  }

  atEnd(): boolean {
    return this.#position >= this.#end;
  }

  #expect(wireType: number): void {
    if (this.wireType !== wireType) {
      this.refuse(`wire type ${this.wireType} in field ${this.field}`, `wire type ${wireType}`);
    }
  }

  #take(length: number): number {
    const start = this.#position;
    if (!(length <= this.#end - start)) {
      this.refuse(`${length} bytes needed, ${this.#end - start} left`, "a complete ONNX file");
    }
    this.#position = start + length;
    return start;
  }
}

function largeInt64(bytes: Uint8Array, start: number): number {
  let value = 0n;
  for (let i = 0; ; i += 1) {
    const byte = bytes[start + i];
    value |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if (byte < 0x80) break;
  }
  const signed = BigInt.asIntN(64, value);
  return Math.min(Math.max(Number(signed), Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER);
}
