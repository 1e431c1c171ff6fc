import { ModelRefusedError } from "../../core/errors.ts";
import { WIRE, WireReader } from "./wire.ts";

/** Element types of ONNX tensors that keel reads (onnx.proto, TensorProto.DataType). */
const DATA_TYPE = {
  float: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  double: 11,
} as const;
export type DataTypeName = keyof typeof DATA_TYPE;

/** Most dimensions a tensor may have. */
const RANK_MAX = 8;
/** Bounds on what a graph may hold; a file that exceeds them is refused before anything is built from it. */
const NODES_MAX = 20_000;

const TYPE_NAMES = new Map<number, DataTypeName>(
  Object.entries(DATA_TYPE).map(([name, code]) => [code, name as DataTypeName]),
);
const ELEMENT_BYTES: Record<DataTypeName, number> = {
  float: 4,
  uint8: 1,
  int8: 1,
  int32: 4,
  int64: 8,
  bool: 1,
  double: 8,
};

/** A constant tensor. Values of every type are held so that arithmetic on them is exact: integers above 2^53 are saturated. */
export interface OnnxTensor {
  readonly name: string;
  readonly type: DataTypeName;
  readonly dims: readonly number[];
  readonly data: Float32Array | Int8Array | Uint8Array | Int32Array | Float64Array;
}

export interface OnnxAttribute {
  readonly name: string;
  readonly float: number | null;
  readonly int: number | null;
  readonly text: string | null;
  readonly tensor: OnnxTensor | null;
  readonly floats: readonly number[];
  readonly ints: readonly number[];
  readonly texts: readonly string[];
  /** True when the attribute holds a sub-graph, which no operator known here has. */
  readonly graph: boolean;
}

export interface OnnxNode {
  /** The node's name, or its operator and place in the graph where it has none. */
  readonly name: string;
  readonly operator: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, OnnxAttribute>;
}

/** A graph input or output. A dimension is a number, the name of a symbol, or null where the file does not say. */
export interface OnnxValueInfo {
  readonly name: string;
  readonly type: DataTypeName;
  readonly dims: readonly (number | string | null)[] | null;
}

/** The value as errors and listings show it, e.g. `features: float [B,96]`. */
export function shownValue({ name, type, dims }: OnnxValueInfo): string {
  const shape = dims === null ? "of unknown rank" : `[${dims.map((dim) => dim ?? "?").join(",")}]`;
  return `${name}: ${type} ${shape}`;
}

export interface OnnxGraph {
  readonly model: string;
  readonly opset: number;
  readonly nodes: readonly OnnxNode[];
  readonly initializers: ReadonlyMap<string, OnnxTensor>;
  /** Without those that are only defaults given by an initializer. */
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
}

/**
 * Reads an ONNX file (onnx.proto, ModelProto) into plain structures.
 *
 * @param model the model's name, for errors.
 * @throws ModelRefusedError naming what was found and expected when the file is truncated, malformed, too large in some
 * count, holds weights outside itself or a weight that is NaN.
 */
export function readOnnx(model: string, bytes: Uint8Array): OnnxGraph {
  const reader = new WireReader(model, bytes);
  let opset = 0;
  let graph: Omit<OnnxGraph, "opset"> | null = null;
  while (reader.next()) {
    if (reader.field === 7 && graph === null) graph = readGraph(model, reader.message());
    else if (reader.field === 8) opset = Math.max(opset, readOpset(reader.message()));
    else reader.skip();
  }
  if (graph === null) throw new ModelRefusedError(model, "no graph", "an ONNX model");
  if (opset < 7 || opset > 25) reader.refuse(`opset ${opset}`, "operators of opset 7 to 25");
  return { ...graph, opset };
}

/** Reads a serialised TensorProto, the form of ONNX's test data. @throws ModelRefusedError as {@link readOnnx}. */
export function readOnnxTensor(source: string, bytes: Uint8Array): OnnxTensor {
  return readTensor(new WireReader(source, bytes));
}

