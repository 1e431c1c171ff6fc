import { dlopen, FFIType, type Pointer, ptr } from "bun:ffi";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { BUILD } from "./executable.ts";
import { invariant } from "./invariant.ts";
import { NATIVE_LIBRARY } from "./native-library.ts";

/** Whoever has claimed to compile for longer than this is gone. */
const CLAIM_MS = 300_000;
const CLAIM_POLL_MS = 50;

/** Changes together with `KEEL_ABI` in `ffi/keel.h`. */
const ABI = 2;

/** Best bid and ask: price and size each. */
const BEST = [FFIType.i32, FFIType.f64, FFIType.i32, FFIType.f64] as const;

const SYMBOLS = {
  keel_abi: { args: [], returns: FFIType.i32 },
  keel_isa_mask: { args: [], returns: FFIType.u32 },
  keel_monotonic_ns: { args: [], returns: FFIType.f64 },
  keel_step_run: { args: [FFIType.ptr, FFIType.i32], returns: FFIType.i32 },
  keel_implied_volatilities: { args: [FFIType.ptr, FFIType.i32], returns: FFIType.i32 },
  keel_decode_binance: { args: [FFIType.ptr, FFIType.i32], returns: FFIType.i32 },
  keel_decode_binance_depth: { args: [FFIType.ptr, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  keel_decode_deribit: { args: [FFIType.ptr, FFIType.i32], returns: FFIType.i32 },
  keel_decode_bybit: { args: [FFIType.ptr, FFIType.i32], returns: FFIType.i32 },
  keel_decode_okx: { args: [FFIType.ptr, FFIType.i32], returns: FFIType.i32 },
  keel_decode_kraken: { args: [FFIType.ptr, FFIType.i32], returns: FFIType.i32 },
  keel_decode_coinbase: { args: [FFIType.ptr, FFIType.i32], returns: FFIType.i32 },
  keel_decode_bitstamp: { args: [FFIType.ptr, FFIType.i32], returns: FFIType.i32 },
  keel_book_delta: { args: [FFIType.ptr, FFIType.ptr, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  keel_feature_top: {
    args: [FFIType.ptr, FFIType.i32, ...BEST, FFIType.f64],
    returns: FFIType.void,
  },
  keel_feature_trade: {
    args: [FFIType.ptr, FFIType.i32, FFIType.i32, FFIType.f64, FFIType.f64],
    returns: FFIType.void,
  },
  keel_feature_book: {
    args: [FFIType.ptr, FFIType.ptr, FFIType.i32, FFIType.i32, ...BEST, FFIType.f64],
    returns: FFIType.void,
  },
  keel_feature_levels: {
    args: [FFIType.ptr, FFIType.i32, FFIType.i32, FFIType.i32, FFIType.i32, ...BEST, FFIType.f64],
    returns: FFIType.void,
  },
  keel_feature_write: {
    args: [FFIType.ptr, FFIType.i32, FFIType.f64, FFIType.ptr],
    returns: FFIType.void,
  },
} as const;

const open = (path: string) => dlopen(path, SYMBOLS);

/** The functions of the native library. Pointers are raw: whoever passes one keeps its memory alive and large enough. */
export type NativeFunctions = ReturnType<typeof open>["symbols"];

export type NativeLibrary =
  | { readonly functions: NativeFunctions; readonly missing: null }
  /** `missing` says what to install. */
  | { readonly functions: null; readonly missing: string };

/** The best instruction set of the host: bits of `keel_isa_mask` are instruction sets, worst first. */
export function highestIsa(functions: NativeFunctions): number {
  return 31 - Math.clz32(functions.keel_isa_mask());
}

let loaded: Promise<NativeLibrary> | null = null;
let functions: NativeFunctions | null = null;

/**
 * Loads the native library once for the process: from inside the executable, or, when keel runs from source, from
 * `dist/native`, compiled there first where it is not yet. Never throws; where there is no library, `missing` says why.
 */
export function loadNative(): Promise<NativeLibrary> {
  loaded ??= load();
  return loaded;
}

/** What {@link loadNative} has loaded by now: null before it has ended, and where there is no library. */
export function loadedNative(): NativeFunctions | null {
  return functions;
}

async function load(): Promise<NativeLibrary> {
  try {
    const { symbols } =
      BUILD === undefined ? open(await compiledFromSource()) : await openEmbedded(BUILD.nativeMissing);
    const abi = symbols.keel_abi();
    if (abi !== ABI) throw new Error(`native library has interface ${abi}, this build expects ${ABI}`);
    functions = symbols;
    return { functions: symbols, missing: null };
  } catch (error) {
    return { functions: null, missing: error instanceof Error ? error.message : String(error) };
  }
}

async function compiledFromSource(): Promise<string> {
  const { compileNative, findCompiler, nativeSourceHash } = await import("../../ffi/compile.ts");
  const name = `libkeel-${await nativeSourceHash()}.so`;
  const path = join(import.meta.dir, "../../dist/native", name);
  if (!existsSync(path)) {
    if (findCompiler() !== null) {
      process.stderr.write("keel: compiling the native library, once for these sources\n");
    }
    await alone(path, () => compileNative(path));
  }
  return path;
}

/** Makes a file in one of the processes that want it at the same time; the others wait until it is there, or nobody makes it any more. */
async function alone(path: string, make: () => Promise<unknown>): Promise<void> {
  const claim = `${path}.claim`;
  mkdirSync(dirname(path), { recursive: true });
  while (!existsSync(path)) {
    try {
      mkdirSync(claim);
    } catch {
      const claimedMs = statSync(claim, { throwIfNoEntry: false })?.mtimeMs;
      if (claimedMs !== undefined && Date.now() - claimedMs > CLAIM_MS) rmdirSync(claim);
      await Bun.sleep(CLAIM_POLL_MS);
      continue;
    }
    try {
      await make();
    } finally {
      rmdirSync(claim);
    }
    return;
  }
}

async function openEmbedded(nativeMissing: string | null): Promise<ReturnType<typeof open>> {
  if (NATIVE_LIBRARY === null) throw new Error(nativeMissing ?? "built without the native library");
  return openLibrary(await Bun.file(NATIVE_LIBRARY).bytes(), open);
}

/**
 * Opens a shared library that is inside the executable. The dynamic loader reads only files, so the library is written to
 * memory that no other user can reach, and `openFile` is given its path there.
 */
export function openLibrary<T>(bytes: Uint8Array, openFile: (path: string) => T): T {
  const descriptor = anonymousFile();
  if (descriptor >= 0) {
    try {
      for (let written = 0; written < bytes.length; ) written += writeSync(descriptor, bytes, written);
      return openFile(`/proc/self/fd/${descriptor}`);
    } finally {
      closeSync(descriptor);
    }
  }
  const folder = mkdtempSync(join(tmpdir(), "keel-"));
  try {
    const path = join(folder, "library.so");
    writeFileSync(path, bytes, { mode: 0o500 });
    return openFile(path);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A file descriptor of memfd_create(2), or -1. */
function anonymousFile(): number {
  const CLOSE_ON_EXEC = 1;
  try {
    const libc = dlopen("libc.so.6", {
      memfd_create: { args: [FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
    });
    return libc.symbols.memfd_create(ptr(Buffer.from("libkeel\0")), CLOSE_ON_EXEC);
  } catch {
    return -1;
  }
}

/** Memory that native code reads or writes: its address stays the same as long as the object is reachable. */
export interface NativeMemory {
  readonly address: Pointer;
  readonly buffer: ArrayBuffer;
  /** Offset of `address` in `buffer`, a multiple of 64. */
  readonly byteOffset: number;
}

/** Behind what native kernels read whole vectors at a time must lie this much memory. */
const SLACK_BYTES = 64;
const ALIGNMENT = 64;

/** Takes zeroed memory aligned to a cache line, with room behind it for whole-vector reads. */
export function nativeMemory(bytes: number): NativeMemory {
  invariant(Number.isSafeInteger(bytes) && bytes >= 0, "a size in bytes");
  const buffer = new ArrayBuffer(bytes + ALIGNMENT + SLACK_BYTES);
  const start = ptr(buffer);
  const byteOffset = (ALIGNMENT - (start % ALIGNMENT)) % ALIGNMENT;
  return { address: (start + byteOffset) as Pointer, buffer, byteOffset };
}

export function nativeFloats(length: number): { memory: NativeMemory; values: Float32Array<ArrayBuffer> } {
  const memory = nativeMemory(length * 4);
  return { memory, values: new Float32Array(memory.buffer, memory.byteOffset, length) };
}

export function nativeInts(length: number): { memory: NativeMemory; values: Int32Array<ArrayBuffer> } {
  const memory = nativeMemory(length * 4);
  return { memory, values: new Int32Array(memory.buffer, memory.byteOffset, length) };
}

export function nativeWords(length: number): { memory: NativeMemory; values: Uint32Array<ArrayBuffer> } {
  const memory = nativeMemory(length * 4);
  return { memory, values: new Uint32Array(memory.buffer, memory.byteOffset, length) };
}

export function nativeDoubles(length: number): { memory: NativeMemory; values: Float64Array<ArrayBuffer> } {
  const memory = nativeMemory(length * 8);
  return { memory, values: new Float64Array(memory.buffer, memory.byteOffset, length) };
}

/** Writes addresses, eight bytes each, to memory from `byteOffset` of its buffer on. */
export function writeAddresses(to: NativeMemory, byteOffset: number, addresses: readonly number[]): void {
  const view = new DataView(to.buffer, byteOffset, addresses.length * 8);
  for (const [index, address] of addresses.entries()) view.setBigUint64(index * 8, BigInt(address), true);
}
