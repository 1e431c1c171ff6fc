/**
 * The feature schema: what the model sees of one underlying, in order. Two implementations follow it, the tick path
 * (`tick.ts`) and the sweep (`shaders/`); training reads features written by the tick path itself.
 *
 * All features are free of the instrument's scale: ratios, basis points of the mid, or counts. Times are the local receive
 * clock. An input that does not exist (no funding on spot, no options, no signal) leaves its feature at 0, and a model gives
 * no weight to a feature that never moved while it was trained.
 *
 * @module
 */

/** How a feature changes when bid and ask change places: not at all, in sign, or with the named feature. */
export type Mirror = "same" | "negate" | { readonly swap: string };

export interface FeatureDefinition {
  readonly name: string;
  readonly formula: string;
  readonly unit: "ratio" | "bp" | "ln" | "event" | "fraction" | "vol-point" | "signal";
  /** Longest memory of the feature in ms, as an exponential time constant; 0 = none. */
  readonly windowMs: number;
  /** The model clips the raw value to this interval before it normalises it. */
  readonly clip: readonly [number, number];
  readonly mirror: Mirror;
}

/** Levels of the document's book that the features look at. */
export const DEPTH_LEVELS = 20;
/** Levels in a side's depth: the sum that the withdrawal heads speak of. */
export const WITHDRAWAL_LEVELS = 10;

const OFI_WINDOWS_MS = [50, 100, 500, 2_000] as const;
const TRADE_WINDOWS_MS = [50, 200, 1_000] as const;
const AGE_WINDOWS_MS = [5, 20, 60, 200] as const;
const RETURN_WINDOWS_MS = [10, 50, 200, 1_000] as const;
const VOLATILITY_WINDOWS_MS = [100, 1_000, 10_000] as const;
const DEPTH_CHANGE_WINDOWS_MS = [50, 500] as const;
const FLOW_WINDOWS_MS = [100, 1_000] as const;

/** External signals, by their number; positive is bullish. */
export const SIGNALS = ["sentiment", "signal1", "signal2"] as const;

const SIDES = ["bid", "ask"] as const;

type Rest = Omit<FeatureDefinition, "name" | "mirror">;

function single(name: string, mirror: "same" | "negate", rest: Rest): FeatureDefinition[] {
  return [{ name, mirror, ...rest }];
}

/** The same feature of the bid and of the ask side, next to each other. */
function sided(stem: string, rest: Rest): FeatureDefinition[] {
  return SIDES.map((side, at) => ({
    name: `${side}${stem}`,
    mirror: { swap: `${SIDES[1 - at]}${stem}` },
    ...rest,
  }));
}

function ratio(formula: string, windowMs = 0): Rest {
  return { formula, unit: "ratio", windowMs, clip: [-1, 1] };
}

function logarithm(formula: string, windowMs: number, limit: number): Rest {
  return { formula, unit: "ln", windowMs, clip: [-limit, limit] };
}

/**
 * Notation of the formulas: q queue at the best price, d depth of ten levels, of one side; m mid with the overlay of the top
 * stream; EMA_w(x) time-weighted exponential mean of the held value x with time constant w; SUM_w(x) sum of x(tᵢ)·exp(−(t−tᵢ)/w);
 * a÷b = (a−b)/(a+b); Q mean over both sides of EMA_10s(q).
 */
