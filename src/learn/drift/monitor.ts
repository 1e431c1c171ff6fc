import { invariant } from "../../core/invariant.ts";
import { HEADS, type ModelCard } from "../../inference/card.ts";
import type { DriftParameters } from "./parameters.ts";
import { DRIFT_STAGES, type DriftStage } from "./stage.ts";
import { UnderlyingDrift } from "./underlying-drift.ts";

/** An underlying's model is trusted more or less from now on. */
export interface DriftChange {
  readonly underlying: number;
  readonly stage: DriftStage;
  /** Of the defensive adjustment that is added; 1 = the model is not listened to. */
  readonly share: number;
  /** What called for it. */
  readonly causes: readonly string[];
}

/** What has to be known of the model in force. */
export interface WatchedCard extends Pick<ModelCard, "heads" | "featureCount" | "profile"> {
  /** Tells models apart: digest of what stands here. */
  readonly model: string;
}

export function watchedOf({ heads, featureCount, profile }: ModelCard): WatchedCard {
  const watched = { heads, featureCount, ...(profile === undefined ? {} : { profile }) };
  return { ...watched, model: Bun.hash(JSON.stringify(watched)).toString(16) };
}

/** Models whose windows are kept of an underlying: the champion's, and a canary's that takes turns with it. */
const MODELS_KEPT = 2;

export interface DriftMonitorOptions {
  readonly card: WatchedCard;
  readonly underlyings: number;
  readonly parameters: DriftParameters;
  readonly onChange: (change: DriftChange, timeUs: number) => void;
  /** Alerts have lasted, or a model is not listened to: it should be trained anew. */
  readonly onRetrain: (underlying: number, causes: readonly string[], timeUs: number) => void;
}

/**
 * Watches whether the world that a model sees is the one it was trained for. What it is shown it keeps as counts in sliding windows;
 * a row of features is copied when it is shown and counted at the next {@link onTimer}, one underlying is judged at a call. Reads no
 * clock: the same calls give the same changes.
 */
export class DriftMonitor {
  /** Retrainings asked for. */
  requests = 0;
  readonly #options: DriftMonitorOptions;
  /** By underlying: the model in force. */
  readonly #cards: WatchedCard[];
  /** By underlying: what was seen of the models that were in force last. */
  readonly #kept: (Map<string, UnderlyingDrift> | undefined)[] = [];
  readonly #featureCount: number;
  readonly #underlyings: (UnderlyingDrift | null)[];
  /** `[underlyings, featureCount]`: rows that wait to be counted. */
  readonly #rows: Float32Array;
  /** When they were shown; NaN where none waits. */
  readonly #rowUs: Float64Array;
  #next = 0;
  #roundUs = Number.NaN;
  #requestedUs = Number.NEGATIVE_INFINITY;

  constructor(options: DriftMonitorOptions) {
    const { card, underlyings } = options;
    expectOwnProfile(card);
    this.#options = options;
    this.#cards = new Array<WatchedCard>(underlyings).fill(card);
    this.#featureCount = card.featureCount;
    this.#underlyings = new Array<UnderlyingDrift | null>(underlyings).fill(null);
    this.#rows = new Float32Array(underlyings * card.featureCount);
    this.#rowUs = new Float64Array(underlyings).fill(Number.NaN);
  }

