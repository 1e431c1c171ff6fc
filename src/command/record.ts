import { EXIT, type ExitCode } from "../core/errors.ts";
import { defineCommand, UsageError } from "./command.ts";

const MEBIBYTE = 1024 * 1024;
const MINUTE_MS = 60_000;
/** How often a full disk is looked for. */
const WATCH_MS = 250;

export const record = defineCommand({
  name: "record",
  summary: "Record the raw frames of KEEL_FEEDS to files that keel venue can serve",
  usage: "--out DIR [options]",
  details:
    "Connects to the venues in KEEL_FEEDS exactly as keel run does and writes down every connect, message sent, frame, " +
    "disconnect and HTTP answer with its local receive time in µs; the exchange's time is inside the frames. Text, one entry a " +
    "line: 'timeUs mark connection text', mark + connect, - disconnect, < received, > sent, ? HTTP answer, ! entries lost; in " +
    "blocks of zstd with CRC and a time index, which zstdcat reads too. One series of files per venue; a crash loses the last " +
    "block, a second at most. keel capture looks into the files.\n\n" +
    "Ends after --seconds or at SIGINT or SIGTERM. With --json: seconds, venues (venue, files, entries, frames, lost, textBytes, " +
    "fileBytes, gaps, reconnects, problem). Exit code 1 when writing failed, 3 when no frame arrived at all.",
  options: {
    out: {
      type: "string",
      value: "DIR|FILE",
      required: true,
      description: "Folder for the files; or, for one venue, a file that ends in .zst (or .gz: gzip)",
    },
    seconds: { type: "number", value: "N", min: 0, max: 1e8, description: "End after so long" },
    "rotate-mb": {
      type: "number",
      value: "N",
      min: 0.001,
      max: 1e6,
      default: 256,
      description: "Size in MiB at which the next file begins",
    },
    "rotate-minutes": {
      type: "number",
      value: "N",
      min: 0.001,
      max: 1e6,
      default: 60,
      description: "Recorded minutes after which the next file begins",
    },
  },
  environment: true,
  async run({ options, config, out, shutdown }): Promise<ExitCode> {
    if (config.feeds.length === 0) throw new UsageError("KEEL_FEEDS is not set: there is nothing to record");
    const { systemClock } = await import("../core/clock.ts");
    const { firstLines } = await import("../feed/lines.ts");
    const { isRelayed } = await import("../feed/relay/subscription.ts");
    const relayed = config.feeds.find(({ subscriptions }) => subscriptions.some(isRelayed));
    if (relayed !== undefined)
      throw new UsageError(
        `KEEL_FEEDS: ${relayed.venue} is relayed by another keel, expected venues to record`,
      );
    const { Recorder } = await import("../feed/recorder.ts");
    const { feedLogins } = await import("../live/feed-logins.ts");
    const recorder = new Recorder({
      feeds: firstLines(config.feeds),
      endpoints: config.endpoints,
      out: options.out,
      maxFileBytes: options["rotate-mb"] * MEBIBYTE,
      maxFileMs: options["rotate-minutes"] * MINUTE_MS,
      silenceMs: config.timeouts.silenceMs,
      requestTimeoutMs: config.timeouts.requestMs,
      seed: config.seed,
      clock: systemClock,
      logins: feedLogins({ feeds: firstLines(config.feeds), feedKeys: config.feedKeys }),
    });
    const startMs = performance.now();
    const endMs = startMs + (options.seconds ?? Number.POSITIVE_INFINITY) * 1_000;
    recorder.start();
    while (!shutdown.aborted && recorder.failure === null && performance.now() < endMs) {
      await Bun.sleep(Math.min(WATCH_MS, Math.max(0, endMs - performance.now())));
    }
    const failure = await recorder.stop().then(
      () => null,
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
    const venues = recorder.recorded().map(({ venue, capture, counters, problem }) => ({
      venue,
      ...capture,
      frames: counters.frames,
      gaps: counters.gaps,
      reconnects: counters.reconnects,
      problem,
    }));
    for (const { venue, entries, lost, fileBytes, files } of venues) {
      out.line(`${venue}: ${entries} entries, ${lost} lost, ${fileBytes} bytes in ${files.join(", ")}`);
    }
    if (failure !== null) out.line(`writing stopped: ${failure}`);
    out.result({ seconds: (performance.now() - startMs) / 1_000, venues, failure });
    if (failure !== null) return EXIT.failed;
    return venues.every(({ frames }) => frames === 0) ? EXIT.unreachable : EXIT.ok;
  },
});
