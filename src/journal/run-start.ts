import { z } from "zod";
import { BadInputError } from "../core/errors.ts";
import { DEFAULT_HEDGE_PARAMETERS, type HedgeParameters } from "../hedge/parameters.ts";
import { CPU_ISAS } from "../inference/cpu/native-step.ts";
import { ENGINES } from "../inference/engine.ts";
import { VENUES } from "../market/instrument.ts";
import { DEFAULT_SURFACE_PARAMETERS, type SurfaceParameters } from "../option/surface/parameters.ts";
import { DEFAULT_FEE_RATES, type FeeRates } from "../position/fees.ts";
import { bookSnapshot } from "../position/snapshot.ts";
import { DEFAULT_QUOTE_PARAMETERS, type QuoteParameters } from "../quote/parameters.ts";
import { savedSides } from "../quote/sides-store.ts";
import { COUNTERPARTIES_MAX, savedCounterparty } from "../rfq/counterparty-store.ts";
import { DEFAULT_RFQ_PARAMETERS, type RfqParameters } from "../rfq/parameters.ts";
import { DEFAULT_RISK_LIMITS, type RiskLimits } from "../risk/limits.ts";
import { MISMATCH_RULES } from "../risk/reconciliation.ts";
import { REDUCING_LIMITS } from "../risk/trading-state.ts";

/** All values of a parameter table, by its keys; one that a journal from before it was there lacks has its default. */
function numbers<K extends string>(defaults: Readonly<Record<K, number>>) {
  return z.preprocess(
    (given) => (typeof given === "object" && given !== null ? { ...defaults, ...given } : given),
    z.record(z.enum(Object.keys(defaults) as [K, ...K[]]), z.number()),
  );
}

const runStart = z.strictObject({
  keel: z.string(),
  schemaHash: z.string(),
  /** Null when the desk ran without a model. */
  model: z
    .strictObject({
      name: z.string(),
      /** Built-in name, or the folder it was loaded from. */
      source: z.string(),
      onnxSha256: z.string(),
      engine: z.enum(ENGINES),
      /** Instruction set of the cpu engine; null on other engines, and in journals from before it was recorded. */
      isa: z.enum(CPU_ISAS).nullable().default(null),
      /** The GPU of the wgsl and webgpu engines; null on other engines, and in journals from before it was recorded. */
      adapter: z
        .strictObject({
          name: z.string(),
          software: z.boolean(),
          /** Folder with the Vulkan driver, where it was not the host's. */
          vulkanDir: z.string().nullable(),
        })
        .nullable()
        .default(null),
      /** Whether its predictions were there in the turn of their event; when left out, the cpu engine's were. */
      synchronous: z.boolean().optional(),
      heads: z.int(),
      /** Other models can take its place while the run lasts, see `SwitchedEngine`. */
      switchable: z.boolean().optional(),
    })
    .transform((model) => ({ ...model, synchronous: model.synchronous ?? model.engine === "cpu" }))
    .nullable(),
  feeds: z.array(z.strictObject({ venue: z.enum(VENUES), subscriptions: z.array(z.string()) })),
  /** Threads that the feeds were spread over; with more than one each feed had its own timer. Left out: one. */
  shards: z.int().positive().optional(),
  signals: z.array(z.string()),
  /** What leads an underlying when its first book is lost; nothing, in journals from before it was recorded. */
  reference: z.enum(["first", "next"]).default("first"),
  /** Left out or null when all instruments were quoted, as they were before a gateway had a venue. */
  quotedVenue: z.enum(VENUES).nullable().optional(),
  instrumentCapacity: z.int().positive(),
  silenceMs: z.number().positive(),
  /** Quotes were decided once for all frames that came in together; left out: for each frame. */
  conflate: z.boolean().optional(),
  seed: z.int(),
  quote: numbers<keyof QuoteParameters>(DEFAULT_QUOTE_PARAMETERS),
  /** Null when options were valued at the venue's volatilities, as they were in journals from before there were surfaces. */
  surface: numbers<keyof SurfaceParameters>(DEFAULT_SURFACE_PARAMETERS).nullable().default(null),
  risk: numbers<keyof RiskLimits>(DEFAULT_RISK_LIMITS),
  kill: z.strictObject({ tripped: z.boolean(), reason: z.string(), timeUs: z.number() }),
  reducing: z
    .strictObject({ by: z.enum(REDUCING_LIMITS), reason: z.string(), timeUs: z.number() })
    .nullable()
    .default(null),
  /** Which sides an operator of an earlier run had said are quoted; left out: nothing was said. */
  sides: savedSides.optional(),
  /** Null when nothing was hedged. */
  hedge: z
    .strictObject({
      instruments: z.array(z.strictObject({ venue: z.string(), symbol: z.string() })),
      parameters: numbers<keyof HedgeParameters>(DEFAULT_HEDGE_PARAMETERS),
    })
    .nullable()
    .default(null),
  fees: numbers<keyof FeeRates>(DEFAULT_FEE_RATES).default({ ...DEFAULT_FEE_RATES }),
  /** Null when requests for quotes were not answered. */
  rfq: numbers<keyof RfqParameters>(DEFAULT_RFQ_PARAMETERS).nullable().optional(),
  /** What earlier runs had learnt of those who ask for quotes (RFQ). */
  rfqCounterparties: z.array(savedCounterparty).max(COUNTERPARTIES_MAX).optional(),
  /** The books as the run before left them. */
  opening: bookSnapshot.nullable().default(null),
  /** Null when the counterparty could not be asked what it holds. */
  reconcile: z.enum(MISMATCH_RULES).nullable().default(null),
});

/** First record of a journal's run: everything besides the inputs that decides what the desk does. */
export type RunStart = z.infer<typeof runStart>;

/** @throws BadInputError naming the field that is wrong. */
export function parseRunStart(text: string): RunStart {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new BadInputError("first journal record", JSON.stringify(text.slice(0, 60)), "JSON");
  }
  const parsed = runStart.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new BadInputError(
      "first journal record",
      `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "unreadable"}`,
      "the start of a run",
    );
  }
  return parsed.data;
}
