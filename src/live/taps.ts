import type { Config } from "../config.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";
import { type Desk, UNDERLYING_CAPACITY } from "../desk/desk.ts";
import { Distributor } from "../distribution/distributor.ts";
import { JsonGateway } from "../gateway/json/gateway.ts";
import { FixClients } from "../gateway/rfq/fix-clients.ts";
import { ShmWriter } from "../gateway/shm/writer.ts";
import type { DeskTap } from "../gateway/tap.ts";
import type { Scaling } from "../inference/calibration.ts";
import type { StepModel } from "../inference/step-model.ts";
import { type DriftChange, watchedOf } from "../learn/drift/monitor.ts";
import { requestRetrain } from "../learn/retrain-request.ts";
import type { RfqInput } from "../rfq/message.ts";
import { jsonGatewayOf } from "./api-desk.ts";
import { fixClientsOf } from "./client-sessions.ts";
import { LiveOutcomes } from "./outcomes.ts";
import { LiveWatch } from "./watch.ts";

export interface TapContext {
  readonly clock: Clock;
  readonly log: Logger;
  /** Journals what a client says and hands it to the desk. */
  readonly onRfq: (input: RfqInput) => void;
  /** The counterparty's session is established. */
  readonly counterpartyUp: () => boolean;
  /** Takes a signal from Kafka, as a frame of the signal feed; absent = there are none. */
  readonly onSignal?: (frame: string) => void;
  /** Journals that a model is trusted more or less, and hands it to the desk. */
  readonly onDrift: (change: DriftChange) => void;
  /** Journals that probabilities of an instrument are calibrated otherwise from now on, and puts it in force. */
  readonly onCalibration: (slot: number, head: number, scaling: Scaling) => void;
}

/** Those who follow the desk's decisions, as configured. @throws KeelError naming what is missing */
export function configuredTaps(
  config: Config,
  desk: Desk,
  { card }: StepModel,
  context: TapContext,
): DeskTap[] {
  const taps: DeskTap[] = [];
  const { instruments, underlyings } = desk.market;
  const heads = card.heads.map(({ name }) => name);
  if (config.shm !== undefined) {
    const model = { name: card.name, schemaHash: card.schemaHash, heads };
    const published = { instruments, underlyings, underlyingCapacity: UNDERLYING_CAPACITY, model };
    taps.push(new ShmWriter({ ...config.shm, desk: published }));
  }
  if (config.fixAccept !== undefined) {
    const clients = new FixClients(fixClientsOf(config.fixAccept, desk, context));
    const port = clients.start();
    context.log.info("FIX clients are accepted", { hostname: config.fixAccept.address.host, port });
    taps.push(clients);
  }
  if (config.api !== undefined) {
    const api = new JsonGateway(jsonGatewayOf(config.api, desk, { name: card.name, heads }, context));
    context.log.info("the JSON gateway is served", { hostname: config.api.address.host, port: api.port });
    taps.push(api);
  }
  const { kafka, redis } = config.distribution;
  if (kafka !== undefined || redis !== undefined) {
    const { books } = desk.market;
    const shown = {
      instruments,
      books,
      underlyings,
      underlyingCapacity: UNDERLYING_CAPACITY,
      heads,
      model: card.name,
    };
    taps.push(
      new Distributor({
        kafka,
        redis,
        desk: shown,
        onSignal: (frame) => context.onSignal?.(frame),
        onProblem: (problem) => context.log.warn("distribution", { problem }),
        shutdownMs: config.timeouts.shutdownMs,
      }),
    );
  }
  if (config.outcomes !== undefined) {
    taps.push(
      new LiveOutcomes(config.outcomes, desk, card, {
        wallUs: context.clock.wallUs(),
        onProblem: (problem) => context.log.error("outcomes", { problem }),
      }),
    );
  }
  if (config.drift !== null || config.recalibrate !== null)
    taps.push(modelWatch(config, desk, card, context));
  return taps;
}

function modelWatch(
  { stateDir, drift, recalibrate }: Config,
  desk: Desk,
  card: StepModel["card"],
  { log, onDrift, onCalibration }: TapContext,
): LiveWatch {
  const { underlyings } = desk.market;
  if (drift !== null && card.profile === undefined) {
    log.warn("the model's card does not tell what it was trained on: drift is told from outcomes alone");
  }
  return new LiveWatch(desk, {
    watch: {
      card: watchedOf(card),
      underlyings: UNDERLYING_CAPACITY,
      drift: drift?.parameters ?? null,
      recalibrates: recalibrate,
    },
    onProblem: (problem) => log.error("watch", { problem }),
    findings: {
      drift: (change) => {
        const { underlying, stage, causes } = change;
        const level = stage === "steady" ? "info" : "warn";
        log[level]("drift of the model's world", { underlying: underlyings.base(underlying), stage, causes });
        if (drift?.acts === true) onDrift(change);
      },
      retrain: (underlying, causes, timeUs) => {
        const asked = {
          timeUs,
          underlying: underlyings.base(underlying),
          causes: [...causes],
          model: card.name,
        };
        log.warn("a retraining is asked for", { ...asked });
        requestRetrain(stateDir, asked).catch((error: unknown) =>
          log.error("a retraining cannot be asked for", { error }),
        );
      },
      calibration: onCalibration,
    },
  });
}
