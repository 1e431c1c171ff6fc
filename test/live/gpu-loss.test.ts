import { expect, setDefaultTimeout, test } from "bun:test";
import { REASON } from "../../src/quote/quote-batch.ts";
import { loseGpuDevices, SOFTWARE_GPU, skipUnlessSoftwareGpu } from "../support/software-gpu.ts";
import { Harness } from "./harness.ts";

setDefaultTimeout(120_000);
const RESTART_MS = 40_000;

test.skipIf(skipUnlessSoftwareGpu())(
  "a desk whose GPU is lost quotes on defensively and gets it back",
  async () => {
    const harness = await Harness.start({
      KEEL_DEVICE: "gpu",
      KEEL_GPU: "software",
      KEEL_MODEL: "lstm-residual",
      KEEL_VULKAN_DIR: SOFTWARE_GPU?.vulkanDir ?? "",
    });
    try {
      const { counters } = harness.desk;
      await harness.until("predictions", () => counters.predictions > 3);
      expect(["wgsl", "webgpu"]).toContain(harness.live.engineName);

      loseGpuDevices();
      await harness.until("the loss is noticed", () => harness.desk.modelStatus(0) === REASON.engineLost);
      const { quotesSent } = counters;
      await harness.until("quotes without the engine", () => counters.quotesSent > quotesSent);

      const { predictions } = counters;
      await harness.until("predictions again", () => counters.predictions > predictions + 3, RESTART_MS);
      expect(harness.violations).toEqual([]);
    } finally {
      await harness.stop();
      harness.remove();
    }
  },
);
