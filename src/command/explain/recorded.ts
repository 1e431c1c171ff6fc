import { BadInputError } from "../../core/errors.ts";
import { decodeDecision } from "../../desk/decision.ts";
import type { Desk } from "../../desk/desk.ts";
import { JournalReader } from "../../journal/reader.ts";
import { RECORD } from "../../journal/record.ts";
import { replay } from "../../journal/replay.ts";
import { DecisionComparer } from "../../journal/verify.ts";
import { engineForReplay } from "../../live/replay-engine.ts";
import type { Instrument } from "../../market/instrument.ts";
import { type QuoteReport, quoteReport } from "../../quote/quote-report.ts";

export interface RecordedQuote {
  readonly timeUs: number;
  readonly probabilities: readonly number[];
  readonly quote: QuoteReport;
}

/** The probabilities in force for an instrument's underlying; a decision on quotes of several underlyings holds none itself. */
export function probabilitiesOf(
  { market, probabilities }: Pick<Desk, "market" | "probabilities">,
  { base }: Pick<Instrument, "base">,
): number[] {
  const heads = probabilities.length / market.underlyings.capacity;
  const from = market.underlyings.number(base) * heads;
  return [...probabilities.subarray(from, from + heads)];
}

/**
 * Finds a quote in a journal by its id. The run's inputs are replayed up to it, because they say what its instrument is.
 *
 * @throws BadInputError when the run has no such quote
 */
export async function recordedQuote(
  directory: string,
  runId: string | undefined,
  quoteId: number,
  warn: (line: string) => void,
): Promise<RecordedQuote> {
  const reader = new JournalReader(directory, runId);
  let found: { timeUs: number; payload: Uint8Array } | null = null;
  let replayed: Desk | null = null;
  let probabilities: readonly number[] = [];
  const { desk } = await replay(reader.records(), {
    engineFor: (start) => engineForReplay(start, undefined, { info: () => {}, warn }),
    decisions: new DecisionComparer(() => null),
    taps: (made) => {
      replayed = made;
      return [];
    },
    onRecord: (record) => {
      if (record.type !== RECORD.quote || replayed === null) return;
      const decision = decodeDecision(record.payload);
      const quote = decision.quotes.find((one) => one.quoteId === quoteId);
      if (quote === undefined) return;
      probabilities = probabilitiesOf(replayed, replayed.market.instruments.get(quote.instrument));
      found = { timeUs: record.timeUs, payload: record.payload.slice() };
    },
    stop: () => found !== null,
  });
  const at = found as { timeUs: number; payload: Uint8Array } | null;
  if (at === null) {
    throw new BadInputError(
      `run ${reader.run.runId}`,
      `no quote ${quoteId}`,
      "the id of a quote that was sent (QuoteEntryID)",
    );
  }
  const decision = decodeDecision(at.payload);
  const quote = decision.quotes.find((one) => one.quoteId === quoteId);
  if (quote === undefined) throw new BadInputError("decision record", "another one", `quote ${quoteId}`);
  return {
    timeUs: at.timeUs,
    probabilities,
    quote: quoteReport(desk.market.instruments.get(quote.instrument), quote, quote.reasons),
  };
}
