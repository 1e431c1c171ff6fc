import { loadNative } from "../../core/native.ts";
import type { EngineReport } from "../check-engine.ts";
import { isolatedProbe, runIsolated } from "../isolated.ts";
import { type Check, type Finding, findings } from "./check.ts";

/** What the host offers, the native library, and the configured engine with the configured model, started and self-tested. */
export const devices: Check = {
  area: "device",
  async run({ config, env }) {
    const { ok } = findings("device");
    const probe = await isolatedProbe(env);
    const host = [
      ok("cpu", probe.isa.join(", ") || "no instruction set that there are kernels for: portable code"),
      ok("gpu", probe.gpuAdapters.join("; ") || `none: ${probe.gpuReason ?? "no reason given"}`),
      ok("tensorrt", probe.tensorrt ?? "none"),
    ];
    return [...host, await nativeLibrary(), ...(await engine(config.device, config.model, env))];
  },
};

async function nativeLibrary(): Promise<Finding> {
  const { ok, warn } = findings("device");
  const { missing } = await loadNative();
  if (missing === null) return ok("native library", "loaded");
  return warn(
    "native library",
    missing,
    "keel runs without it, slower; install or build keel with a C compiler",
  );
}

async function engine(
  device: string,
  model: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Finding[]> {
  const end = await runIsolated<EngineReport>("check-engine", env);
  if ("error" in end) {
    const { code, message } = end.error;
    return code === "model-refused"
      ? [findings("model").fail(model, message, "check KEEL_MODEL")]
      : [findings("device").fail(device, message, "check KEEL_DEVICE")];
  }
  const { engine: chosen, passedOver, version, source, onnxSha256, schemaHash, memoryBytes } = end.result;
  const others = passedOver.map((other) => `; not ${other.engine}: ${other.reason}`).join("");
  return [
    findings("device").ok(
      "engine",
      `${chosen}, ${(memoryBytes / 1e6).toFixed(1)} MB, self-test passed${others}`,
    ),
    findings("model").ok(
      end.result.model,
      `${version} (${source}), SHA-256 ${onnxSha256.slice(0, 12)}… as in its card, feature schema ${schemaHash}`,
    ),
  ];
}
