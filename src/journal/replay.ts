import { BadInputError, ModelRefusedError } from "../core/errors.ts";
import { loadNative } from "../core/native.ts";
import { Desk, type DeskPort } from "../desk/desk.ts";
import { noTimer } from "../desk/latency.ts";
import { applyModelAct, type ModelAct } from "../desk/model-act.ts";
import type { RiskDecision } from "../desk/risk-decision.ts";
import { SCHEMA_HASH } from "../feature/schema.ts";
import type { ExecutionDetail } from "../gateway/gateway.ts";
import { JoinedTaps } from "../gateway/joined-taps.ts";
import type { SeenBook } from "../gateway/seen-book.ts";
import type { DeskTap } from "../gateway/tap.ts";
import type { Scaling } from "../inference/calibration.ts";
import { EngineLostError, type StepEngine } from "../inference/engine.ts";
import { SwitchedEngine } from "../inference/switched-engine.ts";
import { SIDES, type SidesName } from "../quote/target.ts";
import type { RfqAction, RfqInput } from "../rfq/message.ts";
import type { ApprovedOrder, ApprovedQuotes } from "../risk/gate.ts";
import type { RiskLimits } from "../risk/limits.ts";
import { LOAD_STAGE, type LoadStageName } from "../risk/load-shedder.ts";
import type { ReconciliationReport } from "../risk/reconciliation.ts";
import { applyGatewayEvent, type GatewayEvent } from "./gateway-event.ts";
import { FailingEngine, foretold, lostStepOf } from "./lost-engine.ts";
import { type JournalRecord, type JournalSink, RECORD } from "./record.ts";
import { parseRunStart, type RunStart } from "./run-start.ts";

const decoder = new TextDecoder();
const NOTHING = new Uint8Array(0);

/** Makes the engine that a run used. @throws KeelError when it cannot be had here. */
export type EngineFor = (start: RunStart) => Promise<StepEngine | null>;

/** What a replay found besides the decisions. */
export interface ReplayResult {
  readonly start: RunStart;
  readonly inputs: number;
  readonly predictions: number;
  /** Predictions that were not, bit for bit, those in the journal. */
  readonly predictionsDifferent: number;
  readonly firstTimeUs: number;
  readonly lastTimeUs: number;
  readonly desk: Desk;
}

/** What the replayed desk does to the outside: nothing, but its decisions go to `decisions`. */
class ReplayPort implements DeskPort {
  readonly #decisions: JournalSink;
  pending: { rows: number } | null = null;
  taps = new JoinedTaps([]);
  observed: DeskPort["observed"];
  stepped: DeskPort["stepped"];
  named: DeskPort["named"];

  constructor(decisions: JournalSink) {
    this.#decisions = decisions;
  }

  follow(all: readonly DeskTap[]): void {
    const taps = new JoinedTaps(all);
    this.taps = taps;
    this.observed = (events, rows, count, timeUs) => taps.onEvents(events, rows, count, timeUs);
    this.stepped = (underlying, features, offset, timeUs) =>
      taps.onFeatures(underlying, features, offset, timeUs);
    this.named = (underlying, card) => taps.onModel(underlying, card);
  }

  connect(): void {}
  send(): void {}
  disconnect(): void {}
  request(): void {}
  engineLost(): void {}
  killChanged(): void {}
  cancelOrder(): void {}
  askOrder(): void {}

  publish({ batch }: ApprovedQuotes, timeUs: number): void {
    this.taps.onQuotes(batch, timeUs);
  }

  predicted(
    underlying: number,
    probabilities: Float32Array,
    offset: number,
    heads: number,
    status: number,
    timeUs: number,
    book: SeenBook,
  ): void {
    this.taps.onPrediction(underlying, probabilities, offset, heads, status, timeUs, book);
  }

  filled(
    executionId: string,
    instrument: number,
    side: number,
    priceTicks: number,
    sizeLots: number,
    detail: ExecutionDetail,
    timeUs: number,
  ): void {
    this.taps.onFill(executionId, instrument, side, priceTicks, sizeLots, detail, timeUs);
  }

  sendOrder({ intent }: ApprovedOrder, timeUs: number): void {
    this.taps.onOrder(intent.orderId, intent.instrument, timeUs);
  }

  decidedRisk(decision: RiskDecision, timeUs: number): void {
    this.#decisions.text(RECORD.risk, 0, timeUs, JSON.stringify(decision));
  }

  answered(action: RfqAction, timeUs: number): void {
    this.#decisions.text(RECORD.rfqAction, 0, timeUs, JSON.stringify(action));
    this.taps.onAnswer(action, timeUs);
  }

  submit(rows: number): void {
    this.pending = { rows };
  }

  cancelAll(timeUs: number): void {
    this.#decisions.bytes(RECORD.cancelAll, 0, timeUs, NOTHING);
    this.taps.onCancelAll(timeUs);
  }

  decided(underlying: number, timeUs: number, payload: Uint8Array): void {
    this.#decisions.bytes(RECORD.quote, underlying, timeUs, payload);
  }
}