export const FEATURES: readonly FeatureDefinition[] = [
  single("spreadTicks", "same", logarithm("ln(ask − bid in ticks), 0 at one tick", 0, 8)),
  single("spread", "same", { formula: "ln(1 + (ask − bid)/m)", unit: "ln", windowMs: 0, clip: [0, 5] }),
  single("micropriceOffset", "negate", {
    formula: "(microprice − m)/m, microprice weighted by the opposite queues",
    unit: "bp",
    windowMs: 0,
    clip: [-5, 5],
  }),
  single("queueImbalance", "negate", ratio("bid q ÷ ask q")),
  ...[3, 5, 10, 20].map((levels) =>
    single(
      `depthImbalance${levels}`,
      "negate",
      ratio(`bid ÷ ask size summed over ${levels} levels of the document`),
    ),
  ),
  single(
    "nearImbalance",
    "negate",
    ratio("bid ÷ ask size over 20 levels weighted by 1/(1 + 2·distance from the document's mid in bp)"),
  ),
  single("topAhead", "negate", {
    formula: "(m − mid of the document)/m",
    unit: "bp",
    windowMs: 0,
    clip: [-5, 5],
  }),
  sided("QueueOverMean", ratio("q ÷ EMA_10s(q)", 10_000)),
  sided("QueueShare", ratio("q / (q + document levels 2…10)")),
  sided("StaleShare", ratio("document size at prices better than the overlay's best / d")),
  sided("LargestShare", ratio("largest of ten levels / d")),
  sided("DepthOverMean", ratio("d ÷ EMA_10s(d)", 10_000)),
  ...DEPTH_CHANGE_WINDOWS_MS.map((ms) => sided(`DepthChange${ms}`, ratio(`d ÷ EMA_${ms}ms(d)`, ms))),
  sided("DepthOverLow", ratio("d ÷ its minimum, which relaxes to d within 1 s", 1_000)),
  sided("DepthUnderHigh", ratio("d ÷ its maximum, which relaxes to d within 1 s", 1_000)),
  sided(
    "Slope",
    logarithm("ln(1 + size-weighted mean distance of ten levels from the document's mid in bp)", 0, 5),
  ),
  sided("Gap", logarithm("ln(1 + distance between the first two levels in bp)", 0, 5)),
  sided("Range", logarithm("ln(1 + distance between the first and the tenth level in bp)", 0, 5)),
  ...OFI_WINDOWS_MS.map((ms) =>
    single(
      `orderFlowImbalance${ms}`,
      "negate",
      logarithm(`sign·ln(1 + |SUM_${ms}ms(e)/Q|), e of Cont, Kukanov, Stoikov (2014), eq. 3`, ms, 6),
    ),
  ),
  ...FLOW_WINDOWS_MS.map((ms) =>
    sided(`NetAdded${ms}`, ratio(`x/(1+|x|), x = SUM_${ms}ms(size change over 20 levels)/EMA_10s(d)`, ms)),
  ),
  ...FLOW_WINDOWS_MS.map((ms) =>
    sided(
      `Cancelled${ms}`,
      ratio(`x/(1+x), x = SUM_${ms}ms(size removed over 20 levels beyond trades)/EMA_10s(d)`, ms),
    ),
  ),
  ...TRADE_WINDOWS_MS.map((ms) =>
    sided(`Taken${ms}`, logarithm(`ln(1 + SUM_${ms}ms(size traded against the side)/Q)`, ms, 6)),
  ),
  ...TRADE_WINDOWS_MS.map((ms) =>
    single(
      `tradeImbalance${ms}`,
      "negate",
      ratio(`(bought − sold)/(bought + sold + Q/10) over SUM_${ms}ms`, ms),
    ),
  ),
  single("lastTradeSide20", "negate", ratio("±1 for a bought/sold last trade × exp(−age/20 ms)", 20)),
  ...AGE_WINDOWS_MS.map((ms) =>
    single(`tradeAge${ms}`, "same", ratio(`exp(−age of the last trade/${ms} ms)`, ms)),
  ),
  ...AGE_WINDOWS_MS.map((ms) =>
    single(`diffAge${ms}`, "same", ratio(`exp(−age of the last book diff/${ms} ms)`, ms)),
  ),
  ...AGE_WINDOWS_MS.map((ms) =>
    single(`moveAge${ms}`, "same", ratio(`exp(−age of the last change of m/${ms} ms)`, ms)),
  ),
  single("lastMove20", "negate", ratio("±1 for an up/down last change of m × exp(−age/20 ms)", 20)),
  single("diffPhase", "same", ratio("age of the last diff ÷ mean interval between diffs")),
  single("diffInterval", "same", logarithm("ln(1 + mean interval between the last ~10 diffs in ms)", 0, 8)),
  single("tradeCount1000", "same", {
    formula: "ln(1 + SUM_1s(trades))",
    unit: "event",
    windowMs: 1_000,
    clip: [0, 8],
  }),
  single("eventCount50", "same", {
    formula: "ln(1 + SUM_50ms(events))",
    unit: "event",
    windowMs: 50,
    clip: [0, 8],
  }),
  single("eventCount500", "same", {
    formula: "ln(1 + SUM_500ms(events))",
    unit: "event",
    windowMs: 500,
    clip: [0, 8],
  }),
  single("eventSurge", "same", ratio("SUM_50ms(events)/50 ms ÷ SUM_10s(events)/10 s", 10_000)),
  ...RETURN_WINDOWS_MS.map((ms) =>
    single(`return${ms}`, "negate", logarithm(`sign·ln(1 + |r|), r = (m − EMA_${ms}ms(m))/m in bp`, ms, 4)),
  ),
  ...VOLATILITY_WINDOWS_MS.map((ms) =>
    single(`volatility${ms}`, "same", logarithm(`ln(1 + √SUM_${ms}ms(squared change of m in bp))`, ms, 6)),
  ),
  single("volatilityRatio100", "same", ratio("SUM_100ms(r²)/100 ms ÷ SUM_10s(r²)/10 s", 10_000)),
  single("volatilityRatio1000", "same", ratio("SUM_1s(r²)/1 s ÷ SUM_10s(r²)/10 s", 10_000)),
  sided(
    "MoveRate",
    ratio(
      "EMA_5s(1 while, as of the last top, m lay ≥ 0.5 bp from EMA_50ms(m) to the side), down for bid",
      5_000,
    ),
  ),
  sided("WithdrawRate", ratio("EMA_5s(1 while, as of the last diff, d lay below 0.8·EMA_50ms(d))", 5_000)),
  single("basis", "negate", { formula: "m/index − 1", unit: "bp", windowMs: 0, clip: [-100, 100] }),
  single("basisChange", "negate", {
    formula: "basis − EMA_10s(basis)",
    unit: "bp",
    windowMs: 10_000,
    clip: [-20, 20],
  }),
  single("funding", "negate", {
    formula: "funding rate of the venue's period",
    unit: "bp",
    windowMs: 0,
    clip: [-50, 50],
  }),
  single("atmIv", "same", {
    formula: "at-the-money implied volatility",
    unit: "fraction",
    windowMs: 0,
    clip: [0, 3],
  }),
  single("atmIvChange", "same", {
    formula: "at-the-money implied volatility − EMA_10s of it, × 100",
    unit: "vol-point",
    windowMs: 10_000,
    clip: [-20, 20],
  }),
  ...SIGNALS.map((name) =>
    single(name, "negate", {
      formula: "last value of the signal",
      unit: "signal",
      windowMs: 0,
      clip: [-1, 1],
    }),
  ),
].flat();

