import { ANY_GPU, type GpuSelection } from "../../src/gpu/adapter.ts";
import { driverFolder } from "../../src/gpu/software.ts";
import { DEFAULT_ENGINE_SETTINGS, type EngineSettings } from "../../src/inference/settings.ts";
import { skipUnless } from "./shared-data.ts";

const folder = await driverFolder({ adapter: "software", vulkanDir: null });

/** Why the software adapter cannot be had, or null. */
const missing = folder === null ? "SwiftShader (of @sparticuz/chromium or a browser) is not here" : null;

export const SOFTWARE_GPU: GpuSelection | null =
  folder === null ? null : { adapter: "software", vulkanDir: folder };

/** Settings of the webgpu engine on the software adapter; on the host's own where that cannot be had. */
export const SOFTWARE_ENGINES: EngineSettings = {
  ...DEFAULT_ENGINE_SETTINGS,
  gpu: SOFTWARE_GPU ?? ANY_GPU,
};

/** True, with the reason printed, where a test needs the software adapter and it cannot be had. */
export const skipUnlessSoftwareGpu = (): boolean => skipUnless(missing === null, missing ?? "");

/** Takes away every device of this process, as a fault of the driver would. */
export function loseGpuDevices(): void {
  const pin = (globalThis as { [key: symbol]: { kept: object[] } | undefined })[Symbol.for("keel.dawn")];
  for (const object of pin?.kept ?? []) if (object instanceof GPUDevice) object.destroy();
}
