import packageJson from "../../package.json";
import type { Config } from "../config.ts";
import { SCHEMA_HASH } from "../feature/schema.ts";
import type { StepEngine } from "../inference/engine.ts";
import { nameOf, type StepModel } from "../inference/step-model.ts";
import { SwitchedEngine } from "../inference/switched-engine.ts";
import type { RunStart } from "../journal/run-start.ts";
import { INSTRUMENT_CAPACITY } from "./live-options.ts";

/** What the last run left behind. */
export type LeftBehind = Pick<RunStart, "kill" | "reducing" | "sides" | "opening" | "rfqCounterparties">;

/** What a run begins with, as its journal's first record tells it. Whether it reconciles is known once the gateway is made. */
export function liveStart(config: Config, model: StepModel, engine: StepEngine, left: LeftBehind): RunStart {
  return {
    keel: packageJson.version,
    schemaHash: SCHEMA_HASH,
    model: {
      name: model.card.name,
      source: nameOf(model),
      onnxSha256: model.card.onnxSha256,
      engine: engine.name,
      isa: engine.isa ?? null,
      adapter:
        engine.adapter === undefined ? null : { ...engine.adapter, vulkanDir: config.engines.gpu.vulkanDir },
      synchronous: engine.synchronous,
      heads: model.card.heads.length,
      ...(engine instanceof SwitchedEngine ? { switchable: true } : {}),
    },
    feeds: config.feeds.map(({ venue, subscriptions }) => ({ venue, subscriptions: [...subscriptions] })),
    ...(config.shards > 1 ? { shards: config.shards } : {}),
    signals: [...(config.signals?.names ?? [])],
    reference: config.reference,
    quotedVenue: config.deribit === undefined ? null : "deribit",
    instrumentCapacity: INSTRUMENT_CAPACITY,
    silenceMs: config.timeouts.silenceMs,
    conflate: config.conflate,
    seed: config.seed,
    quote: { ...config.quote },
    surface: config.surface === null ? null : { ...config.surface },
    risk: { ...config.risk },
    ...left,
    hedge:
      config.hedge === null
        ? null
        : {
            instruments: config.hedge.instruments.map((instrument) => ({ ...instrument })),
            parameters: { ...config.hedge.parameters },
          },
    fees: { ...config.fees },
    rfq: config.rfq === null ? null : { ...config.rfq },
    reconcile: null,
  };
}