export const FEATURE_COUNT = FEATURES.length;

/** Index of a feature in a row. @throws RangeError when there is none of this name. */
export function featureIndex(name: string): number {
  const index = FEATURES.findIndex((feature) => feature.name === name);
  if (index < 0) throw new RangeError(`no feature is called ${name}`);
  return index;
}

/** For each feature the one that takes its place when bid and ask are exchanged, and the factor (1 or −1) it takes. */
export function mirrorMap(): { readonly index: Int32Array; readonly factor: Float32Array } {
  const index = new Int32Array(FEATURE_COUNT);
  const factor = new Float32Array(FEATURE_COUNT);
  FEATURES.forEach((feature, at) => {
    index[at] = typeof feature.mirror === "object" ? featureIndex(feature.mirror.swap) : at;
    factor[at] = feature.mirror === "negate" ? -1 : 1;
  });
  return { index, factor };
}

/** The schema as one text; whatever changes the meaning of a row changes it. */
function canonicalSchema(): string {
  const lines = FEATURES.map((f) => {
    const mirror = typeof f.mirror === "object" ? f.mirror.swap : f.mirror;
    return [f.name, f.formula, f.unit, f.windowMs, f.clip[0], f.clip[1], mirror].join("|");
  });
  return `keel features 1\n${lines.join("\n")}\n`;
}

/** FNV-1a, 64 bit, over the UTF-8 bytes; 16 hex digits. */
function fnv1a64(text: string): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(text)) {
    hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn;
  }
  return hash.toString(16).padStart(16, "0");
}

/** Stands in every model card; a model whose hash differs was trained on other features and is refused. */
export const SCHEMA_HASH = fnv1a64(canonicalSchema());
