import { BadInputError } from "../../core/errors.ts";
import { decodeDecision } from "../../desk/decision.ts";
import { JournalReader } from "../../journal/reader.ts";
import { RECORD } from "../../journal/record.ts";
import { replay } from "../../journal/replay.ts";
import { DecisionComparer } from "../../journal/verify.ts";
import { engineForReplay } from "../../live/replay-engine.ts";
import { type QuoteReport, quoteReport } from "../../quote/quote-report.ts";

export interface RecordedQuote {
  readonly timeUs: number;
  readonly probabilities: readonly number[];
  readonly quote: QuoteReport;
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
  const { desk } = await replay(reader.records(), {
    engineFor: (start) => engineForReplay(start, undefined, { info: () => {}, warn }),
    decisions: new DecisionComparer(() => null),
    onRecord: (record) => {
      if (record.type !== RECORD.quote) return;
      const decision = decodeDecision(record.payload);
      if (!decision.quotes.some((quote) => quote.quoteId === quoteId)) return;
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
    probabilities: decision.probabilities,
    quote: quoteReport(desk.market.instruments.get(quote.instrument), quote, quote.reasons),
  };
}
