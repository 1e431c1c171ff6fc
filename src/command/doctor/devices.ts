import type { Config } from "../../config.ts";
import { runIsolated } from "../../core/child.ts";
import { loadNative } from "../../core/native.ts";
import { DEFAULT_MODEL } from "../../inference/builtin.ts";
import { shownUs } from "../../inference/engine-choice.ts";
import { type DeviceProbe, isolatedProbe } from "../../inference/probe.ts";
import { REGISTRY_PREFIX } from "../../learn/registry/open.ts";
import type { EngineReport } from "../check-engine.ts";
import { type Check, type Finding, findings } from "./check.ts";

/** What the host offers, the native library, and the configured engine with the configured model, started and self-tested. */
export const devices: Check = {
  area: "device",
  async run({ config, env, offline }) {
    const { ok } = findings("device");
    const probe = await isolatedProbe(env);
    const host = [
      ok("cpu", probe.isa.join(", ") || "no instruction set that there are kernels for: portable code"),
      gpu(probe, config.engines.gpu.adapter),
      ok("tensorrt", probe.tensorrt ?? "none"),
    ];
    return [
      ...host,
      await nativeLibrary(),
      ...(offline && isElsewhere(config)
        ? [
            findings("model").ok(
              config.model ?? DEFAULT_MODEL,
              "not fetched, nor the engine tried: --offline",
            ),
          ]
        : await engine(config.device, config.model ?? DEFAULT_MODEL, env)),
    ];
  },
};

/** The model has to be fetched from another host. */
function isElsewhere({ model, registry }: Config): boolean {
  return model?.startsWith(REGISTRY_PREFIX) === true && registry?.address.startsWith("s3://") === true;
}

/** An adapter that is there must compute; none at all is no fault unless one was asked for. */
export function gpu({ gpuAdapters, gpuCompute, gpuReason }: DeviceProbe, asked: string | null): Finding {
  const { ok, warn, fail } = findings("device");
  if (gpuCompute !== null) {
    const { adapter, software, driver, roundTripUs } = gpuCompute;
    const kind = software ? " (software: for tests only)" : "";
    return ok("gpu", `${adapter}${kind}, ${driver}: computes rightly, round trip ${roundTripUs} µs`);
  }
  const reason = gpuReason ?? "no reason given";
  if (asked !== null) return fail("gpu", reason, `check KEEL_GPU, which is ${JSON.stringify(asked)}`);
  if (gpuAdapters.some((name) => !name.endsWith("(software)"))) {
    return warn("gpu", reason, "see docs/gpu.md; the webgpu engine cannot be used");
  }
  return ok("gpu", `none: ${reason}`);
}

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
    if (code.startsWith("registry-")) {
      return [findings("model").fail(model, message, "check KEEL_REGISTRY; see keel model verify")];
    }
    return code === "model-refused"
      ? [findings("model").fail(model, message, "check KEEL_MODEL")]
      : [findings("device").fail(device, message, "check KEEL_DEVICE")];
  }
  const {
    engine: chosen,
    stepUs,
    passedOver,
    modelsPassedOver,
    version,
    source,
    onnxSha256,
    schemaHash,
    memoryBytes,
  } = end.result;
  const others = passedOver.map((other) => `; not ${other.engine}: ${other.reason}`).join("");
  const otherModels = modelsPassedOver.map((other) => `; not ${other.model}: ${other.reason}`).join("");
  return [
    findings("device").ok(
      "engine",
      `${chosen}, ${stepUs === null ? "" : `${shownUs(stepUs)} a step, `}${(memoryBytes / 1e6).toFixed(1)} MB, self-test passed${others}`,
    ),
    findings("model").ok(
      end.result.model,
      `${version} (${source}), SHA-256 ${onnxSha256.slice(0, 12)}… as in its card, feature schema ${schemaHash}${otherModels}`,
    ),
  ];
}