function readOpset(reader: WireReader): number {
  let domain = "";
  let version = 0;
  while (reader.next()) {
    if (reader.field === 1) domain = reader.text();
    else if (reader.field === 2) version = reader.integer();
    else reader.skip();
  }
  return domain === "" || domain === "ai.onnx" ? version : 0;
}

function readGraph(model: string, reader: WireReader): Omit<OnnxGraph, "opset"> {
  const nodes: OnnxNode[] = [];
  const initializers = new Map<string, OnnxTensor>();
  const inputs: OnnxValueInfo[] = [];
  const outputs: OnnxValueInfo[] = [];
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        if (nodes.length === NODES_MAX) reader.refuse("more nodes", `at most ${NODES_MAX}`);
        nodes.push(readNode(reader.message(), nodes.length));
        break;
      case 5: {
        const tensor = readTensor(reader.message());
        if (tensor.name === "") reader.refuse("an initializer without a name", "a name");
        initializers.set(tensor.name, tensor);
        break;
      }
      case 11:
        inputs.push(readValueInfo(reader.message()));
        break;
      case 12:
        outputs.push(readValueInfo(reader.message()));
        break;
      case 15:
        reader.refuse("a sparse initializer", "dense initializers");
        break;
      default:
        reader.skip();
    }
  }
  return { model, nodes, initializers, inputs: inputs.filter((i) => !initializers.has(i.name)), outputs };
}

function readNode(reader: WireReader, index: number): OnnxNode {
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes = new Map<string, OnnxAttribute>();
  let name = "";
  let operator = "";
  let domain = "";
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        inputs.push(reader.text());
        break;
      case 2:
        outputs.push(reader.text());
        break;
      case 3:
        name = reader.text();
        break;
      case 4:
        operator = reader.text();
        break;
      case 5: {
        const attribute = readAttribute(reader.message());
        attributes.set(attribute.name, attribute);
        break;
      }
      case 7:
        domain = reader.text();
        break;
      default:
        reader.skip();
    }
  }
  if (operator === "") reader.refuse(`node ${index} without an operator`, "an operator");
  return { name: name === "" ? `#${index}` : name, operator, domain, inputs, outputs, attributes };
}

function readAttribute(reader: WireReader): OnnxAttribute {
  const floats: number[] = [];
  const ints: number[] = [];
  const texts: string[] = [];
  let name = "";
  let float: number | null = null;
  let int: number | null = null;
  let text: string | null = null;
  let tensor: OnnxTensor | null = null;
  let graph = false;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        name = reader.text();
        break;
      case 2:
        if (reader.wireType !== WIRE.fixed32) reader.refuse("an attribute of another type", "a float");
        float = reader.float();
        break;
      case 3:
        int = reader.integer();
        break;
      case 4:
        text = reader.text();
        break;
      case 5:
        tensor = readTensor(reader.message());
        break;
      case 6:
      case 11:
        graph = true;
        reader.skip();
        break;
      case 7:
        reader.floatsInto(floats);
        break;
      case 8:
        reader.integersInto(ints);
        break;
      case 9:
        texts.push(reader.text());
        break;
      default:
        reader.skip();
    }
  }
  return { name, float, int, text, tensor, floats, ints, texts, graph };
}

function readValueInfo(reader: WireReader): OnnxValueInfo {
  let name = "";
  let typeCode = 0;
  let dims: (number | string | null)[] | null = null;
  while (reader.next()) {
    if (reader.field === 1) name = reader.text();
    else if (reader.field === 2) {
      const type = reader.message();
      while (type.next()) {
        if (type.field !== 1) type.refuse(`graph value ${name} that is no tensor`, "a tensor");
        const tensor = type.message();
        while (tensor.next()) {
          if (tensor.field === 1) typeCode = tensor.integer();
          else if (tensor.field === 2) dims = readShape(tensor.message());
          else tensor.skip();
        }
      }
    } else reader.skip();
  }
  return { name, type: typeName(reader, typeCode, `graph value ${name}`), dims };
}

