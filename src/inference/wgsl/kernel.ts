import type { CompiledStep } from "../cpu/compile.ts";
import { type Instruction, OP } from "../cpu/program.ts";
import { FRESH_ROW } from "../slot-rows.ts";
import { ConstantPool } from "./constants.ts";
import { BINDING, Emitter, type Pass } from "./emitter.ts";
import { FUNCTIONS, PACKED_DOT, PACKED_FUNCTIONS } from "./functions.ts";
import { emitInstruction } from "./instructions.ts";
import { placeScratch } from "./placement.ts";

/** What a device offers to a kernel; read from the adapter, never assumed. */
export interface KernelDevice {
  /** Invocations of a workgroup: a power of two, at least 16. */
  readonly workgroupSize: number;
  /** Bytes that a workgroup may share. */
  readonly workgroupBytes: number;
  /** 16-bit floats (`shader-f16`), which large layers' weights are then kept in; products are summed in 32 bits all the same. */
  readonly half: boolean;
  /** The language feature `packed_4x8_integer_dot_product`. */
  readonly packedDot: boolean;
  /** Dense layers with at least so many multiplications a row are spread over several workgroups, at the price of a dispatch. */
  readonly wideWork: number;
}

/** One multiplication layer that fills a processor of a GPU for longer than another dispatch takes. */
export const WIDE_WORK = 1 << 18;

/** A step program as WGSL, and the memory that it needs. */
export interface Kernel {
  readonly code: string;
  /** Dispatched in this order, each over `tiles` × rows of the batch. */
  readonly passes: readonly Pass[];
  /** At which word of the input the features begin; the rows' slots stand before them. */
  readonly featuresAt: number;
  readonly constants: Uint32Array<ArrayBuffer>;
  /** Weights in half precision; empty where there are none. */
  readonly halves: Float16Array<ArrayBuffer>;
  /** Words of scratch and of levels of one row in buffers of the device; 0 where workgroups share memory of their own. */
  readonly scratchWords: number;
  readonly levelWords: number;
  /** Floats of a slot's states. */
  readonly slotFloats: number;
}

/** The rows' part of the input begins a binding of its own, so that another shader can write the features. */
const INPUT_ALIGNMENT_WORDS = 64;

/**
 * Generates the kernel of a model's step. One workgroup advances one row: all layers in one dispatch, what they hand on in the
 * workgroup's memory, the states in a buffer of the device. A model that is too large for that memory, or has layers that one
 * workgroup would take long over, goes through several dispatches and keeps its scratch in buffers.
 *
 * @throws ModelRefusedError
 */
export function generateKernel(
  model: { readonly name: string; readonly featureCount: number; readonly headCount: number },
  compiled: CompiledStep,
  maxBatch: number,
  device: KernelDevice,
): Kernel {
  const placement = placeScratch(model.name, compiled);
  const live = compiled.program.instructions.filter((instruction) => !instruction.removed);
  const wide = live.some((instruction) => isWide(instruction, device.wideWork));
  const partsBytes = device.workgroupSize * 16;
  const sharedBytes = (placement.floats + placement.levelWords) * 4 + partsBytes;
  const shared = !wide && sharedBytes <= device.workgroupBytes;
  const pool = new ConstantPool(compiled.program);
  const featuresAt = Math.ceil(maxBatch / INPUT_ALIGNMENT_WORDS) * INPUT_ALIGNMENT_WORDS;
  const emitter = new Emitter({
    program: compiled.program,
    placement,
    pool,
    workgroupSize: device.workgroupSize,
    half: device.half,
    shared,
  });
  for (const instruction of live) {
    if (isWide(instruction, device.wideWork)) emitter.beginWide(wideTiles(instruction, device.workgroupSize));
    emitInstruction(emitter, instruction);
    if (isWide(instruction, device.wideWork)) emitter.endWide();
  }
  emitter.finish(compiled, model.headCount);
  const code = [
    ...header(device, emitter),
    bindings(emitter, shared, placement.floats, placement.levelWords, device.workgroupSize),
    FUNCTIONS.trim(),
    ...(emitter.usesLevels
      ? [device.packedDot ? PACKED_DOT.native : PACKED_DOT.portable, PACKED_FUNCTIONS.trim()]
      : []),
    preamble(
      model.featureCount,
      featuresAt,
      compiled.slotFloats,
      shared,
      placement.floats,
      placement.levelWords,
    ),
    ...emitter.functions(),
  ].join("\n\n");
  return {
    code: `${code}\n`,
    passes: emitter.passes,
    featuresAt,
    constants: pool.words(),
    halves: pool.halves(),
    scratchWords: shared ? 0 : placement.floats,
    levelWords: shared ? 0 : placement.levelWords,
    slotFloats: compiled.slotFloats,
  };
}

