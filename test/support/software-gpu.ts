import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { brotliDecompressSync } from "node:zlib";
import type { GpuSelection } from "../../src/inference/gpu.ts";
import { DEFAULT_ENGINE_SETTINGS, type EngineSettings } from "../../src/inference/settings.ts";
import { skipUnless } from "./shared-data.ts";

const root = resolve(import.meta.dir, "../..");
const packageFolder = join(root, "node_modules/@sparticuz/chromium");

/** Why the software adapter cannot be had, or null. */
const missing =
  process.platform !== "linux" || process.arch !== "x64"
    ? `no software adapter for ${process.platform}-${process.arch}`
    : existsSync(join(packageFolder, "bin/swiftshader.tar.br"))
      ? null
      : "@sparticuz/chromium, which carries SwiftShader, is not installed";

export const SOFTWARE_GPU: GpuSelection | null =
  missing === null ? { adapter: "software", vulkanDir: await unpacked() } : null;

/** Settings of the webgpu engine on the software adapter; on the host's own where that cannot be had. */
export const SOFTWARE_ENGINES: EngineSettings = {
  ...DEFAULT_ENGINE_SETTINGS,
  gpu: SOFTWARE_GPU ?? DEFAULT_ENGINE_SETTINGS.gpu,
};

/** True, with the reason printed, where a test needs the software adapter and it cannot be had. */
export const skipUnlessSoftwareGpu = (): boolean => skipUnless(missing === null, missing ?? "");

/** SwiftShader's driver and loader from the package's archive, unpacked once for all runs. */
async function unpacked(): Promise<string> {
  const { version } = await Bun.file(join(packageFolder, "package.json")).json();
  const folder = join(root, "dist", `swiftshader-${version}`);
  if (existsSync(folder)) return folder;
  mkdirSync(dirname(folder), { recursive: true });
  const partial = mkdtempSync(join(dirname(folder), ".swiftshader-"));
  const archive = await Bun.file(join(packageFolder, "bin/swiftshader.tar.br")).bytes();
  await new Bun.Archive(brotliDecompressSync(archive)).extract(partial);
  try {
    renameSync(partial, folder);
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    if (!existsSync(folder)) throw error;
  }
  return folder;
}

/** Takes away every device of this process, as a fault of the driver would. */
export function loseGpuDevices(): void {
  const pin = (globalThis as { [key: symbol]: { kept: object[] } | undefined })[Symbol.for("keel.dawn")];
  for (const object of pin?.kept ?? []) if (object instanceof GPUDevice) object.destroy();
}
