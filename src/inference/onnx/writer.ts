/** Writes ONNX files, just enough of onnx.proto by hand: for models that are fitted here, for benchmarks and tests. */

export type Dim = number | string;

export interface TensorSpec {
  readonly name: string;
  readonly dims: readonly number[];
  /** TensorProto.DataType: float, uint8, int8, int32, int64. */
  readonly type: 1 | 2 | 3 | 6 | 7;
  readonly raw: Uint8Array;
}

export interface ValueSpec {
  readonly name: string;
  readonly dims: readonly Dim[];
}

export interface NodeSpec {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly name?: string;
  readonly ints?: Readonly<Record<string, number>>;
  readonly intLists?: Readonly<Record<string, readonly number[]>>;
  readonly floats?: Readonly<Record<string, number>>;
}

export interface GraphSpec {
  readonly nodes: readonly NodeSpec[];
  readonly initializers: readonly TensorSpec[];
  readonly inputs: readonly ValueSpec[];
  readonly outputs: readonly ValueSpec[];
  /** Default 17. */
  readonly opset?: number;
}

export function floats(name: string, dims: readonly number[], values: ArrayLike<number>): TensorSpec {
  return { name, dims, type: 1, raw: new Uint8Array(Float32Array.from(values).buffer) };
}

export function int8s(name: string, dims: readonly number[], values: ArrayLike<number>): TensorSpec {
  return { name, dims, type: 3, raw: new Uint8Array(Int8Array.from(values).buffer) };
}

export function uint8s(name: string, dims: readonly number[], values: ArrayLike<number>): TensorSpec {
  return { name, dims, type: 2, raw: Uint8Array.from(values) };
}

export function int64s(name: string, values: readonly number[]): TensorSpec {
  const raw = new Uint8Array(BigInt64Array.from(values, (value) => BigInt(value)).buffer);
  return { name, dims: [values.length], type: 7, raw };
}

/** The file's bytes. */
export function writeOnnx(spec: GraphSpec): Uint8Array<ArrayBuffer> {
  const graph = [
    ...spec.nodes.map((node) => message(1, writeNode(node))),
    text(2, "step"),
    ...spec.initializers.map((tensor) => message(5, writeTensor(tensor))),
    ...spec.inputs.map((value) => message(11, writeValue(value))),
    ...spec.outputs.map((value) => message(12, writeValue(value))),
  ];
  return join([integer(1, 8), message(7, graph), message(8, [integer(2, spec.opset ?? 17)])]);
}

type Part = Uint8Array<ArrayBuffer>;

const INT_ATTRIBUTE = 2;
const FLOAT_ATTRIBUTE = 1;
const INTS_ATTRIBUTE = 7;

function join(parts: readonly Uint8Array[]): Part {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest >= 128n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return bytes;
}

const integer = (field: number, value: number): Part =>
  Uint8Array.from([...varint(field * 8), ...varint(value)]);

const bytes = (field: number, body: Uint8Array): Part =>
  join([Uint8Array.from([...varint(field * 8 + 2), ...varint(body.length)]), body]);

const message = (field: number, parts: readonly Part[]): Part => bytes(field, join(parts));

const text = (field: number, value: string): Part => bytes(field, new TextEncoder().encode(value));

const float = (field: number, value: number): Part =>
  join([Uint8Array.from(varint(field * 8 + 5)), new Uint8Array(Float32Array.of(value).buffer)]);

function writeNode(node: NodeSpec): Part[] {
  const attribute = (name: string, type: number, values: readonly Part[]): Part =>
    message(5, [text(1, name), ...values, integer(20, type)]);
  return [
    ...node.inputs.map((name) => text(1, name)),
    ...node.outputs.map((name) => text(2, name)),
    ...(node.name === undefined ? [] : [text(3, node.name)]),
    text(4, node.operator),
    ...Object.entries(node.ints ?? {}).map(([name, value]) =>
      attribute(name, INT_ATTRIBUTE, [integer(3, value)]),
    ),
    ...Object.entries(node.intLists ?? {}).map(([name, values]) =>
      attribute(
        name,
        INTS_ATTRIBUTE,
        values.map((value) => integer(8, value)),
      ),
    ),
    ...Object.entries(node.floats ?? {}).map(([name, value]) =>
      attribute(name, FLOAT_ATTRIBUTE, [float(2, value)]),
    ),
  ];
}

function writeTensor(tensor: TensorSpec): Part[] {
  return [
    ...tensor.dims.map((dim) => integer(1, dim)),
    integer(2, tensor.type),
    text(8, tensor.name),
    bytes(9, tensor.raw),
  ];
}

function writeValue(value: ValueSpec): Part[] {
  const dims = value.dims.map((dim) =>
    message(1, [typeof dim === "number" ? integer(1, dim) : text(2, dim)]),
  );
  return [text(1, value.name), message(2, [message(1, [integer(1, 1), message(2, dims)])])];
}
