import { EXIT, type ExitCode } from "../core/errors.ts";
import { defineCommand, UsageError } from "./command.ts";

const ACTIONS = ["info", "cut", "convert"] as const;

export const capture = defineCommand({
  name: "capture",
  summary: "Look into recordings, cut them, pack them otherwise, decode them to Parquet",
  usage: "info|cut|convert FILE… [options]",
  details: `info     what the files hold: layout, times, entries, frames, what was lost
         or is damaged; and, decoded by the venue's feed, instruments, events,
         gaps, checksums
cut      the part between --from and --to, and of each --instrument, to the file
         --out; what the rest needs to be played (connects, messages sent,
         descriptions of instruments) is kept from before it
convert  everything to the file --out, packed as its name says: .zst (indexed
         blocks), .gz, anything else plain text; or, with --parquet, the decoded
         events to the folder --out: book, top, trade, ticker, status.parquet

Damage is an error of cut and convert that names file, place, what is there and
what should be. With --salvage what is sound before and after it is kept: each
hole is marked by an entry "!" and told. A missing end is told, no error.

Several files, or a folder, are the parts of one recording in order. A time is an ISO 8601 date, µs since the epoch, or +SECONDS
after the first entry. The layouts that are read are in docs/captures.md.

The result of info holds \`files\` and \`decoded\` (venue, instruments, gaps, checksums, unparsable, reconnects, resyncs, problem; null
with \`undecodable\` saying why). That of cut and convert holds file, entries, frames, bytes and missing (file, lines, blocks, problems,
truncated), or with --parquet \`tables\` (table, file, rows). Exit code 6 for what is no capture, 1 when info found damage.`,
  options: {
    out: {
      type: "string",
      value: "FILE|DIR",
      description: "cut, convert: where to write; nothing is overwritten",
    },
    from: { type: "string", value: "TIME", description: "Earliest local time" },
    to: { type: "string", value: "TIME", description: "Latest local time" },
    instrument: {
      type: "string",
      value: "SYMBOL",
      multiple: true,
      description: "cut, Parquet: only this one, as the venue spells it",
    },
    venue: {
      type: "string",
      value: "VENUE",
      description: "In a folder with several venues' recordings: this one's",
    },
    parquet: { type: "boolean", description: "convert: decode to Parquet" },
    salvage: { type: "boolean", description: "cut, convert: leave out what is damaged" },
    raw: { type: "boolean", description: "info: do not decode" },
  },
  positionals: ["ACTION", "FILE", "FILE…"],
  environment: false,
  async run({ options, positionals, out }): Promise<ExitCode> {
    const [given, ...paths] = positionals;
    const action = ACTIONS.find((name) => name === given);
    if (action === undefined) {
      throw new UsageError(
        `${JSON.stringify(given)} is no action of keel capture, expected ${ACTIONS.join(", ")}`,
      );
    }
    const { captureFilesOf, readTime } = await import("./capture/selection.ts");
    const files = await captureFilesOf(paths, options.venue);
    const time = async (name: "from" | "to", otherwise: number): Promise<number> => {
      const text = options[name];
      return text === undefined ? otherwise : readTime(`--${name}`, text, files);
    };
    if (action === "info") {
      const { fileInfo, decodedInfo } = await import("./capture/info.ts");
      const { infoLines } = await import("./capture/text.ts");
      const infos = [];
      for (const file of files) infos.push(await fileInfo(file));
      const { decoded, undecodable } = options.raw
        ? { decoded: null, undecodable: null }
        : await decodedInfo(files).then(
            (found) => ({ decoded: found, undecodable: null }),
            (error: unknown) => ({
              decoded: null,
              undecodable: error instanceof Error ? error.message : String(error),
            }),
          );
      for (const line of infoLines(infos, decoded, undecodable)) out.line(line);
      out.result({ files: infos, decoded, undecodable });
      const damaged = infos.some(({ skipped, damagedBlocks }) => skipped + damagedBlocks > 0);
      return damaged ? EXIT.failed : EXIT.ok;
    }
    if (options.out === undefined) throw new UsageError(`--out is required by keel capture ${action}`);
    if (options.parquet && options.salvage)
      throw new UsageError("--salvage makes a capture: convert that one to Parquet");
    if (options.parquet && action !== "convert")
      throw new UsageError("--parquet belongs to keel capture convert");
    const bounds = {
      fromUs: await time("from", Number.NEGATIVE_INFINITY),
      toUs: await time("to", Number.POSITIVE_INFINITY),
    };
    if (bounds.toUs < bounds.fromUs)
      throw new UsageError(`--to ${options.to} lies before --from ${options.from}`);
    if (options.parquet) {
      const { exportParquet } = await import("./capture/parquet.ts");
      const tables = await exportParquet(files, options.out, {
        ...bounds,
        instruments: new Set(options.instrument),
      });
      for (const { file, rows } of tables) out.line(`${file}: ${rows} rows`);
      out.result({ tables });
      return EXIT.ok;
    }
    const narrowed = options.from !== undefined || options.to !== undefined || options.instrument.length > 0;
    if (action === "convert" && narrowed) {
      throw new UsageError("--from, --to and --instrument belong to keel capture cut, or to --parquet");
    }
    if (action === "cut" && !narrowed) throw new UsageError("cut needs --from, --to or --instrument");
    const { packCapture } = await import("./capture/pack.ts");
    const { missingLines } = await import("./capture/text.ts");
    const packed = await packCapture(files, options.out, {
      ...{ ...bounds, instruments: options.instrument, salvage: options.salvage },
    });
    for (const line of missingLines(packed.missing)) out.line(line);
    out.line(`${packed.file}: ${packed.entries} entries, ${packed.frames} frames, ${packed.bytes} bytes`);
    out.result(packed);
    return EXIT.ok;
  },
});
