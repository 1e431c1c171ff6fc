import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gpu as gpuFinding } from "../../src/command/doctor/devices.ts";
import { DeviceUnavailableError } from "../../src/core/errors.ts";
import { type GpuAdapterEntry, matchAdapter } from "../../src/gpu/adapter.ts";
import { checkCompute, checkNumbers, expectedProbe } from "../../src/gpu/compute-check.ts";
import { type DeviceProbe, isolatedProbe } from "../../src/inference/probe.ts";
import { SOFTWARE_GPU, skipUnlessSoftwareGpu } from "../support/software-gpu.ts";

const H100: GpuAdapterEntry = { name: "NVIDIA H100 80GB HBM3", software: false };
const A10: GpuAdapterEntry = { name: "NVIDIA A10", software: false };
const A100: GpuAdapterEntry = { name: "NVIDIA A100-SXM4-40GB", software: false };
const LAVAPIPE: GpuAdapterEntry = { name: "llvmpipe (LLVM 19.1.0, 256 bits)", software: true };

describe("choosing an adapter", () => {
  test.each([
    [[LAVAPIPE, H100], null, H100],
    [[LAVAPIPE, H100, A100], "a100", A100],
    [[LAVAPIPE, H100], "0", LAVAPIPE],
    [[H100, LAVAPIPE], "software", LAVAPIPE],
    [[H100, LAVAPIPE], "LLVMPIPE", LAVAPIPE],
  ] as const)("of %p, %p takes %p", (entries, wanted, expected) => {
    expect(matchAdapter(entries, wanted)).toBe(expected);
  });

  test.each([
    [[], null, /no driver: install/],
    [[LAVAPIPE], null, /only software adapters here \(0: llvmpipe.*KEEL_GPU=software/],
    [[H100], "software", /no software adapter here \(0: NVIDIA H100.*KEEL_VULKAN_DIR/],
    [[H100], "A100", /no adapter "A100" here; there are 0: NVIDIA H100/],
    [[H100], "1", /no adapter "1" here/],
  ] as const)("of %p, %p is refused with what there is", (entries, wanted, message) => {
    expect(() => matchAdapter(entries, wanted)).toThrow(message);
    expect(() => matchAdapter(entries, wanted)).toThrow(DeviceUnavailableError);
  });

  test("one that Dawn would confuse with another is refused", () => {
    expect(() => matchAdapter([A100, { ...A100 }], "1")).toThrow(/make only the wanted GPU visible/);
    expect(matchAdapter([A100, A10], "A10")).toBe(A100);
    expect(() => matchAdapter([{ name: "NVIDIA A10G", software: false }, A10], "1")).toThrow(
      /takes the first/,
    );
  });
});

describe("what doctor says of the GPU", () => {
  const probe: DeviceProbe = { isa: [], gpuAdapters: [], gpuCompute: null, gpuReason: "why", tensorrt: null };
  const gpuCompute = { adapter: "NVIDIA H100", software: false, driver: "NVIDIA 580.1", roundTripUs: 71.4 };

  test.each([
    [
      { ...probe, gpuAdapters: ["NVIDIA H100"], gpuCompute, gpuReason: null },
      null,
      "ok",
      /round trip 71.4 µs/,
    ],
    [probe, null, "ok", /^none: why$/],
    [{ ...probe, gpuAdapters: ["llvmpipe (software)"] }, null, "ok", /^none: why$/],
    [{ ...probe, gpuAdapters: ["NVIDIA H100"] }, null, "warn", /^why$/],
    [probe, "H100", "fail", /^why$/],
  ] as const)("%p, asked for %p: %s", (found, asked, status, detail) => {
    const finding = gpuFinding(found, asked);
    expect(finding.status).toBe(status);
    expect(finding.detail).toMatch(detail);
  });
});

describe("the compute check", () => {
  test("its expected numbers are the shader's arithmetic", () => {
    const { hashes, sums } = expectedProbe(Uint32Array.from({ length: 128 }, (_, index) => index));
    expect(new Set(hashes).size).toBe(128);
    const sum = hashes.subarray(64).reduce((total, hash) => total + (hash & 4095) / 8, 0);
    expect(sums[1]).toBe(sum);
  });

  test("a wrong number is named", () => {
    expect(() => checkNumbers(H100, "hash", [1, 2, 4], [1, 2, 3])).toThrow(
      "webgpu: NVIDIA H100 80GB HBM3: computes wrongly: hash 2 is 4, expected 3",
    );
  });

  test.skipIf(skipUnlessSoftwareGpu())("the software adapter computes rightly", async () => {
    const found = await checkCompute(SOFTWARE_GPU ?? { adapter: null, vulkanDir: null });
    expect(found).toMatchObject({ adapter: expect.stringContaining("SwiftShader"), software: true });
    expect(found.roundTripUs).toBeGreaterThan(0);
  });

  test.skipIf(skipUnlessSoftwareGpu())(
    "runs in a child process, for the adapter that the environment selects",
    async () => {
      const env = { ...process.env, KEEL_VULKAN_DIR: SOFTWARE_GPU?.vulkanDir ?? "" };
      const found = await isolatedProbe({ ...env, KEEL_GPU: "software" });
      expect(found).toMatchObject({ gpuCompute: { software: true }, gpuReason: null });
      const none = await isolatedProbe({ ...env, KEEL_GPU: "no such GPU" });
      expect(none.gpuReason).toContain('no adapter "no such GPU" here; there are 0: SwiftShader');
      expect(none.gpuCompute).toBeNull();
    },
  );

  test("a folder without a driver is named", async () => {
    const folder = mkdtempSync(join(tmpdir(), "keel-no-driver-"));
    try {
      const found = await isolatedProbe({ ...process.env, KEEL_GPU: "", KEEL_VULKAN_DIR: folder });
      expect(found.gpuReason).toMatch(/holds no ICD file|no Vulkan loader|no Dawn for/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