function readShape(reader: WireReader): (number | string | null)[] {
  const dims: (number | string | null)[] = [];
  while (reader.next()) {
    if (reader.field !== 1) {
      reader.skip();
      continue;
    }
    const dim = reader.message();
    let value: number | string | null = null;
    while (dim.next()) {
      if (dim.field === 1) value = dim.integer();
      else if (dim.field === 2) value = dim.text();
      else dim.skip();
    }
    dims.push(value);
    if (dims.length > RANK_MAX) reader.refuse("more dimensions", `at most ${RANK_MAX}`);
  }
  return dims;
}

function typeName(reader: WireReader, code: number, where: string): DataTypeName {
  const name = TYPE_NAMES.get(code);
  if (name === undefined) {
    reader.refuse(`${where} of data type ${code}`, `one of ${Object.keys(DATA_TYPE).join(", ")}`);
  }
  return name;
}

function readTensor(reader: WireReader): OnnxTensor {
  const dims: number[] = [];
  const floats: number[] = [];
  const doubles: number[] = [];
  const integers: number[] = [];
  let name = "";
  let typeCode = 0;
  let raw: Uint8Array | null = null;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        reader.integersInto(dims);
        break;
      case 2:
        typeCode = reader.integer();
        break;
      case 4:
        reader.floatsInto(floats);
        break;
      case 5:
      case 7:
        reader.integersInto(integers);
        break;
      case 8:
        name = reader.text();
        break;
      case 9:
        raw = reader.bytes();
        break;
      case 10:
        reader.doublesInto(doubles);
        break;
      case 13:
        reader.refuse(`tensor ${name} with its data outside the file`, "all data inside the ONNX file");
        break;
      default:
        reader.skip();
    }
  }
  const where = `tensor ${name === "" ? "(unnamed)" : name}`;
  const type = typeName(reader, typeCode, where);
  if (dims.length > RANK_MAX) reader.refuse(`${where} with ${dims.length} dimensions`, `at most ${RANK_MAX}`);
  let count = 1;
  for (const dim of dims) {
    if (dim < 0) reader.refuse(`${where} with dimension ${dim}`, "dimensions of 0 and above");
    count *= dim;
  }
  const list = type === "float" ? floats : type === "double" ? doubles : integers;
  const held = raw === null ? list.length : raw.length / ELEMENT_BYTES[type];
  if (held !== count) {
    reader.refuse(`${where} of shape [${dims.join(",")}] with data for ${held} values`, `${count} values`);
  }
  const data = raw === null ? fromList(type, list) : fromRaw(type, raw, count);
  if (data instanceof Float32Array || data instanceof Float64Array) {
    for (let i = 0; i < count; i += 1) {
      if (Number.isNaN(data[i])) reader.refuse(`${where} with NaN at element ${i}`, "numbers");
    }
  }
  return { name, type, dims, data };
}

function fromList(type: DataTypeName, list: readonly number[]): OnnxTensor["data"] {
  switch (type) {
    case "float":
      return Float32Array.from(list);
    case "int8":
      return Int8Array.from(list);
    case "uint8":
    case "bool":
      return Uint8Array.from(list);
    case "int32":
      return Int32Array.from(list);
    default:
      return Float64Array.from(list);
  }
}

function fromRaw(type: DataTypeName, raw: Uint8Array, count: number): OnnxTensor["data"] {
  const copy = raw.slice();
  switch (type) {
    case "float":
      return new Float32Array(copy.buffer, 0, count);
    case "int8":
      return new Int8Array(copy.buffer, 0, count);
    case "uint8":
    case "bool":
      return copy;
    case "int32":
      return new Int32Array(copy.buffer, 0, count);
    case "double":
      return new Float64Array(copy.buffer, 0, count);
    default: {
      const view = new DataView(copy.buffer);
      const values = new Float64Array(count);
      for (let i = 0; i < count; i += 1) {
        const value = Number(view.getBigInt64(i * 8, true));
        values[i] = Math.min(Math.max(value, Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER);
      }
      return values;
    }
  }
}
