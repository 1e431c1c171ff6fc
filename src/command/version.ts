import { cpus } from "node:os";
import packageJson from "../../package.json";
import { EXIT } from "../core/errors.ts";
import { BUILD } from "../core/executable.ts";
import { isolatedProbe } from "../inference/probe.ts";
import { defineCommand } from "./command.ts";

export const version = defineCommand({
  name: "version",
  summary: "Show version, commit, what is embedded and what the host offers",
  usage: "[options]",
  details:
    "The result holds `version`, `commit`, `date`, `bun`, `compiled`, `embedded` (name, bytes, sha256), `nativeMissing`,\n`tensorrtMissing` and `host` (cpu, cores, isa, gpuAdapters, gpuCompute, gpuReason, tensorrt).",
  options: {},
  environment: false,
  async run({ env, out }) {
    const devices = await isolatedProbe(env);
    const host = { cpu: cpus()[0]?.model ?? "unknown", cores: cpus().length, ...devices };
    const result = {
      version: packageJson.version,
      commit: BUILD?.commit ?? null,
      date: BUILD?.date ?? null,
      bun: Bun.version,
      compiled: BUILD !== undefined,
      embedded: BUILD?.embedded ?? [],
      nativeMissing: BUILD === undefined ? "running from source" : BUILD.nativeMissing,
      tensorrtMissing: BUILD === undefined ? "running from source" : BUILD.tensorrtMissing,
      host,
    };
    out.line(`keel ${result.version}`);
    out.line(`commit    ${result.commit ?? "unknown"}${result.date === null ? "" : ` of ${result.date}`}`);
    out.line(`bun       ${result.bun}${result.compiled ? ", compiled" : ", from source"}`);
    for (const [index, { name, bytes, sha256 }] of result.embedded.entries()) {
      const size = `${(bytes / 1e6).toFixed(2)} MB`.padStart(9);
      const label = index === 0 ? "embedded" : "";
      out.line(`${label.padEnd(10)}${size}  ${sha256.slice(0, 12)}  ${name}`);
    }
    if (result.nativeMissing !== null) out.line(`native    no native library: ${result.nativeMissing}`);
    out.line(`cpu       ${host.cpu}, ${host.cores} cores`);
    out.line(`isa       ${host.isa.join(", ") || "portable"}`);
    out.line(`gpu       ${host.gpuAdapters.join("; ") || `none (${host.gpuReason ?? "no reason given"})`}`);
    const shim =
      result.tensorrtMissing === null ? "shim inside" : `no shim inside: ${result.tensorrtMissing}`;
    out.line(`tensorrt  ${host.tensorrt ?? "none"}, ${shim}`);
    out.result(result);
    return EXIT.ok;
  },
});