export interface ReplayOptions {
  readonly engineFor: EngineFor;
  /** Takes the replayed desk's decisions. */
  readonly decisions: JournalSink;
  /** Makes those who follow the replayed desk, as they would follow a live one; told once, before the first input. */
  readonly taps?: (desk: Desk, start: RunStart) => readonly DeskTap[];
  /** Sees each record before it is applied. */
  readonly onRecord?: (record: JournalRecord) => void;
  /** Asked after each record; true ends the replay early. */
  readonly stop?: () => boolean;
}

/**
 * Runs a journal's inputs through a fresh desk, in order, as fast as it goes.
 *
 * @param records the run's records; the first one must be its start
 * @throws BadInputError when a record cannot be understood
 */
export async function replay(
  records: Iterable<JournalRecord>,
  options: ReplayOptions,
): Promise<ReplayResult> {
  let run: Replayed | null = null;
  let inputs = 0;
  let predictions = 0;
  let predictionsDifferent = 0;
  let firstTimeUs = Number.NaN;
  let lastTimeUs = Number.NaN;
  for (const { record, lostStep } of foretold(records)) {
    if (run === null) {
      run = await begin(record, options.engineFor, options.decisions);
      firstTimeUs = record.timeUs;
      if (options.taps !== undefined) run.port.follow(options.taps(run.desk, run.start));
      run.desk.start(record.timeUs);
      continue;
    }
    lastTimeUs = record.timeUs;
    options.onRecord?.(record);
    run.engine?.failAt(lostStep);
    if (record.type === RECORD.inference) {
      predictions += 1;
      const same = await resolveInference(record, run);
      if (!same) predictionsDifferent += 1;
    } else if (record.type === RECORD.engineRestored && run.engine !== null) {
      for (let slot = 0; slot < run.engine.slotCount; slot += 1) run.engine.resetSlot(slot);
      run.desk.onEngineRestored(run.engine, record.timeUs);
      inputs += 1;
    } else if (record.type === RECORD.calibration) {
      const { head, ...scaling } = json<{ head: number } & Scaling>(record);
      run.engine?.calibration?.set(record.subject, head, scaling);
      inputs += 1;
    } else if (record.type === RECORD.model) {
      await applyAct(json<ModelAct>(record), run, options.engineFor);
      inputs += 1;
    } else if (apply(record, run.desk, run.port)) {
      inputs += 1;
      if (run.start.model?.synchronous === true) await answerAtOnce(record.timeUs, run);
    }
    if (options.stop?.() === true) break;
  }
  if (run === null) throw new BadInputError("journal", "no record", "the start of a run");
  run.desk.end();
  run.port.taps.close();
  await run.engine?.dispose();
  return {
    start: run.start,
    inputs,
    predictions,
    predictionsDifferent,
    firstTimeUs,
    lastTimeUs,
    desk: run.desk,
  };
}

/** What an operator tells a desk. */
export type ControlCommand = "kill" | "reduce" | "reset" | "shutdown" | "lead" | "standBy" | "doubt";

/** An operator says which sides are quoted, of one instrument or with −1 of every one; a control record too. */
export interface SidesCommand {
  readonly command: "sides";
  readonly instrument: number;
  readonly sides: SidesName;
}

interface Replayed {
  readonly start: RunStart;
  readonly desk: Desk;
  readonly port: ReplayPort;
  readonly engine: FailingEngine | null;
  /** Null where the run's model could not be changed. */
  readonly models: SwitchedEngine | null;
}

async function begin(record: JournalRecord, engineFor: EngineFor, decisions: JournalSink): Promise<Replayed> {
  if (record.type !== RECORD.start) {
    throw new BadInputError(
      "journal",
      `a first record of type ${record.type}`,
      `type ${RECORD.start} (start of run)`,
    );
  }
  const start = parseRunStart(decoder.decode(record.payload));
  if (start.model !== null && start.schemaHash !== SCHEMA_HASH) {
    throw new ModelRefusedError(
      start.model.name,
      `feature schema ${start.schemaHash}`,
      `${SCHEMA_HASH} (this build)`,
    );
  }
  const made = await engineFor(start);
  const models = made !== null && start.model?.switchable === true ? new SwitchedEngine(made) : null;
  const engine = made === null ? null : new FailingEngine(models ?? made);
  // Feeds decode natively where the library is there.
  await loadNative();
  const port = new ReplayPort(decisions);
  const desk = new Desk({ ...start, engine, port, timer: noTimer });
  return { start, desk, port, engine, models };
}

/** @throws BadInputError when the run is one whose model could not be changed */
async function applyAct(act: ModelAct, run: Replayed, engineFor: EngineFor): Promise<void> {
  const { start, models, desk } = run;
  if (models === null || start.model === null) {
    throw new BadInputError("journal", "a change of the model", "a run whose model can be changed");
  }
  const loaded =
    act.do === "load" ? await engineFor({ ...start, model: { ...start.model, ...act.model } }) : null;
  await applyModelAct(act, models, desk, loaded)?.dispose();
}

