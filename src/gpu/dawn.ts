import { dlopen, FFIType, ptr } from "bun:ffi";
import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { DeviceUnavailableError } from "../core/errors.ts";

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

export const NO_LOADER =
  "no Vulkan loader: install the GPU's driver and libvulkan1 (Debian, Ubuntu) or vulkan-loader (Fedora, RHEL)";

/**
 * Unrounded timestamps where a device is asked for them; Dawn otherwise rounds them to 100 µs. Buffers for reading back are
 * mapped as soon as the device is done with them.
 */
const DAWN_FLAGS = [
  "backend=vulkan",
  "disable-dawn-features=timestamp_quantization",
  "enable-dawn-features=auto_map_backend_buffer",
];

/** Keeps a GPU object alive for the life of the process. */
export function pinGpuObject(object: object): void {
  holder[PIN]?.kept.push(object);
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

/**
 * Loads Dawn once for the process.
 *
 * @throws DeviceUnavailableError when there is no Dawn or no Vulkan loader, or Dawn runs already with other drivers.
 */
export function startDawn(vulkanDir: string | null): void {
  const folder = vulkanDir === null ? null : resolve(vulkanDir);
  const pinned = holder[PIN];
  if (pinned !== undefined) {
    if (pinned.vulkanDir === folder) return;
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
  holder[PIN] = { dawn, vulkanDir: folder, gpus: new Map(), kept: [] };
}

/** Dawn's entry point that sees only adapters with `name` in their name; null for all of them. Dawn has been started. */
export function dawnFor(name: string | null): GPU {
  const pin = holder[PIN];
  if (pin === undefined) throw new DeviceUnavailableError("webgpu", "Dawn is not started");
  const key = name ?? "";
  let gpu = pin.gpus.get(key);
  if (gpu === undefined) {
    gpu = pin.dawn.create(name === null ? DAWN_FLAGS : [...DAWN_FLAGS, `adapter=${name}`]);
    pin.gpus.set(key, gpu);
  }
  return gpu;
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
