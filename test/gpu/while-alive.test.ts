import { heapStats } from "bun:jsc";
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { Gpu } from "../../src/gpu/device.ts";
import { GpuLostError } from "../../src/gpu/errors.ts";
import { Readback } from "../../src/gpu/readback.ts";
import { loseGpuDevices, SOFTWARE_ENGINES, skipUnlessSoftwareGpu } from "../support/software-gpu.ts";

setDefaultTimeout(120_000);

describe.skipIf(skipUnlessSoftwareGpu())("waiting for the device", () => {
  test("leaves nothing behind, however often", async () => {
    const gpu = await Gpu.open(SOFTWARE_ENGINES.gpu);
    const source = gpu.buffers.take("source", 16, GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST);
    const readback = new Readback(gpu, "test", 16);
    const round = async (times: number): Promise<number> => {
      for (let i = 0; i < times; i += 1) {
        const encoder = gpu.device.createCommandEncoder();
        readback.copy(encoder, source, 0, 0, 16);
        gpu.submit(encoder.finish());
        await readback.read(16, () => {});
      }
      Bun.gc(true);
      await Bun.sleep(1);
      Bun.gc(true);
      return heapStats().objectTypeCounts.Promise ?? 0;
    };
    const before = await round(50);
    expect((await round(500)) - before).toBeLessThan(100);
    readback.close();
    gpu.close();
  });

  test("ends with the device", async () => {
    const gpu = await Gpu.open(SOFTWARE_ENGINES.gpu);
    const never = new Promise<void>(() => {});
    const waiting = gpu.whileAlive(never);
    expect(await gpu.whileAlive(Promise.resolve(3))).toBe(3);
    await expect(gpu.whileAlive(Promise.reject(new RangeError("no")))).rejects.toThrow(RangeError);
    loseGpuDevices();
    await expect(waiting).rejects.toThrow(GpuLostError);
    await expect(gpu.whileAlive(Promise.reject(new RangeError("late")))).rejects.toThrow(GpuLostError);
    gpu.close();
  });
});
