import { DeviceUnavailableError } from "../core/errors.ts";
import { dawnFor, pinGpuObject, startDawn } from "./dawn.ts";
import { driverFolder, SOFTWARE, whyNoDriver } from "./software.ts";

/** Which GPU is used, and by which Vulkan driver. */
export interface GpuSelection {
  /**
   * Part of the adapter's name (letter case does not count), its number in {@link listAdapters}, `software`, or a power
   * preference (`high-performance`, `low-power`); null takes the first adapter that is hardware.
   */
  readonly adapter: string | null;
  /**
   * Folder with a Vulkan driver to be used instead of the host's: its ICD file (`*.json`), its library, and, where the host
   * has none, a loader (`libvulkan.so.1`). Null for the host's own drivers or, for `software`, the one that is found.
   */
  readonly vulkanDir: string | null;
  /** How long a device may have nothing to do before it is touched, ms; 0, or left out: for ever. See `KeepAlive`. */
  readonly keepAliveMs?: number;
}

export const ANY_GPU: GpuSelection = { adapter: null, vulkanDir: null };

/** Words that let the driver choose among several GPUs. */
const POWER_PREFERENCES = ["high-performance", "low-power"] as const;

export interface GpuAdapterEntry {
  /** As the driver gives it, e.g. `NVIDIA H100 80GB HBM3`. */
  readonly name: string;
  /** The driver computes on the CPU: SwiftShader, lavapipe. */
  readonly software: boolean;
}

export interface ChosenAdapter extends GpuAdapterEntry {
  readonly gpu: GPU;
  /** Not used yet: a device may be requested from it once. */
  readonly adapter: GPUAdapter;
}

const NO_DRIVER =
  "the Vulkan loader finds no driver: install the GPU's Vulkan driver, and see docs/gpu.md for containers and servers without a display";

/** What Dawn answers when no adapter has the name asked for; it lists the names there are. */
const LISTED_ADAPTER = /backend: 'vulkan', name: '(.*)'$/gm;
/** No adapter has this name. */
const NO_NAME = "\u0001";

/**
 * All adapters, in the loader's order.
 *
 * @throws DeviceUnavailableError when this platform has no Dawn here, or the host no Vulkan loader; Dawn is then not loaded.
 */
export async function listAdapters(selection: GpuSelection): Promise<GpuAdapterEntry[]> {
  const missing = await whyNoDriver(selection);
  if (missing !== null) throw new DeviceUnavailableError("webgpu", missing);
  startDawn(await driverFolder(selection));
  const entries: GpuAdapterEntry[] = [];
  for (const name of await adapterNames()) {
    const adapter = await requestAdapter(dawnFor(name));
    entries.push({ name, software: adapter?.info.isFallbackAdapter ?? true });
  }
  return entries;
}

/** @throws DeviceUnavailableError that names the adapters there are, or what to install where there are none. */
export async function chooseAdapter(selection: GpuSelection): Promise<ChosenAdapter> {
  const entries = await listAdapters(selection);
  const power = POWER_PREFERENCES.find((word) => word === selection.adapter);
  const preferred = power === undefined ? selection.adapter : await preferredName(entries, power);
  const { name, software } = matchAdapter(entries, preferred);
  const gpu = dawnFor(name);
  const adapter = await requestAdapter(gpu);
  if (adapter === null) {
    throw new DeviceUnavailableError(
      "webgpu",
      `${name} is listed but refused by Dawn: its driver is too old`,
    );
  }
  return { name, software, gpu, adapter };
}

/**
 * The adapter that `wanted` names; see {@link GpuSelection.adapter}.
 *
 * @throws DeviceUnavailableError
 */
export function matchAdapter(entries: readonly GpuAdapterEntry[], wanted: string | null): GpuAdapterEntry {
  if (entries.length === 0) throw new DeviceUnavailableError("webgpu", NO_DRIVER);
  const listed = entries
    .map(({ name, software }, index) => `${index}: ${name}${software ? " (software)" : ""}`)
    .join(", ");
  if (wanted === null) {
    const hardware = entries.find(({ software }) => !software);
    if (hardware !== undefined) return hardware;
    throw new DeviceUnavailableError(
      "webgpu",
      `only software adapters here (${listed}): install the GPU's driver, or set KEEL_GPU=${SOFTWARE} for tests`,
    );
  }
  if (wanted.toLowerCase() === SOFTWARE) {
    const software = entries.find((entry) => entry.software);
    if (software !== undefined) return software;
    throw new DeviceUnavailableError(
      "webgpu",
      `no software adapter here (${listed}): install Mesa's lavapipe, or set KEEL_VULKAN_DIR to a folder with a software driver`,
    );
  }
  const found = /^\d+$/.test(wanted)
    ? entries[Number(wanted)]
    : entries.find(({ name }) => name.toLowerCase().includes(wanted.toLowerCase()));
  if (found === undefined) {
    throw new DeviceUnavailableError(
      "webgpu",
      `no adapter ${JSON.stringify(wanted)} here; there are ${listed}`,
    );
  }
  const first = entries.find(({ name }) => name.includes(found.name));
  if (first !== found) {
    throw new DeviceUnavailableError(
      "webgpu",
      `Dawn selects adapters by name and takes the first of those with ${JSON.stringify(found.name)} in it (${listed}): make only the wanted GPU visible to this process`,
    );
  }
  return found;
}

/** Name of the hardware adapter that Dawn prefers; null where it prefers none of them, so that the first is taken. */
async function preferredName(
  entries: readonly GpuAdapterEntry[],
  powerPreference: GPUPowerPreference,
): Promise<string | null> {
  const adapter = await requestAdapter(dawnFor(null), powerPreference);
  if (adapter === null || adapter.info.isFallbackAdapter) return null;
  const { device } = adapter.info;
  return entries.find(({ name }) => normalised(name) === device)?.name ?? null;
}

/** A name as `GPUAdapterInfo` gives it: lower case, runs of other characters as one hyphen. */
const normalised = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]+/g, "-");

async function adapterNames(): Promise<string[]> {
  try {
    await requestAdapter(dawnFor(NO_NAME));
    return [];
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return Array.from(text.matchAll(LISTED_ADAPTER), (match) => match[1] ?? "");
  }
}

async function requestAdapter(
  gpu: GPU,
  powerPreference: GPUPowerPreference = "high-performance",
): Promise<GPUAdapter | null> {
  const adapter = await gpu.requestAdapter({ powerPreference });
  if (adapter !== null) pinGpuObject(adapter);
  return adapter;
}
