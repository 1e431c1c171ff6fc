import { dlopen, FFIType, ptr } from "bun:ffi";
import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { DeviceUnavailableError } from "../core/errors.ts";

/** Which GPU is used, and by which Vulkan driver. */
export interface GpuSelection {
  /**
   * Part of the adapter's name (letter case does not count), its number in {@link listAdapters}, or `software`; null takes
   * the first adapter that is hardware.
   */
  readonly adapter: string | null;
  /**
   * Folder with a Vulkan driver to be used instead of the host's: its ICD file (`*.json`), its library, and, where the host
   * has none, a loader (`libvulkan.so.1`). Null for the host's own drivers.
   */
  readonly vulkanDir: string | null;
}

export const ANY_GPU: GpuSelection = { adapter: null, vulkanDir: null };

/** The name that selects a software adapter. */
export const SOFTWARE = "software";

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

interface DawnModule {
  create(flags: string[]): GPU;
  globals: Record<string, unknown>;
}

/**
 * Dawn's objects live on globalThis: JavaScriptCore collects a `GPU`, adapter or device that is only held by a module
 * constant, and Dawn then faults.
 */
interface DawnPin {
  readonly dawn: DawnModule;
  readonly vulkanDir: string | null;
  /** Dawn's entry points by the adapter they are bound to. */
  readonly gpus: Map<string, GPU>;
  readonly kept: object[];
}

const PIN = Symbol.for("keel.dawn");
const holder = globalThis as { [PIN]?: DawnPin };

const NO_LOADER =
  "no Vulkan loader: install the GPU's driver and libvulkan1 (Debian, Ubuntu) or vulkan-loader (Fedora, RHEL)";
const NO_DRIVER =
  "the Vulkan loader finds no driver: install the GPU's Vulkan driver, and see docs/gpu.md for containers and servers without a display";

/** What Dawn answers when no adapter has the name asked for; it lists the names there are. */
const LISTED_ADAPTER = /backend: 'vulkan', name: '(.*)'$/gm;
/** No adapter has this name. */
const NO_NAME = "\u0001";

/** Keeps a GPU object alive for the life of the process. */
export function pinGpuObject(object: object): void {
  holder[PIN]?.kept.push(object);
}

/**
 * All adapters, in the loader's order.
 *
 * @throws DeviceUnavailableError when this platform has no Dawn here, or the host no Vulkan loader; Dawn is then not loaded.
 */
export async function listAdapters(vulkanDir: string | null): Promise<GpuAdapterEntry[]> {
  const pin = startDawn(vulkanDir);
  const names = await adapterNames(pin);
  const entries: GpuAdapterEntry[] = [];
  for (const name of names) {
    const adapter = await requestAdapter(boundTo(pin, name));
    entries.push({ name, software: adapter?.info.isFallbackAdapter ?? true });
  }
  return entries;
}

/** @throws DeviceUnavailableError that names the adapters there are, or what to install where there are none. */
export async function chooseAdapter(selection: GpuSelection): Promise<ChosenAdapter> {
  const entries = await listAdapters(selection.vulkanDir);
  const { name, software } = matchAdapter(entries, selection.adapter);
  const gpu = boundTo(startDawn(selection.vulkanDir), name);
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

/** Makes ONNX Runtime, which looks for `navigator.gpu`, find Dawn. */
export function installNavigatorGpu(gpu: GPU): void {
  Object.defineProperty(globalThis.navigator, "gpu", { value: gpu, configurable: true });
}

/** Why there can be no adapter at all, found out without loading Dawn or any driver; null when there may be one. */
export function whyNoVulkan(vulkanDir: string | null): string | null {
  if (process.platform !== "linux" || process.arch !== "x64") {
    return `no Dawn for ${process.platform}-${process.arch} in this build`;
  }
  return openLoader(vulkanDir) ? null : NO_LOADER;
}

/** Loads Dawn once for the process. */
function startDawn(vulkanDir: string | null): DawnPin {
  const folder = vulkanDir === null ? null : resolve(vulkanDir);
  const pinned = holder[PIN];
  if (pinned !== undefined) {
    if (pinned.vulkanDir === folder) return pinned;
    throw new DeviceUnavailableError(
      "webgpu",
      `Vulkan runs with ${pinned.vulkanDir ?? "the host's drivers"} in this process and cannot change to ${folder ?? "the host's"}`,
    );
  }
  const missing = whyNoVulkan(folder);
  if (missing !== null) throw new DeviceUnavailableError("webgpu", missing);
  if (folder !== null) useDriverFrom(folder);
  const dawn = loadDawn();
  Object.assign(globalThis, dawn.globals);
  const pin: DawnPin = { dawn, vulkanDir: folder, gpus: new Map(), kept: [] };
  holder[PIN] = pin;
  return pin;
}

/** Points the Vulkan loader, which reads the C library's environment and not `process.env`, at the folder's driver. */
function useDriverFrom(folder: string): void {
  let files: string[];
  try {
    files = readdirSync(folder)
      .filter((name) => name.endsWith(".json"))
      .map((name) => join(folder, name));
  } catch (error) {
    throw new DeviceUnavailableError("webgpu", `KEEL_VULKAN_DIR ${folder} cannot be read: ${error}`);
  }
  if (files.length === 0) {
    throw new DeviceUnavailableError("webgpu", `KEEL_VULKAN_DIR ${folder} holds no ICD file (*.json)`);
  }
  const libc = dlopen("libc.so.6", {
    setenv: { args: [FFIType.ptr, FFIType.ptr, FFIType.i32], returns: FFIType.i32 },
  });
  const value = Buffer.from(`${files.join(":")}\0`);
  for (const name of ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"]) {
    libc.symbols.setenv(ptr(Buffer.from(`${name}\0`)), ptr(value), 1);
  }
}

/** Dawn opens the loader by its name, which finds the one that is open already. */
function openLoader(folder: string | null): boolean {
  const symbols = {
    vkGetInstanceProcAddr: { args: [FFIType.ptr, FFIType.ptr], returns: FFIType.ptr },
  } as const;
  const own = folder === null ? null : join(folder, "libvulkan.so.1");
  try {
    dlopen(own !== null && existsSync(own) ? own : "libvulkan.so.1", symbols);
    return true;
  } catch {
    return false;
  }
}

function loadDawn(): DawnModule {
  try {
    return require("webgpu/dist/linux-x64/dawn.node") as DawnModule;
  } catch (error) {
    throw new DeviceUnavailableError("webgpu", `Dawn cannot be loaded: ${error}`);
  }
}

/** Dawn's entry point that sees only adapters with `name` in their name. */
function boundTo(pin: DawnPin, name: string): GPU {
  let gpu = pin.gpus.get(name);
  if (gpu === undefined) {
    gpu = pin.dawn.create(["backend=vulkan", `adapter=${name}`]);
    pin.gpus.set(name, gpu);
  }
  return gpu;
}

async function adapterNames(pin: DawnPin): Promise<string[]> {
  try {
    await requestAdapter(boundTo(pin, NO_NAME));
    return [];
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return Array.from(text.matchAll(LISTED_ADAPTER), (match) => match[1] ?? "");
  }
}

async function requestAdapter(gpu: GPU): Promise<GPUAdapter | null> {
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (adapter !== null) pinGpuObject(adapter);
  return adapter;
}
