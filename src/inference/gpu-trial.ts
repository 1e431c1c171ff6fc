import { DeviceUnavailableError } from "../core/errors.ts";
import type { GpuSelection } from "../gpu/adapter.ts";
import { Gpu } from "../gpu/device.ts";
import { whyNoDriver } from "../gpu/software.ts";
import { isolatedProbe } from "./probe.ts";

/** Adapters that have passed their trial in a child process; a lost device takes its own out again. */
const tried = new Set<string>();

/**
 * Opens the selected GPU. It is first put to work in a child process, so that a driver that faults or hangs does not take this
 * process with it; a host without a Vulkan loader does not even pay for that. After a loss there is another trial.
 *
 * @param automatic nobody asked for a GPU by name: a software adapter is then not taken.
 * @throws DeviceUnavailableError when there is no such adapter, or it does not compute.
 */
export async function openTriedGpu(selection: GpuSelection, automatic: boolean): Promise<Gpu> {
  const missing = await whyNoDriver(selection);
  if (missing !== null) throw new DeviceUnavailableError("webgpu", missing);
  const { adapter, vulkanDir } = selection;
  const key = JSON.stringify([adapter, vulkanDir]);
  if (!tried.has(key)) {
    const env = { ...process.env, KEEL_GPU: adapter ?? "", KEEL_VULKAN_DIR: vulkanDir ?? "" };
    const { gpuCompute, gpuReason } = await isolatedProbe(env);
    if (gpuCompute === null) {
      throw new DeviceUnavailableError("webgpu", (gpuReason ?? "no reason given").replace(/^webgpu: /, ""));
    }
    tried.add(key);
  }
  const gpu = await Gpu.open(selection, { automatic });
  gpu.loss.catch(() => tried.clear());
  return gpu;
}
