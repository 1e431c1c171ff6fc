import { dlopen, FFIType } from "bun:ffi";
import { readFileSync } from "node:fs";
import { runIsolated } from "../core/child.ts";
import { ANY_GPU, type GpuSelection, listAdapters } from "../gpu/adapter.ts";
import { checkCompute, type GpuCompute } from "../gpu/compute-check.ts";

/** What this host offers to the engines; for `keel version` and `keel doctor`. */
export interface DeviceProbe {
  /** Instruction sets that the cpu engine has kernels for, best first: `avx512vnni`, `avx512`, `avxvnni`, `avx2`. */
  readonly isa: readonly string[];
  /** Numbers and names of the GPU adapters that Dawn finds; a software adapter says so. */
  readonly gpuAdapters: readonly string[];
  /** What the selected adapter computed, or null. */
  readonly gpuCompute: GpuCompute | null;
  /** Why there is no adapter, or why the selected one does not compute; null when it does. */
  readonly gpuReason: string | null;
  /** Version of the TensorRT library that the loader finds, or null. */
  readonly tensorrt: string | null;
}

/** TensorRT majors whose library is looked for, newest first. */
const TENSORRT_LIBRARIES = ["libnvinfer.so.11", "libnvinfer.so.10"] as const;

/** Looks for engines' devices. Never throws; what is not there is reported as absent. */
export async function probeDevices(gpu: GpuSelection = ANY_GPU): Promise<DeviceProbe> {
  return { isa: probeIsa(), ...(await probeGpu(gpu)), tensorrt: probeTensorrt() };
}

/** Names of the variables that {@link gpuSelection} reads. */
const GPU_VARIABLES = { adapter: "KEEL_GPU", vulkanDir: "KEEL_VULKAN_DIR" } as const;

/** The GPU that an environment selects, good or bad; for verbs that look at devices without a whole configuration. */
export function gpuSelection(env: Readonly<Record<string, string | undefined>>): GpuSelection {
  return { adapter: env[GPU_VARIABLES.adapter] || null, vulkanDir: env[GPU_VARIABLES.vulkanDir] || null };
}

/**
 * {@link probeDevices} in a child process, so that a graphics driver that faults or hangs takes nothing else with it. What
 * the child did not tell is reported as absent, with the reason.
 *
 * @param command how this program is started; a test gives its own
 */
export async function isolatedProbe(
  env: Readonly<Record<string, string | undefined>>,
  command?: readonly string[],
): Promise<DeviceProbe> {
  const end = await runIsolated<DeviceProbe>("probe-devices", env, command);
  if ("result" in end) return end.result;
  const gpuReason = `the search for GPUs ${end.error.message}`;
  return { isa: probeIsa(), gpuAdapters: [], gpuCompute: null, gpuReason, tensorrt: null };
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

async function probeGpu(
  selection: GpuSelection,
): Promise<Pick<DeviceProbe, "gpuAdapters" | "gpuCompute" | "gpuReason">> {
  let gpuAdapters: string[] = [];
  try {
    const entries = await listAdapters(selection);
    gpuAdapters = entries.map(
      ({ name, software }, index) => `${index}: ${name}${software ? " (software)" : ""}`,
    );
    return { gpuAdapters, gpuCompute: await checkCompute(selection), gpuReason: null };
  } catch (error) {
    return {
      gpuAdapters,
      gpuCompute: null,
      gpuReason: error instanceof Error ? error.message : String(error),
    };
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
