import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { BadInputError } from "../../core/errors.ts";
import { CaptureReader } from "../../feed/capture.ts";
import { instrumentOf } from "./deribit-text.ts";
import type { CaptureScan } from "./scan.ts";

/** One entry of the result of `public/get_instruments`, as the venue gave it. */
export type DeribitInstrument = Readonly<Record<string, unknown>> & { readonly instrument_name: string };

/**
 * The venue's description of every instrument that a capture has data of: from the given file (recorded HTTP answers, or a JSON
 * document), else from the capture itself, else from `VENUE.0.gz` beside `VENUE.ws.….gz`.
 *
 * @throws BadInputError when none of them describes a single instrument of the capture
 */
export async function describeInstruments(
  scan: CaptureScan,
  captureFile: string,
  instrumentsFile: string | undefined,
): Promise<ReadonlyMap<string, DeribitInstrument>> {
  const wanted = new Set<string>();
  for (const channel of scan.channels) {
    const instrument = instrumentOf(channel);
    if (instrument !== null) wanted.add(instrument);
  }
  const sibling = join(dirname(captureFile), basename(captureFile).replace(/\.ws\..*$/, ".0.gz"));
  const file =
    instrumentsFile ?? (scan.descriptions.length === 0 && existsSync(sibling) ? sibling : undefined);
  const bodies = file === undefined ? scan.descriptions : await answersIn(file);
  const described = new Map<string, DeribitInstrument>();
  for (const body of bodies) {
    for (const instrument of instrumentsIn(body)) {
      if (wanted.has(instrument.instrument_name)) described.set(instrument.instrument_name, instrument);
    }
  }
  if (described.size === 0) {
    throw new BadInputError(
      file ?? captureFile,
      `no description of ${[...wanted].slice(0, 3).join(", ")}${wanted.size > 3 ? " …" : ""}`,
      "answers of public/get_instruments, in the capture or in the file given with --instruments",
    );
  }
  return described;
}

/** Whether `get_instruments` for a currency and kind lists it. `any` is every currency. */
export function isListed(instrument: DeribitInstrument, currency: string, kind: string | undefined): boolean {
  if (kind !== undefined && kind !== "any" && instrument.kind !== kind) return false;
  const { settlement_currency, quote_currency, base_currency } = instrument;
  const own = settlement_currency ?? (quote_currency === "USDC" ? quote_currency : base_currency);
  return currency === "any" || own === currency;
}

async function answersIn(file: string): Promise<string[]> {
  if (/\.json$/.test(file)) return [await Bun.file(file).text()];
  const bodies: string[] = [];
  for await (const entry of new CaptureReader(file)) {
    if (entry.kind === "http" || entry.kind === "frame") bodies.push(entry.text);
  }
  return bodies;
}

function instrumentsIn(body: string): DeribitInstrument[] {
  let answer: unknown;
  try {
    answer = JSON.parse(body);
  } catch {
    return [];
  }
  const result = typeof answer === "object" && answer !== null && "result" in answer ? answer.result : answer;
  return (Array.isArray(result) ? result : [result]).filter(isInstrument);
}

function isInstrument(value: unknown): value is DeribitInstrument {
  return (
    typeof value === "object" &&
    value !== null &&
    "instrument_name" in value &&
    typeof value.instrument_name === "string" &&
    "tick_size" in value
  );
}
