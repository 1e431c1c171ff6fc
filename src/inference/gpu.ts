import { dlopen } from "bun:ffi";
import { DeviceUnavailableError } from "../core/errors.ts";

/**
 * Dawn's objects live on globalThis: JavaScriptCore collects a `GPU`, adapter or device that is only held by a module
 * constant, and Dawn then faults.
 */
interface DawnPin {
  gpu: GPU;
  kept: object[];
}

const PIN = Symbol.for("keel.dawn");

interface DawnModule {
  create(flags: string[]): GPU;
  globals: Record<string, unknown>;
}

/**
 * Dawn's entry point, started once for the process.
 *
 * @throws DeviceUnavailableError when this platform has no Dawn here or the host has no Vulkan loader; Dawn is then not
 * loaded at all.
 */
export function startDawn(): GPU {
  const holder = globalThis as { [PIN]?: DawnPin };
  const pinned = holder[PIN];
  if (pinned !== undefined) return pinned.gpu;
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new DeviceUnavailableError(
      "webgpu",
      `no Dawn for ${process.platform}-${process.arch} in this build`,
    );
  }
  try {
    dlopen("libvulkan.so.1", {});
  } catch {
    throw new DeviceUnavailableError("webgpu", "no Vulkan loader: install libvulkan1 and the GPU's driver");
  }
  const dawn = loadDawn();
  Object.assign(globalThis, dawn.globals);
  const gpu = dawn.create([]);
  holder[PIN] = { gpu, kept: [] };
  return gpu;
}

/** Keeps an adapter or device alive for the life of the process. */
export function pinGpuObject(object: object): void {
  (globalThis as { [PIN]?: DawnPin })[PIN]?.kept.push(object);
}

function loadDawn(): DawnModule {
  try {
    return require("webgpu/dist/linux-x64/dawn.node") as DawnModule;
  } catch (error) {
    throw new DeviceUnavailableError("webgpu", `Dawn cannot be loaded: ${error}`);
  }
}
