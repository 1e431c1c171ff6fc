import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findCompiler } from "../../ffi/compile.ts";
import { compileTensorRt, findHeaders } from "../../ffi/compile-tensorrt.ts";
import { DeviceUnavailableError, ModelRefusedError } from "../../src/core/errors.ts";
import { InvariantError } from "../../src/core/invariant.ts";
import { EngineLostError } from "../../src/inference/engine.ts";
import { DEFAULT_ENGINE_SETTINGS, type TensorRtSettings } from "../../src/inference/settings.ts";
import type { StepModel } from "../../src/inference/step-model.ts";
import { TensorRtEngine } from "../../src/inference/tensorrt.ts";
import { skipUnless } from "../support/shared-data.ts";
import { SMALL, testModel } from "./test-model.ts";

const folder = mkdtempSync(join(tmpdir(), "keel-tensorrt-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const F = SMALL.featureCount;
const K = SMALL.heads;
const base = testModel();
/** The model that `fake-tensorrt.c` computes. */
const model: StepModel = {
  ...base,
  card: {
    ...base.card,
    states: [
      { name: "s", shape: [2, 1] },
      { name: "r", shape: [1] },
    ],
  },
};

const compiler = findCompiler();

async function compileFake(name: string, ...flags: string[]): Promise<string> {
  const path = join(folder, name);
  const source = join(import.meta.dir, "fake-tensorrt.c");
  const child = Bun.spawn([compiler ?? "cc", "-shared", "-fPIC", "-O1", ...flags, source, "-o", path]);
  if ((await child.exited) !== 0) throw new Error("the test library does not compile");
  return path;
}

describe.skipIf(skipUnless(compiler !== null, "no C compiler for the TensorRT test library"))(
  "through a test library",
  () => {
    let library = "";
    beforeAll(async () => {
      library = await compileFake("fake.so");
    });
    const start = (changes: Partial<TensorRtSettings> = {}, slots = 4, batch = 3) =>
      TensorRtEngine.start(model, slots, batch, {
        tensorrt: { ...DEFAULT_ENGINE_SETTINGS.tensorrt, library, ...changes },
      });
    const row = (first: number): number[] => [first, ...new Array(F - 1).fill(1)];
    const step = async (
      engine: TensorRtEngine,
      ...rows: [slot: number, first: number][]
    ): Promise<number[]> => {
      for (const [index, [slot, first]] of rows.entries()) {
        engine.slots[index] = slot;
        engine.features.set(row(first), index * F);
      }
      await engine.submit(rows.length);
      return rows.map((_, index) => engine.probabilities[index * K]);
    };
    /** p[0] after these first features, from the initial state. */
    const expected = (...firsts: number[]): number => {
      let [sum, last] = [0, 0];
      for (const first of firsts) [sum, last] = [sum / 2 + first + F - 1, last / 2 + first];
      return sum + 10 * last + 100 * firsts.length;
    };

    test("advances the slots of a batch and leaves the others", async () => {
      const engine = await start();
      expect(await step(engine, [2, 1])).toEqual([expected(1)]);
      expect([...engine.probabilities.subarray(0, K)]).toEqual(
        Array.from({ length: K }, (_, k) => expected(1) + k),
      );
      expect(await step(engine, [0, 4], [2, 2], [3, 0])).toEqual([expected(4), expected(1, 2), expected(0)]);
      expect(await step(engine, [2, 8])).toEqual([expected(1, 2, 8)]);
      await engine.dispose();
    });

    test("a reset slot starts again, also after a warm-up and a batch it was reset in", async () => {
      const engine = await start();
      await engine.warmUp();
      expect(await step(engine, [1, 1])).toEqual([expected(1)]);
      engine.features.set(row(2));
      const flight = engine.submit(1);
      engine.resetSlot(1);
      await flight;
      expect(await step(engine, [1, 3])).toEqual([expected(3)]);
      await engine.dispose();
    });

    test("the shim is told the model, the folder for plans and the settings", async () => {
      const cacheDir = join(folder, "plans");
      const engine = await start({ cacheDir, wait: "block", precision: "fp16" });
      const { onnxSha256 } = model.card;
      const onnx = `${model.onnx.byteLength} bytes of ONNX from ${Buffer.from(model.onnx.subarray(0, 1)).toString("hex")}`;
      expect(engine.description).toBe(
        `${onnxSha256.slice(0, 8)}, ${onnx}, cache ${cacheDir}, precision 1, spin 0`,
      );
      expect(statSync(cacheDir).mode & 0o777).toBe(0o700);
      expect(engine.precisionTolerance).toBeGreaterThan(0);
      expect(engine.memoryBytes()).toBeGreaterThan(4 * 12);
      await engine.dispose();
      const other = await start();
      expect(other.description).toEndWith("cache none, precision 0, spin 1");
      expect(other.precisionTolerance).toBe(0);
      await other.dispose();
    });

    test("what the host lacks and what the model lacks are told apart", async () => {
      await expect(start({ device: 7 })).rejects.toThrow(
        new DeviceUnavailableError("tensorrt", "no CUDA device 7"),
      );
      await expect(start({ precision: "int8" })).rejects.toThrow(ModelRefusedError);
      await expect(start({ precision: "int8" })).rejects.toThrow(/the ONNX file is not quantised/);
      const readable = join(folder, "a-file");
      writeFileSync(readable, "");
      await expect(start({ cacheDir: join(readable, "plans") })).rejects.toThrow(
        /KEEL_TENSORRT_CACHE_DIR .* cannot be used/,
      );
    });

    test("a folder for plans that others may write to is refused", async () => {
      const open = join(folder, "open");
      mkdirSync(open);
      chmodSync(open, 0o777);
      await expect(start({ cacheDir: open })).rejects.toThrow(/others may write to it/);
    });

    test("a device that fails is lost for good", async () => {
      const engine = await start();
      await expect(step(engine, [0, -1])).rejects.toThrow(EngineLostError);
      await expect(step(engine, [0, 1])).rejects.toThrow(
        "tensorrt: device lost: a step: CUDA_ERROR_ILLEGAL_ADDRESS",
      );
      engine.resetSlot(0);
      await engine.dispose();
    });

    test("counts, slots and uses out of range are refused", async () => {
      const engine = await start();
      for (const count of [0, 4, 1.5]) await expect(engine.submit(count)).rejects.toThrow(InvariantError);
      engine.slots[0] = 4;
      await expect(engine.submit(1)).rejects.toThrow(InvariantError);
      expect(() => engine.resetSlot(-1)).toThrow(InvariantError);
      expect(() => engine.step(0)).toThrow(InvariantError);
      await engine.dispose();
      await engine.dispose();
      await expect(engine.submit(1)).rejects.toThrow(InvariantError);
    });

    test("a shim of another interface is refused", async () => {
      const other = await compileFake("other.so", "-DFAKE_ABI=99");
      await expect(start({ library: other })).rejects.toThrow(/has interface 99, this build expects 1/);
    });

    test("a shim that is not there, or is none, is named", async () => {
      await expect(start({ library: join(folder, "none.so") })).rejects.toThrow(
        /no file .*none\.so \(KEEL_TENSORRT_LIBRARY\)/,
      );
      const text = join(folder, "text.so");
      writeFileSync(text, "no library");
      await expect(start({ library: text })).rejects.toThrow(/^tensorrt: no shim: /);
    });
  },
);

describe("finding the headers", () => {
  test("both are looked for where the variables point", () => {
    const [tensorrt, cuda] = [join(folder, "trt"), join(folder, "cuda")];
    for (const home of [tensorrt, cuda]) mkdirSync(join(home, "include"), { recursive: true });
    const env = { TENSORRT_HOME: tensorrt, CUDA_HOME: cuda };
    expect(() => findHeaders(env)).toThrow(/^no NvInfer\.h in .*trt\/include.*: set TENSORRT_HOME/);
    writeFileSync(join(tensorrt, "include/NvInfer.h"), "");
    expect(() => findHeaders(env)).toThrow(/^no cuda\.h in .*cuda\/include.*: set CUDA_HOME/);
    writeFileSync(join(cuda, "include/cuda.h"), "");
    expect(findHeaders(env)).toEqual({ tensorrt: join(tensorrt, "include"), cuda: join(cuda, "include") });
  });
});

/** The headers of this host, or null. */
const headers = (() => {
  try {
    return findHeaders();
  } catch (error) {
    skipUnless(
      false,
      `the TensorRT shim is not compiled here: ${error instanceof Error ? error.message : error}`,
    );
    return null;
  }
})();
const hasDriver = ["/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"].some((path) =>
  existsSync(join(path, "libcuda.so.1")),
);

test.skipIf(headers === null || hasDriver)(
  "the shim compiles without warnings and says that there is no driver",
  async () => {
    const library = join(folder, "shim.so");
    await compileTensorRt(library, headers ?? undefined, ["-Werror"]);
    const attempt = TensorRtEngine.start(testModel(), 2, 2, {
      tensorrt: { ...DEFAULT_ENGINE_SETTINGS.tensorrt, library },
    });
    await expect(attempt).rejects.toThrow(
      /^tensorrt: no CUDA driver \(libcuda\.so\.1\): install NVIDIA's driver/,
    );
  },
  120_000,
);
