import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { loadNative, nativeFloats, nativeInts, nativeMemory } from "../../src/core/native.ts";

const native = await loadNative();
if (native.missing !== null) console.warn(`native library not tested: ${native.missing}`);

describe.skipIf(native.functions === null)("the native library", () => {
  const { functions } = native;
  if (functions === null) return;

  test("is loaded once", async () => {
    expect(await loadNative()).toBe(native);
  });

  test("always has kernels for any CPU", () => {
    expect(functions.keel_isa_mask() & 1).toBe(1);
  });

  test("reads a clock that all processes of the host share", async () => {
    const before = functions.keel_monotonic_ns();
    const script = `
      const { loadNative } = await import(${JSON.stringify(join(import.meta.dir, "../../src/core/native.ts"))});
      console.log((await loadNative()).functions.keel_monotonic_ns());`;
    const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
    const between = Number(await child.stdout.text());
    expect(between).toBeGreaterThan(before);
    expect(functions.keel_monotonic_ns()).toBeGreaterThan(between);
  });
});

describe("native memory", () => {
  test("starts on a cache line, is zeroed, and has room behind it", () => {
    for (const bytes of [0, 1, 63, 64, 100_000]) {
      const memory = nativeMemory(bytes);
      expect(memory.address % 64).toBe(0);
      expect(memory.buffer.byteLength - memory.byteOffset).toBeGreaterThanOrEqual(bytes + 64);
      expect(new Uint8Array(memory.buffer).every((byte) => byte === 0)).toBe(true);
    }
  });

  test("is seen through views of exactly the length asked for", () => {
    expect(nativeFloats(5).values).toEqual(new Float32Array(5));
    expect(nativeInts(3).values).toEqual(new Int32Array(3));
  });
});

describe("compiling the native library", () => {
  test("without a compiler says what to install", async () => {
    const compile = join(import.meta.dir, "../../ffi/compile.ts");
    const script = `
      const { compileNative } = await import(${JSON.stringify(compile)});
      await compileNative("/nonexistent/libkeel.so").catch((error) => console.log(error.message));`;
    const child = Bun.spawn([process.execPath, "-e", script], {
      stdout: "pipe",
      env: { PATH: "/nonexistent" },
    });
    expect((await child.stdout.text()).trim()).toBe(
      "no C compiler: install gcc or clang (cc is not on PATH)",
    );
  });
});
