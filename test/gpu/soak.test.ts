import { expect, setDefaultTimeout, test } from "bun:test";
import { skipUnlessSoftwareGpu } from "../support/software-gpu.ts";
import { gpuSoak } from "./soak.ts";

setDefaultTimeout(120_000);
/** What starting an engine anew may add to the resident memory, MB. */
const RESTART_MB = 150;

test.skipIf(skipUnlessSoftwareGpu())(
  "dispatch upon dispatch, a device lost on the way: defensive quotes in that turn, then predictions again",
  async () => {
    const report = await gpuSoak(4, () => {});
    expect(report.submits).toBeGreaterThan(20);
    expect(report.lossQuotes).toBeGreaterThan(0);
    expect(report.lossDefensive).toBe(report.lossQuotes);
    expect(report.predictionsAfterLoss).toBeGreaterThan(50);
    expect(report.rssMbLate).toBeLessThan(report.rssMbEarly + RESTART_MB);
  },
);
