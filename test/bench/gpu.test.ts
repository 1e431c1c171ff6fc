import { expect, setDefaultTimeout, test } from "bun:test";
import { runGpuBench } from "../../src/bench/gpu.ts";
import { crossOvers, type PairRows } from "../../src/bench/gpu-timing.ts";
import type { BenchRow } from "../../src/bench/report.ts";
import { benchTable } from "../../src/bench/report.ts";
import { cpuIsas } from "../../src/inference/cpu.ts";
import { skipUnless } from "../support/shared-data.ts";
import { SOFTWARE_GPU, skipUnlessSoftwareGpu } from "../support/software-gpu.ts";

setDefaultTimeout(120_000);
const noCpuEngine = skipUnless(
  (await cpuIsas()).length > 0,
  "no native library: nothing to compare a GPU with",
);

/** The benchmark, small, so that it cannot rot. Its figures are not judged here. */
test.skipIf(skipUnlessSoftwareGpu() || noCpuEngine)(
  "gpu, on the software adapter, which it says",
  async () => {
    const report = await runGpuBench({
      seed: 1,
      rounds: 1,
      samplesPerRound: 5,
      sizeMax: 100,
      onnxRuntime: false,
      env: { KEEL_GPU: "software", KEEL_VULKAN_DIR: SOFTWARE_GPU?.vulkanDir ?? "" },
      log: () => {},
    });
    for (const name of ["empty", "roundtrip", "features-1", "chain-100", "step-fused", "path"]) {
      const row = report.rows.find((candidate) => candidate.name === `gpu/${name}`);
      expect(row).toMatchObject({ software: true });
      expect(row?.n).toBeGreaterThan(0);
    }
    expect(report.rows.some(({ name }) => name === "gpu/features-1/cpu")).toBe(true);
    expect(report.rows.find(({ name }) => name === "gpu/features-16/device")?.n ?? 20).toBe(20);
    expect(report.ratios.find(({ name }) => name === "gpu/path/cpu:gpu")?.value).toBeGreaterThanOrEqual(0);
    expect(report.host.gpu).toContain("(software)");
    expect(report.notes.join()).toMatch(/cross-over of features: .*SOFTWARE ADAPTER/);
    const [title, , ...lines] = benchTable(report);
    expect(title).toContain(String(report.host.gpu));
    expect(lines.find((line) => line.startsWith("gpu/path "))).toStartWith("gpu/path (software)");
    expect(lines.find((line) => line.startsWith("gpu/path/cpu"))).not.toContain("software");
  },
);

test("the cross-over is the size from which on the GPU is always the faster one", () => {
  const row = (p50: number): BenchRow => ({ name: "", unit: "us", n: 1, p50, p99: p50, p999: p50, max: p50 });
  const pair = (size: number, gpu: number, cpu: number): PairRows => ({
    pair: { name: `x-${size}`, kind: "x", size, gpu: async () => {}, cpu: () => {} },
    gpu: row(gpu),
    cpu: row(cpu),
  });
  expect(crossOvers([pair(1, 50, 1), pair(16, 50, 60), pair(256, 60, 50), pair(1_024, 60, 900)])).toEqual([
    "cross-over of x: the GPU is faster from 1024 on",
  ]);
  expect(crossOvers([pair(1, 50, 1), pair(16, 50, 20)])).toEqual([
    "cross-over of x: none up to 16; the CPU is faster",
  ]);
});
