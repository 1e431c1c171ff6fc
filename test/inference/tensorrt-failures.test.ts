import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { compileTensorRt, findHeaders } from "../../ffi/compile-tensorrt.ts";
import { EXIT } from "../../src/core/errors.ts";
import { skipUnless } from "../support/shared-data.ts";

const root = resolve(import.meta.dir, "../..");
const folder = mkdtempSync(join(tmpdir(), "keel-tensorrt-failures-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The headers of this host, or null. */
const headers = (() => {
  try {
    return findHeaders();
  } catch (error) {
    skipUnless(
      false,
      `what the TensorRT shim says of a bad host: ${error instanceof Error ? error.message : error}`,
    );
    return null;
  }
})();

/** The real shim, found by the executable's own way, on a host whose driver and TensorRT are stand-ins that fail. */
describe.skipIf(headers === null)("the TensorRT shim on a host where something is wrong", () => {
  const shim = join(folder, "shim.so");
  const cuda = join(folder, "cuda");
  const both = join(folder, "both");

  async function compile(source: string, at: string, name: string, ...flags: string[]): Promise<void> {
    mkdirSync(at, { recursive: true });
    const child = Bun.spawn(["c++", "-shared", "-fPIC", "-w", ...flags, source, "-o", join(at, name)]);
    if ((await child.exited) !== 0) throw new Error(`${source} does not compile`);
  }

  async function said(libraries: string, fault = ""): Promise<string> {
    const child = Bun.spawn([process.execPath, "src/main.ts", "check-engine", "--json"], {
      cwd: root,
      env: {
        PATH: process.env.PATH ?? "",
        HOME: folder,
        KEEL_DEVICE: "tensorrt",
        KEEL_TENSORRT_LIBRARY: shim,
        KEEL_STATE_DIR: join(folder, "state"),
        LD_LIBRARY_PATH: libraries,
        ...(fault === "" ? {} : { FAKE_CUDA: fault }),
      },
      stdout: "pipe",
      stderr: "ignore",
    });
    const [text, code] = await Promise.all([child.stdout.text(), child.exited]);
    expect(code).toBe(EXIT.deviceUnavailable);
    const { error } = JSON.parse(text.trimEnd().split("\n").at(-1) ?? "") as { error: { message: string } };
    return error.message;
  }

  beforeAll(async () => {
    if (headers === null) return;
    await compileTensorRt(shim, headers);
    const fake = join(import.meta.dir, "fake-cuda.cpp");
    for (const at of [cuda, both]) await compile(fake, at, "libcuda.so.1", "-isystem", headers.cuda);
  }, 120_000);

  test("names a driver that does not start", async () => {
    expect(await said(cuda, "init")).toMatch(
      /^tensorrt: NVIDIA's driver does not start \(nvidia-smi must show the GPU\): CUDA_ERROR_NO_DEVICE/,
    );
  });

  test("names a driver that is too old, and both versions", async () => {
    expect(await said(cuda, "old")).toMatch(
      /NVIDIA's driver is for CUDA 9\.0, this shim was built with CUDA \d+\.\d: install a newer driver/,
    );
  });

  test("names the TensorRT library that is missing, the version of one that is too old, and a device that is not there", async () => {
    const missing = await said(cuda);
    expect(missing).toMatch(/no libnvinfer\.so\.\d+.*: install TensorRT \d+/);
    const name = /libnvinfer\.so\.\d+/.exec(missing)?.[0] ?? "";
    const install = async (version: number): Promise<void> => {
      const source = join(folder, "nvinfer.cpp");
      writeFileSync(source, `extern "C" int getInferLibVersion() { return ${version}; }\n`);
      await compile(source, both, name);
    };
    await install(10_200);
    expect(await said(both)).toMatch(
      /TensorRT [\d.]+ is installed, this shim was built with [\d.]+: install that version or a newer one/,
    );
    await install(990_000);
    expect(await said(both, "none")).toMatch(/no CUDA device 0.*KEEL_CUDA_DEVICE/);
  });
});