/** The recorded engine answered in the same turn and left no record of it; one that does not is waited for. */
async function answerAtOnce(timeUs: number, { desk, port, engine }: Replayed): Promise<void> {
  while (port.pending !== null && engine !== null) {
    const { rows } = port.pending;
    port.pending = null;
    try {
      await engine.submit(rows);
    } catch (error) {
      if (!(error instanceof EngineLostError)) throw error;
      desk.onEngineLost(timeUs);
      return;
    }
    desk.onInference(timeUs);
  }
}

/** The journalled submit has ended: so must the replayed one. @returns whether the probabilities are the same bits. */
async function resolveInference(record: JournalRecord, { desk, port, engine }: Replayed): Promise<boolean> {
  if (engine === null || port.pending === null) return false;
  const { rows } = port.pending;
  port.pending = null;
  await engine.submit(rows);
  const recorded = new Float32Array(
    record.payload.buffer.slice(
      record.payload.byteOffset,
      record.payload.byteOffset + record.payload.byteLength,
    ),
  );
  const made = engine.probabilities.subarray(0, rows * engine.card.heads.length);
  const same = recorded.length === made.length && made.every((value, at) => Object.is(value, recorded[at]));
  desk.onInference(record.timeUs);
  return same;
}

/** @returns false for records that are no input. */
function apply(record: JournalRecord, desk: Desk, port: ReplayPort): boolean {
  const { subject, timeUs } = record;
  switch (record.type) {
    case RECORD.feedOpen:
      desk.onFeedOpen(subject, timeUs);
      return true;
    case RECORD.feedFrame:
      desk.onFrame(subject, decoder.decode(record.payload), timeUs);
      return true;
    case RECORD.batchEnd:
      desk.onBatchEnd(timeUs);
      return true;
    case RECORD.feedClose: {
      const { code, reason } = json<{ code: number; reason: string }>(record);
      desk.onFeedClose(subject, code, reason, timeUs);
      return true;
    }
    case RECORD.feedResponse: {
      const answer = json<{ request: number; status: number; retryAfterMs: number | null; body: string }>(
        record,
      );
      desk.onFeedResponse(
        subject,
        answer.request,
        answer.status,
        answer.body,
        answer.retryAfterMs ?? Number.NaN,
        timeUs,
      );
      return true;
    }
    case RECORD.feedTimer:
      desk.onFeedTimer(subject, timeUs);
      return true;
    case RECORD.feedsLost:
      desk.onFeedsLost(json<{ feeds: number[] }>(record).feeds, timeUs);
      return true;
    case RECORD.feedsStarted:
      desk.onFeedsStarted(json<{ feeds: number[] }>(record).feeds, timeUs);
      return true;
    case RECORD.timer:
      desk.onTimer(timeUs);
      port.taps.onTimer(timeUs);
      return true;
    case RECORD.gateway: {
      const event = json<GatewayEvent>(record);
      if (event.on === "down") port.taps.onCancelAll(timeUs);
      applyGatewayEvent(event, desk, timeUs);
      return true;
    }
    case RECORD.drift:
      desk.onDrift(subject, json<{ share: number }>(record).share, timeUs);
      return true;
    case RECORD.load: {
      const { stage, share } = json<{ stage: LoadStageName; share: number }>(record);
      desk.onLoad(LOAD_STAGE[stage], share, timeUs);
      return true;
    }
    case RECORD.limits:
      desk.setLimits(json<RiskLimits>(record), timeUs);
      return true;
    case RECORD.reconciliation: {
      const { report, adopt } = json<{ report: ReconciliationReport; adopt: boolean }>(record);
      desk.onReconciliation(report, adopt, timeUs);
      return true;
    }
    case RECORD.rfq:
      desk.onRfq(json<RfqInput>(record), timeUs);
      return true;
    case RECORD.control: {
      const told = json<{ command: ControlCommand; reason: string } | SidesCommand>(record);
      if (told.command === "sides") {
        desk.setSides(told.instrument, SIDES[told.sides], timeUs);
        return true;
      }
      const { command, reason } = told;
      if (command === "kill") desk.kill(reason, timeUs);
      else if (command === "reduce") desk.reduce(reason, timeUs);
      else if (command === "reset") desk.resetKill(timeUs);
      else if (command === "lead") desk.lead();
      else if (command === "standBy") desk.standBy(reason, timeUs);
      else if (command === "doubt") desk.doubtPositions(timeUs);
      else desk.shutdown(timeUs);
      return true;
    }
    case RECORD.engineLost:
      // A synchronous engine's loss has been foretold, and happened in the turn of the input before.
      if (lostStepOf(record) !== null) return false;
      port.pending = null;
      desk.onEngineLost(timeUs);
      return true;
    default:
      return false;
  }
}

/** The journal's own payloads are CRC-checked and written by this code, so their shape is taken as given. */
function json<T>(record: JournalRecord): T {
  try {
    return JSON.parse(decoder.decode(record.payload)) as T;
  } catch {
    throw new BadInputError(
      `journal record ${record.sequence}`,
      "a payload that is no JSON",
      `JSON of type ${record.type}`,
    );
  }
}
