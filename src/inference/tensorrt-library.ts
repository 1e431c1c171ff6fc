import { dlopen, FFIType } from "bun:ffi";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { DeviceUnavailableError } from "../core/errors.ts";
import { BUILD } from "../core/executable.ts";
import { openLibrary } from "../core/native.ts";
import { TENSORRT_SHIM } from "./tensorrt-shim.ts";

/** Changes together with `KEEL_TRT_ABI` in `ffi/tensorrt_shim.h`. */
const ABI = 1;

/** What a function of the shim answers; as in `ffi/tensorrt_shim.h`. */
export const SHIM_CODE = { ok: 0, unavailable: 1, refused: 2, lost: 3 } as const;

const { ptr, i32, i64, u64, cstring, void: nothing } = FFIType;
const SYMBOLS = {
  keel_trt_abi: { args: [], returns: i32 },
  keel_trt_headers: { args: [], returns: i32 },
  keel_trt_create: { args: [ptr, ptr, ptr, u64], returns: i32 },
  keel_trt_step: { args: [ptr, i32, ptr, ptr, ptr], returns: i32 },
  keel_trt_message: { args: [ptr], returns: cstring },
  keel_trt_describe: { args: [ptr], returns: cstring },
  keel_trt_memory: { args: [ptr], returns: i64 },
  keel_trt_destroy: { args: [ptr], returns: nothing },
} as const;

const open = (path: string) => dlopen(path, SYMBOLS).symbols;

/** The functions of `ffi/tensorrt_shim.h`. Pointers are raw: whoever passes one keeps its memory alive and large enough. */
export type TensorRtShim = ReturnType<typeof open>;

const opened = new Map<string | null, TensorRtShim>();

/**
 * Opens the shim: the file that is named, or the one inside the executable, or, when keel runs from source, one compiled now
 * where the headers are there.
 *
 * @throws DeviceUnavailableError that says what to install or set.
 */
export async function openShim(library: string | null): Promise<TensorRtShim> {
  const key = library === null ? null : resolve(library);
  const before = opened.get(key);
  if (before !== undefined) return before;
  const shim = await openAt(key);
  const abi = shim.keel_trt_abi();
  if (abi !== ABI) {
    throw new DeviceUnavailableError(
      "tensorrt",
      `the shim ${key ?? "inside keel"} has interface ${abi}, this build expects ${ABI}: build it from the same source`,
    );
  }
  opened.set(key, shim);
  return shim;
}

async function openAt(path: string | null): Promise<TensorRtShim> {
  try {
    if (path !== null) {
      if (!existsSync(path)) throw new Error(`no file ${path} (KEEL_TENSORRT_LIBRARY)`);
      return open(path);
    }
    if (BUILD === undefined) return open(await compiledFromSource());
    if (TENSORRT_SHIM === null) throw new Error(BUILD.tensorrtMissing ?? "built without the TensorRT shim");
    return openLibrary(await Bun.file(TENSORRT_SHIM).bytes(), open);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DeviceUnavailableError(
      "tensorrt",
      `no shim: ${reason}. Build keel where TensorRT's and CUDA's headers are, or name a shim by KEEL_TENSORRT_LIBRARY`,
    );
  }
}

async function compiledFromSource(): Promise<string> {
  const { compileTensorRt, findHeaders, tensorRtSourceHash } = await import("../../ffi/compile-tensorrt.ts");
  const headers = findHeaders();
  const name = `libkeel_tensorrt-${await tensorRtSourceHash(headers)}.so`;
  const path = join(import.meta.dir, "../../dist/native", name);
  if (!existsSync(path)) await compileTensorRt(path, headers);
  return path;
}
