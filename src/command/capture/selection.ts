import { BadInputError } from "../../core/errors.ts";
import { CaptureReader, captureFiles } from "../../feed/capture.ts";
import { UsageError } from "../command.ts";

/** The files meant: those given, folders opened, and of them those of the venue. @throws BadInputError when there is none */
export async function captureFilesOf(paths: readonly string[], venue: string | undefined): Promise<string[]> {
  const files = paths.flatMap((path) => captureFiles(path));
  if (venue === undefined) return files;
  const of: string[] = [];
  for (const file of files) if ((await beginning(file)).venue === venue) of.push(file);
  if (of.length === 0)
    throw new BadInputError(paths.join(", "), `no recording of ${venue}`, "one that says so");
  return of;
}

/**
 * A local time, µs since the epoch: ISO 8601, µs, or `+SECONDS` after the first entry of the files.
 *
 * @throws UsageError when it is none of these
 */
export async function readTime(option: string, text: string, files: readonly string[]): Promise<number> {
  if (/^\+\d+(?:\.\d+)?$/.test(text)) {
    return (await beginning(files[0] ?? "")).firstUs + Number(text) * 1_000_000;
  }
  if (/^\d{15,17}$/.test(text)) return Number(text);
  const date = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/.test(text)
    ? Date.parse(text)
    : Number.NaN;
  if (!Number.isNaN(date)) return date * 1_000;
  throw new UsageError(
    `${option}: found ${JSON.stringify(text)}, expected 2024-08-08T12:00:00Z, µs since the epoch, or +SECONDS`,
  );
}

async function beginning(file: string): Promise<{ readonly venue: unknown; readonly firstUs: number }> {
  const reader = new CaptureReader(file, { malformed: "skip" });
  let firstUs = Number.NaN;
  for await (const [entry] of reader.batches()) {
    if (entry !== undefined) firstUs = entry.timeUs;
    break;
  }
  return { venue: reader.report.about?.venue, firstUs };
}
