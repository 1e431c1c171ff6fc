/** Writes small ONNX files for tests: just enough of onnx.proto, by hand, so that no other toolchain is needed. */

export type Dim = number | string;

export interface TensorSpec {
  readonly name: string;
  readonly dims: readonly number[];
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
  return {
    name,
    dims: [values.length],
    type: 7,
    raw: new Uint8Array(BigInt64Array.from(values.map((value) => BigInt(value))).buffer),
  };
}

export function writeOnnx(spec: GraphSpec): Uint8Array<ArrayBuffer> {
  const opset = [...number(2, spec.opset ?? 17)];
  const graph = [
    ...spec.nodes.flatMap((node) => message(1, writeNode(node))),
    ...text(2, "test"),
    ...spec.initializers.flatMap((tensor) => message(5, writeTensor(tensor))),
    ...spec.inputs.flatMap((value) => message(11, writeValue(value))),
    ...spec.outputs.flatMap((value) => message(12, writeValue(value))),
  ];
  return Uint8Array.from([...number(1, 8), ...message(7, graph), ...message(8, opset)]);
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

const number = (field: number, value: number): number[] => [...varint(field * 8), ...varint(value)];

const message = (field: number, body: readonly number[] | Uint8Array): number[] => {
  const head = [...varint(field * 8 + 2), ...varint(body.length)];
  for (const byte of body) head.push(byte);
  return head;
};

const text = (field: number, value: string): number[] => message(field, new TextEncoder().encode(value));

function writeNode(node: NodeSpec): number[] {
  return [
    ...node.inputs.flatMap((name) => text(1, name)),
    ...node.outputs.flatMap((name) => text(2, name)),
    ...(node.name === undefined ? [] : text(3, node.name)),
    ...text(4, node.operator),
    ...Object.entries(node.ints ?? {}).flatMap(([name, value]) =>
      message(5, [...text(1, name), ...number(3, value), ...number(20, 2)]),
    ),
    ...Object.entries(node.intLists ?? {}).flatMap(([name, values]) =>
      message(5, [...text(1, name), ...values.flatMap((value) => number(8, value)), ...number(20, 7)]),
    ),
    ...Object.entries(node.floats ?? {}).flatMap(([name, value]) =>
      message(5, [
        ...text(1, name),
        ...varint(2 * 8 + 5),
        ...new Uint8Array(Float32Array.of(value).buffer),
        ...number(20, 1),
      ]),
    ),
  ];
}

function writeTensor(tensor: TensorSpec): number[] {
  return [
    ...tensor.dims.flatMap((dim) => number(1, dim)),
    ...number(2, tensor.type),
    ...text(8, tensor.name),
    ...message(9, tensor.raw),
  ];
}

function writeValue(value: ValueSpec): number[] {
  const shape = value.dims.flatMap((dim) =>
    message(1, typeof dim === "number" ? number(1, dim) : text(2, dim)),
  );
  const tensor = [...number(1, 1), ...message(2, shape)];
  return [...text(1, value.name), ...message(2, message(1, tensor))];
}