  /** Features that a step was made on; valid during the call only. */
  onFeatures(underlying: number, features: ArrayLike<number>, offset: number, timeUs: number): void {
    if (!Number.isNaN(this.#rowUs[underlying]) || !this.#of(underlying).samples(timeUs)) return;
    const featureCount = this.#featureCount;
    const to = underlying * featureCount;
    for (let at = 0; at < featureCount; at += 1) this.#rows[to + at] = features[offset + at];
    this.#rowUs[underlying] = timeUs;
  }

  /**
   * A prediction is in force.
   *
   * @param midTicks of the book it was made from, any overlay included
   * @param bidDepth sizes of the ten best levels; likewise `askDepth`
   */
  onPrediction(
    underlying: number,
    probabilities: ArrayLike<number>,
    offset: number,
    timeUs: number,
    midTicks: number,
    bidDepth: number,
    askDepth: number,
  ): void {
    this.#of(underlying).takePrediction(probabilities, offset, timeUs, midTicks, bidDepth, askDepth);
  }

  /** The underlying's predictions are not in force, or its book broke. */
  interrupt(underlying: number): void {
    this.#underlyings[underlying]?.interrupt();
    this.#rowUs[underlying] = Number.NaN;
  }

  /** To be called about every 10 ms. */
  onTimer(timeUs: number): void {
    const featureCount = this.#featureCount;
    for (let underlying = 0; underlying < this.#underlyings.length; underlying += 1) {
      const rowUs = this.#rowUs[underlying];
      if (Number.isNaN(rowUs)) continue;
      this.#rowUs[underlying] = Number.NaN;
      this.#underlyings[underlying]?.takeFeatures(this.#rows, underlying * featureCount, rowUs);
    }
    this.#judge(timeUs);
  }

  /** Null for one of which nothing was seen. */
  of(underlying: number): UnderlyingDrift | null {
    return this.#underlyings[underlying] ?? null;
  }

  get memoryBytes(): number {
    let bytes = this.#rows.byteLength;
    for (const kept of this.#kept) for (const one of kept?.values() ?? []) bytes += one.memoryBytes;
    return bytes;
  }

  /**
   * Another model is in force for an underlying: what was seen of the one before says nothing of it, and it is trusted until something
   * does. One that comes back, as the champion does when a canary's slice of time is over, is trusted as it was when it went.
   */
  follow(underlying: number, card: WatchedCard, timeUs: number): void {
    invariant(card.featureCount === this.#featureCount, "a model of the same features");
    expectOwnProfile(card);
    if (card.model === this.#cards[underlying]?.model) return;
    const before = this.#underlyings[underlying];
    const stageBefore = before?.keeper.stage ?? 0;
    before?.interrupt();
    this.#cards[underlying] = card;
    this.#rowUs[underlying] = Number.NaN;
    const known = this.#kept[underlying]?.get(card.model);
    if (known === undefined) this.#requestedUs = Number.NEGATIVE_INFINITY;
    this.#underlyings[underlying] = known ?? null;
    if (known !== undefined) this.#keep(underlying, card.model, known);
    if ((known?.keeper.stage ?? 0) === stageBefore) return;
    if (known === undefined)
      this.#options.onChange({ underlying, stage: "steady", share: 0, causes: [] }, timeUs);
    else this.#tell(underlying, known, timeUs);
  }

  #keep(underlying: number, model: string, drift: UnderlyingDrift): void {
    const kept = this.#kept[underlying] ?? new Map<string, UnderlyingDrift>();
    this.#kept[underlying] = kept;
    kept.delete(model);
    kept.set(model, drift);
    for (const oldest of kept.keys()) {
      if (kept.size <= MODELS_KEPT) break;
      kept.delete(oldest);
    }
  }

  #of(underlying: number): UnderlyingDrift {
    const known = this.#underlyings[underlying];
    if (known !== null && known !== undefined) return known;
    invariant(underlying >= 0 && underlying < this.#underlyings.length, "an underlying of this monitor");
    const card = this.#cards[underlying];
    const made = new UnderlyingDrift(columnsOf(card), card.profile ?? null, this.#options.parameters);
    this.#underlyings[underlying] = made;
    this.#keep(underlying, card.model, made);
    return made;
  }

  #judge(timeUs: number): void {
    const { lookSeconds } = this.#options.parameters;
    if (this.#next === this.#underlyings.length) {
      if (timeUs - this.#roundUs < lookSeconds * 1e6) return;
      this.#next = 0;
    }
    if (this.#next === 0) this.#roundUs = timeUs;
    while (this.#next < this.#underlyings.length) {
      const underlying = this.#next;
      const one = this.#underlyings[underlying];
      this.#next += 1;
      if (one == null) continue;
      if (one.look(timeUs)) this.#tell(underlying, one, timeUs);
      this.#request(underlying, one, timeUs);
      return;
    }
  }

  #tell(underlying: number, { keeper }: UnderlyingDrift, timeUs: number): void {
    const { widenShare } = this.#options.parameters;
    const stage = DRIFT_STAGES[keeper.stage] ?? "defensive";
    const share = stage === "defensive" ? 1 : stage === "widened" ? widenShare : 0;
    this.#options.onChange({ underlying, stage, share, causes: keeper.causes }, timeUs);
  }

  #request(underlying: number, { keeper, alertedSinceUs }: UnderlyingDrift, timeUs: number): void {
    const { retrainSeconds, retrainPauseSeconds } = this.#options.parameters;
    const lasts = timeUs - alertedSinceUs >= retrainSeconds * 1e6;
    const isDefensive = DRIFT_STAGES[keeper.stage] === "defensive";
    if (!(lasts || isDefensive) || timeUs - this.#requestedUs < retrainPauseSeconds * 1e6) return;
    this.#requestedUs = timeUs;
    this.requests += 1;
    this.#options.onRetrain(underlying, keeper.causes, timeUs);
  }
}

function columnsOf({ heads }: WatchedCard): number[] {
  return heads.map(({ name }) => HEADS.indexOf(name));
}

function expectOwnProfile({ profile, featureCount, heads }: WatchedCard): void {
  invariant(
    profile === undefined ||
      (profile.features.length === featureCount && profile.predictions.length === heads.length),
    "a profile of this model's features and heads",
  );
}
