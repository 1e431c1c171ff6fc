import { dlopen, FFIType } from "bun:ffi";
import { readFileSync } from "node:fs";
import { pinGpuObject, startDawn } from "./gpu.ts";

/** What this host offers to the engines; for `keel version` and `keel doctor`. */
export interface DeviceProbe {
  /** Instruction sets that the cpu engine has kernels for, best first: `avx512vnni`, `avx512`, `avxvnni`, `avx2`. */
  readonly isa: readonly string[];
  /** Descriptions of the GPU adapters that Dawn finds. */
  readonly gpuAdapters: readonly string[];
  /** Why there is no adapter, or null. */
  readonly gpuReason: string | null;
  /** Version of the TensorRT library that the loader finds, or null. */
  readonly tensorrt: string | null;
}

/** TensorRT majors whose library is looked for, newest first. */
const TENSORRT_LIBRARIES = ["libnvinfer.so.11", "libnvinfer.so.10"] as const;

/** Looks for engines' devices. Never throws; what is not there is reported as absent. */
export async function probeDevices(): Promise<DeviceProbe> {
  const { adapters, reason } = await probeGpu();
  return { isa: probeIsa(), gpuAdapters: adapters, gpuReason: reason, tensorrt: probeTensorrt() };
}

/** Reads the CPU's flags from the kernel. The kernel lists only what it also saves on a context switch. */
export function probeIsa(cpuinfo: string = readCpuinfo()): string[] {
  const line = /^flags\s*:(.*)$/m.exec(cpuinfo);
  const flags = new Set((line?.[1] ?? "").trim().split(/\s+/));
  const avx512 = ["avx512f", "avx512bw", "avx512dq", "avx512vl"].every((flag) => flags.has(flag));
  const avx2 = flags.has("avx2") && flags.has("fma");
  const isa: string[] = [];
  if (avx512 && flags.has("avx512_vnni")) isa.push("avx512vnni");
  if (avx512) isa.push("avx512");
  if (avx2 && flags.has("avx_vnni")) isa.push("avxvnni");
  if (avx2) isa.push("avx2");
  return isa;
}

function readCpuinfo(): string {
  try {
    return readFileSync("/proc/cpuinfo", "utf8");
  } catch {
    return "";
  }
}

async function probeGpu(): Promise<{ adapters: string[]; reason: string | null }> {
  try {
    const gpu = startDawn();
    const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
    if (adapter === null) return { adapters: [], reason: "webgpu: Dawn finds no adapter: no Vulkan driver" };
    pinGpuObject(adapter);
    const { vendor, architecture, device, description } = adapter.info;
    const words = [vendor, architecture, device, description].filter((word) => word !== "");
    return { adapters: [words.join(" ")], reason: null };
  } catch (error) {
    return { adapters: [], reason: error instanceof Error ? error.message : String(error) };
  }
}

function probeTensorrt(): string | null {
  for (const name of TENSORRT_LIBRARIES) {
    try {
      const library = dlopen(name, { getInferLibVersion: { args: [], returns: FFIType.i32 } });
      const version = library.symbols.getInferLibVersion();
      return `${Math.floor(version / 10_000)}.${Math.floor(version / 100) % 100}.${version % 100}`;
    } catch {
      // The loader finds no such library: the next one is tried.
    }
  }
  return null;
}
