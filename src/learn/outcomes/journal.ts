import packageJson from "../../../package.json";
import { modelLabel } from "../../inference/card.ts";
import type { JournalReader } from "../../journal/reader.ts";
import type { JournalSink } from "../../journal/record.ts";
import { type EngineFor, replay } from "../../journal/replay.ts";
import type { RunStart } from "../../journal/run-start.ts";
import { type OutcomeHeader, outcomeHeaderOf } from "./file.ts";
import type { OutcomeSink } from "./table.ts";
import { OutcomeTap } from "./tap.ts";
import { OutcomeTracker, type TrackerCounters } from "./tracker.ts";

const NOWHERE: JournalSink = { dropped: 0, text: () => {}, bytes: () => {} };

export interface JournalOutcomes {
  readonly header: OutcomeHeader;
  readonly counters: TrackerCounters;
  readonly fromUs: number;
  readonly toUs: number;
}

/**
 * What came of a journalled run: its inputs go through a fresh desk, and a tap follows it as one followed the live desk. The same
 * outcomes as those recorded beside the live desk, bit for bit where the engine is the same.
 *
 * @param onHeader is told what the run says of itself, before its first outcome
 * @throws BadInputError when the journal cannot be read
 */
export async function journalOutcomes(
  reader: JournalReader,
  engineFor: EngineFor,
  sink: OutcomeSink,
  onHeader: (header: OutcomeHeader) => void = () => {},
): Promise<JournalOutcomes> {
  let found: { readonly header: OutcomeHeader; readonly tracker: OutcomeTracker } | null = null;
  let heads: readonly string[] = [];
  const result = await replay(reader.records(), {
    engineFor: async (start) => {
      const engine = await engineFor(start);
      heads = engine?.card.heads.map(({ name }) => name) ?? [];
      return engine;
    },
    decisions: NOWHERE,
    taps: ({ market, predictions }, start) => {
      const header = headerOf(reader.run.runId, start);
      onHeader(header);
      const tracker = new OutcomeTracker(heads, header.model, sink);
      found = { header, tracker };
      return [new OutcomeTap(market, predictions, header.model, tracker, () => tracker.finish())];
    },
  });
  const { header, tracker } = found ?? {
    header: headerOf(reader.run.runId, result.start),
    tracker: new OutcomeTracker(heads, modelLabel(result.start.model), sink),
  };
  return { header, counters: tracker.counters, fromUs: result.firstTimeUs, toUs: result.lastTimeUs };
}

function headerOf(run: string, { schemaHash, model }: RunStart): OutcomeHeader {
  return outcomeHeaderOf({ keel: packageJson.version, run, schemaHash, model: modelLabel(model) });
}
