import { EXIT } from "../core/errors.ts";
import { defineCommand } from "./command.ts";

/** Internal: looks for devices in a process of its own and ends with what it found; see {@link isolatedProbe}. */
export const probeDevicesCommand = defineCommand({
  name: "probe-devices",
  summary: "Look for devices (used by other verbs)",
  usage: "--json",
  options: {},
  environment: false,
  async run({ env, out }) {
    const { gpuSelection, probeDevices } = await import("../inference/probe.ts");
    out.result(await probeDevices(gpuSelection(env)));
    return EXIT.ok;
  },
});
