import { EXIT, type ExitCode } from "../core/errors.ts";
import { invariant } from "../core/invariant.ts";
import type { Fault } from "../sim/protocol/faults.ts";
import { defineCommand, UsageError } from "./command.ts";
import { aborted } from "./venue/aborted.ts";

const SIMULATED: readonly string[] = [
  "binance-usdm",
  "deribit",
  "bybit-linear",
  "okx",
  "kraken",
  "coinbase",
  "bitstamp",
];
const DEFAULT_PORT = 9_001;
const DEFAULT_FREEZE_MS = 3_000;
const DEFAULT_REFUSE_MS = 5_000;
const FAULT_FORM =
  "KIND@FRAME or KIND@FRAME:N with KIND one of drop, duplicate, garble, half, freeze, disconnect, refuse";

export const venue = defineCommand({
  name: "venue",
  summary: "Serve a recorded capture, or simulated venues, over WebSocket and REST",
  usage: "--capture FILE [options] | --simulate VENUES [options]",
  details:
    "Plays a capture of any venue (keel's own recordings, hftbacktest's and cryptofeed's layouts) in the venue's own " +
    "protocol, frames byte for byte as recorded. Playback begins with the first subscription. The server keeps the books, so a " +
    "client may ask for a snapshot or subscribe anew at any time. Set KEEL_URL_<VENUE> to the address that is printed.\n\n" +
    `Faults for rehearsals: --fault ${FAULT_FORM}; N is how many frames (drop, duplicate, garble, half; default 1) or ` +
    `for how many milliseconds (freeze, default ${DEFAULT_FREEZE_MS}; refuse with HTTP 429, default ${DEFAULT_REFUSE_MS}).\n\n` +
    "With --simulate a simulated market runs behind servers of the venues named: a comma-separated list of " +
    `${SIMULATED.join(", ")}, or feeds for those that KEEL_FEEDS names. The addresses are printed as ` +
    "KEEL_URL_<VENUE>=…, and are `servers` of the result.\n\n" +
    "Ends at SIGINT or SIGTERM, after --seconds, or at the end of the capture with --once. With --json: venue, framesPlayed, " +
    "framesSent, bytesSent, clients, requests, snapshotsServed, loops, ended, faults, problem. Exit code 6 when the capture " +
    "cannot be served.",
  options: {
    capture: {
      type: "string",
      value: "FILE",
      description: "Capture file, or a folder with the parts of one recording",
    },
    simulate: {
      type: "string",
      value: "VENUES",
      description: "Simulate these venues, or feeds, instead of serving a capture",
    },
    seed: {
      type: "number",
      integer: true,
      min: 0,
      max: 2 ** 32 - 1,
      default: 1,
      description: "Seed of the simulation",
    },
    port: {
      type: "number",
      integer: true,
      min: 0,
      max: 65_535,
      default: DEFAULT_PORT,
      description: "TCP port; 0 takes a free one, as simulated venues always do",
    },
    host: { type: "string", value: "ADDRESS", default: "127.0.0.1", description: "Address to listen on" },
    speed: {
      type: "string",
      value: "N|max",
      default: "1",
      description: "Times as fast as recorded, or max: as fast as clients read",
    },
    loop: {
      type: "boolean",
      description: "At the end close the connections and begin again with the next subscription",
    },
    once: { type: "boolean", description: "End when the capture has been played" },
    seconds: { type: "number", value: "N", min: 0, max: 1e8, description: "End after so long" },
    instruments: {
      type: "string",
      value: "FILE",
      description: "Deribit: recorded get_instruments answers, where the capture has none",
    },
    fault: {
      type: "string",
      value: "KIND@FRAME[:N]",
      multiple: true,
      description: "Trouble to make at a frame",
    },
  },
  environment: false,
  async run({ options, env, out, shutdown }): Promise<ExitCode> {
    const speed = readSpeed(options.speed);
    const faults = options.fault.map(readFault);
    const { capture } = options;
    if ((capture === undefined) === (options.simulate === undefined))
      throw new UsageError("keel venue: expected either --capture or --simulate");
    if (options.simulate !== undefined) {
      const { simulate } = await import("./venue/simulate.ts");
      const { seed, host: hostname, seconds } = options;
      if (speed === "max")
        throw new UsageError("--speed max: simulated venues have a speed, expected a number");
      await simulate({ names: options.simulate, env, seed, hostname, speed, seconds, out, shutdown });
      return EXIT.ok;
    }
    invariant(capture !== undefined, "one of the two is given");
    const { CaptureVenue } = await import("../sim/capture-venue.ts");
    const server = await CaptureVenue.start({
      capture,
      port: options.port,
      hostname: options.host,
      speed,
      loop: options.loop,
      ...(options.instruments === undefined ? {} : { instruments: options.instruments }),
    });
    for (const { frame, fault } of faults) server.injectAt(frame, fault);
    const { scan } = server;
    const seconds = ((scan.lastUs - scan.firstUs) / 1_000_000).toFixed(1);
    out.line(
      `${scan.venue} on ${server.url}: ${scan.frames} frames of ${scan.channels.size} channels, ${seconds} s`,
    );
    const ends = [aborted(shutdown)];
    if (options.once) ends.push(server.end());
    if (options.seconds !== undefined) ends.push(Bun.sleep(options.seconds * 1_000));
    await Promise.race(ends);
    const summary = server.summary();
    await server.stop();
    out.line(
      `sent ${summary.framesSent} frames to ${summary.clients} clients, served ${summary.snapshotsServed} snapshots` +
        `${summary.problem === null ? "" : `; ${summary.problem}`}`,
    );
    out.result(summary);
    return EXIT.ok;
  },
});

function readSpeed(text: string): number | "max" {
  if (text === "max") return text;
  const speed = Number(text);
  if (!(speed > 0 && speed <= 1e6))
    throw new UsageError(`--speed ${text}: expected a number above 0, or max`);
  return speed;
}

/** Reads `drop@1000`, `freeze@2000:1500`, … @throws UsageError */
export function readFault(text: string): { readonly frame: number; readonly fault: Fault } {
  const match = /^([a-z]+)@(\d{1,9})(?::(\d{1,9}))?$/.exec(text);
  const frame = Number(match?.[2]);
  const amount = match?.[3] === undefined ? undefined : Number(match[3]);
  const kind = match?.[1];
  switch (kind) {
    case "drop":
    case "duplicate":
    case "garble":
    case "half":
      return { frame, fault: { kind, count: amount ?? 1 } };
    case "freeze":
      return { frame, fault: { kind, forMs: amount ?? DEFAULT_FREEZE_MS, control: false } };
    case "refuse":
      return {
        frame,
        fault: { kind, status: 429, forMs: amount ?? DEFAULT_REFUSE_MS, retryAfterSeconds: 1 },
      };
    case "disconnect":
      return { frame, fault: { kind, code: 1_006, reason: "" } };
    default:
      throw new UsageError(`--fault ${text}: expected ${FAULT_FORM}`);
  }
}