/** The largest power of two that a device allows for workgroups along one dimension, up to 256. */
export function workgroupSizeFor(limits: {
  readonly maxComputeInvocationsPerWorkgroup: number;
  readonly maxComputeWorkgroupSizeX: number;
}): number {
  const most = Math.min(limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX, 256);
  return 2 ** Math.floor(Math.log2(most));
}

function isWide({ op, p }: Instruction, wideWork: number): boolean {
  return (op === OP.dense || op === OP.denseI8) && p[0] * p[1] * p[2] >= wideWork;
}

/** A workgroup takes a sixteenth as many quads of outputs as it has invocations, and sixteen share the sum of one. */
function wideTiles({ p }: Instruction, workgroupSize: number): { tiles: number; items: number } {
  const quads = Math.ceil(p[1] / 4) * p[2];
  const items = Math.max(1, workgroupSize / 16);
  return { tiles: Math.ceil(quads / items), items };
}

function header(device: KernelDevice, emitter: Emitter): string[] {
  const lines: string[] = [];
  if (emitter.usesHalves) lines.push("enable f16;");
  if (emitter.usesLevels && device.packedDot) lines.push("requires packed_4x8_integer_dot_product;");
  return lines.length === 0 ? [] : [lines.join("\n")];
}

function bindings(emitter: Emitter, shared: boolean, floats: number, levels: number, size: number): string {
  const at = (index: number, declaration: string): string => `@group(0) @binding(${index}) ${declaration};`;
  const lines = [
    "// [rows] slots of the batch, then at a boundary of 256 bytes [rows, F] features.",
    at(BINDING.input, "var<storage, read> input: array<u32>"),
    at(BINDING.constants, "var<storage, read> constants: array<u32>"),
    at(BINDING.constantQuads, "var<storage, read> constant_quads: array<vec4<u32>>"),
    at(BINDING.states, "var<storage, read_write> states: array<f32>"),
    at(BINDING.probabilities, "var<storage, read_write> probabilities: array<f32>"),
  ];
  if (emitter.usesHalves) lines.push(at(BINDING.halves, "var<storage, read> halves: array<vec4<f16>>"));
  if (shared) {
    lines.push(`var<workgroup> scratch: array<f32, ${Math.max(floats, 1)}>;`);
    if (levels > 0) lines.push(`var<workgroup> levels: array<u32, ${levels}>;`);
  } else {
    lines.push(at(BINDING.scratch, "var<storage, read_write> scratch: array<f32>"));
    if (levels > 0) lines.push(at(BINDING.levels, "var<storage, read_write> levels: array<u32>"));
  }
  lines.push(`var<workgroup> parts: array<vec4<u32>, ${size}>;`);
  return lines.join("\n");
}

function preamble(
  featureCount: number,
  featuresAt: number,
  slotFloats: number,
  shared: boolean,
  floats: number,
  levels: number,
): string {
  return `var<private> row: u32;
var<private> slot_at: u32;
var<private> fresh: bool;
var<private> scratch_at: u32;
var<private> levels_at: u32;
fn enter(index: u32) {
  row = index;
  let slot = input[row];
  fresh = (slot & ${FRESH_ROW}u) != 0u;
  slot_at = (slot & ${~FRESH_ROW >>> 0}u) * ${slotFloats}u;
  scratch_at = ${shared ? "0u" : `row * ${floats}u`};
  levels_at = ${shared ? "0u" : `row * ${levels}u`};
}
fn feature(index: u32) -> f32 { return bitcast<f32>(input[${featuresAt}u + row * ${featureCount}u + index]); }
fn constant(index: u32) -> f32 { return bitcast<f32>(constants[index]); }
// A slot that was reset starts from zero instead of from what it holds.
fn state(index: u32) -> f32 { return select(states[slot_at + index], 0.0f, fresh); }`;
}
