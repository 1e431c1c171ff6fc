/**
 * What must be there before a live desk is made: its model on a running engine, the line warm, the journal open.
 *
 * @module
 */
import type { Config } from "../config.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";
import { loadNative } from "../core/native.ts";
import { UNDERLYING_CAPACITY } from "../desk/desk.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../feature/schema.ts";
import type { StepEngine } from "../inference/engine.ts";
import { loadModels } from "../inference/model.ts";
import { startEngine } from "../inference/registry.ts";
import type { StepModel } from "../inference/step-model.ts";
import { runIdAfter } from "../journal/format.ts";
import { lastRunId } from "../journal/staging.ts";
import { JournalWriter } from "../journal/writer.ts";
import { type ConfiguredModel, configuredModel, switchable } from "./registry-model.ts";
import { warmUpLine } from "./warm-up.ts";

export interface PreparedEngine {
  readonly engine: StepEngine;
  readonly model: StepModel;
  readonly registered: ConfiguredModel["registered"];
}

/** @throws KeelError naming what is missing, of the model or of the device */
export async function prepareEngine(config: Config, clock: Clock, log: Logger): Promise<PreparedEngine> {
  const { source, registered } = await configuredModel(config, clock);
  const [preferred, ...standIns] = await loadModels(source, {
    schemaHash: SCHEMA_HASH,
    featureCount: FEATURE_COUNT,
  });
  // Feeds decode natively where the library is there.
  await loadNative();
  const { engine: started, model } = await startEngine({
    device: config.device,
    settings: config.engines,
    model: preferred,
    standIns,
    slotCount: UNDERLYING_CAPACITY,
    maxBatch: UNDERLYING_CAPACITY,
    sweep: true,
    recalibrates: config.recalibrate !== null,
    log: (line) => log.info(line),
  });
  const engine = config.challenge === null ? started : switchable(started);
  if (config.warmUpMs > 0) {
    const frames = warmUpLine(config, engine, clock, config.warmUpMs);
    log.debug("the line is warm", { frames, warmUpMs: config.warmUpMs });
  }
  return { engine, model, registered };
}

/**
 * Null where none is configured.
 *
 * @param before the run beside which this one begins, of a process whose place it is to take; null where that keeps none
 * @throws KeelError when its folder cannot be used
 */
export async function openJournal(
  journal: Config["journal"],
  { wallUs }: Clock,
  log: Logger,
  before?: string | null,
): Promise<JournalWriter | null> {
  if (journal === undefined) return null;
  const last = lastRunId(journal.dir);
  const behind = before !== undefined && before !== null && before > last ? before : last;
  return await JournalWriter.open({
    directory: journal.dir,
    runId: runIdAfter(behind, wallUs(), process.pid),
    staged: before !== undefined,
    segmentBytes: journal.segmentBytes,
    checkpointMs: journal.checkpointMs,
    signingKey: journal.signingKey?.reveal() ?? null,
    retention: journal.retention,
    onUnretired: (why) => log.warn("the journal keeps files that it should have removed", { why }),
  });
}
