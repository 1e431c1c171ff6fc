import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ANY_GPU } from "../../src/gpu/adapter.ts";
import { Gpu } from "../../src/gpu/device.ts";
import { GpuError, GpuLimitError, GpuLostError } from "../../src/gpu/errors.ts";
import { KeepAlive } from "../../src/gpu/keep-alive.ts";
import { Readback } from "../../src/gpu/readback.ts";
import { PassTimer } from "../../src/gpu/timestamps.ts";
import { SOFTWARE_GPU, skipUnlessSoftwareGpu } from "../support/software-gpu.ts";

const SELECTION = SOFTWARE_GPU ?? ANY_GPU;
const BYTES = 256;
const DOUBLE = `
override FACTOR: u32 = 2u;
@group(0) @binding(0) var<storage, read_write> values: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  values[id.x] = values[id.x] * FACTOR;
}`;

describe.skipIf(skipUnlessSoftwareGpu())("the GPU", () => {
  let gpu: Gpu;
  beforeAll(async () => {
    gpu = await Gpu.open(SELECTION);
  });
  afterAll(() => gpu.close());

  async function doubled(on: Gpu, timer: PassTimer | null = null): Promise<number[]> {
    const { STORAGE, COPY_SRC } = GPUBufferUsage;
    const data = Uint32Array.from({ length: BYTES / 4 }, (_, at) => at);
    const buffer = on.buffers.takeWith("values", data, STORAGE | COPY_SRC);
    const pipeline = await on.pipelines.compute("double", DOUBLE, "main");
    const readback = new Readback(on, "values", BYTES);
    const encoder = on.device.createCommandEncoder();
    const pass = encoder.beginComputePass(timer === null ? undefined : { timestampWrites: timer.writes(0) });
    pass.setPipeline(pipeline);
    const layout = pipeline.getBindGroupLayout(0);
    pass.setBindGroup(
      0,
      on.device.createBindGroup({ layout, entries: [{ binding: 0, resource: { buffer } }] }),
    );
    pass.dispatchWorkgroups(1);
    pass.end();
    timer?.resolve(encoder);
    readback.copy(encoder, buffer, 0, 0, BYTES);
    on.submit(encoder.finish());
    let found: number[] = [];
    await readback.read(BYTES, (bytes) => {
      found = [...new Uint32Array(bytes)];
    });
    readback.close();
    on.buffers.give(buffer);
    return found;
  }

  test("computes what a shader says", async () => {
    expect(await doubled(gpu)).toEqual(Array.from({ length: BYTES / 4 }, (_, at) => at * 2));
  });

  test("tells what the adapter can do", () => {
    expect(gpu).toMatchObject({ software: true, adapter: expect.stringContaining("SwiftShader") });
    expect(gpu.limits.maxComputeInvocationsPerWorkgroup).toBeGreaterThanOrEqual(256);
    expect(typeof gpu.capabilities.f16).toBe("boolean");
  });

  test("is one device for all who select it, until the last of them closes it", async () => {
    const second = await Gpu.open(SELECTION);
    expect(second).toBe(gpu);
    second.close();
    expect(await doubled(gpu)).toHaveLength(BYTES / 4);
  });

  test("is not opened by choice where it is software", async () => {
    await expect(Gpu.open(SELECTION, { automatic: true })).rejects.toThrow(
      /software adapter, used only when asked/,
    );
  });

  test("a shader that does not compile is an error that names it and the line", async () => {
    const attempt = gpu.pipelines.compute("wrong", "fn main() { nonsense }", "main");
    await expect(attempt).rejects.toThrow(GpuError);
    await expect(attempt).rejects.toThrow(/shader wrong: validation error of the device: .*1:\d+ error/s);
  });

  test("an entry point that is not there is an error, and the device goes on", async () => {
    const attempt = gpu.pipelines.compute("double", DOUBLE, "absent");
    await expect(attempt).rejects.toThrow(/pipeline double\/absent: validation error/);
    expect(await doubled(gpu)).toHaveLength(BYTES / 4);
  });

  test("equal pipelines are compiled once, others apart", async () => {
    const pipelines = await Promise.all(
      [2, 2, 3].map((FACTOR) => gpu.pipelines.compute("double", DOUBLE, "main", { FACTOR })),
    );
    expect(pipelines[1]).toBe(pipelines[0]);
    expect(pipelines[2]).not.toBe(pipelines[0]);
  });

  test("a buffer that was given back is handed out again, and only once", () => {
    const { STORAGE, UNIFORM } = GPUBufferUsage;
    const first = gpu.buffers.take("a", 100, STORAGE);
    const { bytes } = gpu.buffers;
    gpu.buffers.give(first);
    expect(gpu.buffers.take("b", 112, STORAGE)).toBe(first);
    const other = gpu.buffers.take("c", 112, UNIFORM);
    expect(other).not.toBe(first);
    expect(gpu.buffers.bytes).toBe(bytes + 112);
    gpu.buffers.give(first);
    gpu.buffers.give(other);
    expect(() => gpu.buffers.give(first)).toThrow(/given back once/);
  });

  test("a buffer beyond the adapter's limits is refused by name and number", () => {
    const attempt = () => gpu.buffers.take("huge", 2 ** 40, GPUBufferUsage.STORAGE);
    expect(attempt).toThrow(GpuLimitError);
    expect(attempt).toThrow(/buffer huge needs 1099511627776, the adapter's maxBufferSize is \d+/);
  });

  test("passes are timed on the device's clock where it has one", async () => {
    const timer = PassTimer.create(gpu, 1);
    expect(timer === null).toBe(!gpu.capabilities.timestamps);
    if (timer === null) return;
    await doubled(gpu, timer);
    const [ns] = await timer.read();
    expect(ns).toBeGreaterThanOrEqual(0);
    expect(ns).toBeLessThan(10e9);
    timer.close();
  });

  test("an idle device is touched, a busy one is not", async () => {
    const alive = new KeepAlive(gpu, 5, { software: true });
    for (const untilMs = performance.now() + 30_000; performance.now() < untilMs && alive.touches < 3; )
      await Bun.sleep(5);
    expect(alive.touches).toBeGreaterThanOrEqual(3);
    alive.stop();
    const off = new KeepAlive(gpu, 5);
    await Bun.sleep(30);
    expect(off.touches).toBe(0);
  });

  test("a lost device rejects what is in flight and all that follows; the next one opened works", async () => {
    const own = await Gpu.open({ ...SELECTION, adapter: "swiftshader" });
    expect(own).not.toBe(gpu);
    const flight = doubled(own);
    own.device.destroy();
    await expect(flight).rejects.toThrow();
    await expect(own.loss).rejects.toThrow(GpuLostError);
    expect(own.lost?.reason).not.toBe("");
    expect(() => own.submit(own.device.createCommandEncoder().finish())).toThrow(GpuLostError);
    const next = await Gpu.open({ ...SELECTION, adapter: "swiftshader" });
    expect(next).not.toBe(own);
    expect(await doubled(next)).toHaveLength(BYTES / 4);
    own.close();
    expect(await doubled(next)).toHaveLength(BYTES / 4);
    next.close();
  });

  test("a device closed more often than it was opened is a bug", async () => {
    const own = await Gpu.open({ ...SELECTION, adapter: "0" });
    own.close();
    expect(() => own.close()).toThrow(/closed as often as it was opened/);
  });
});
