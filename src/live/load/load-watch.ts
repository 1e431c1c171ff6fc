import type { SheddingSettings } from "../../config/shedding.ts";
import type { LoadSummary } from "../../monitor/summary.ts";
import { LOAD_STAGE, LOAD_STAGES, type LoadMeasures, LoadShedder } from "../../risk/load-shedder.ts";
import { LoadAge, type WatchedDesk } from "./load-age.ts";

/** With fewer turns of the timer in it a window goes on: one late turn says nothing about a standing queue. */
const TURNS_MIN = 3;

/** What the watch looks at besides the desk. */
export interface LoadSources {
  /** Interval of the timer whose turns are told, ms. */
  readonly timerMs: number;
  /** Bytes of feeds that wait in this host's sockets; NaN where that cannot be told. */
  readonly queuedBytes: () => number;
  /** Connections may have come and gone; called about once a second. */
  readonly refresh: () => void;
  /** Part of the fullest shard's ring that is in use; NaN without shards. */
  readonly ringFill: () => number;
  /** For how long the oldest turn in a shard's ring has waited, ms; 0 where none does, NaN without shards. */
  readonly ringMs: () => number;
  /**
   * For how long the oldest message of a relayed feed has waited, ms; 0 where none does, NaN without such feeds.
   *
   * @param nowNs monotonic
   */
  readonly relayMs: (nowNs: number) => number;
}

const REFRESH_NS = 1_000_000_000;

/**
 * Measures how far behind a live desk is, a window at a time, and has a {@link LoadShedder} judge it. Of every measure the least
 * value in the window counts: what was never less than that stands in a queue.
 */
export class LoadWatch {
  readonly shedder: LoadShedder;
  readonly settings: SheddingSettings;
  /** Of the last window that has ended; NaN before and where it cannot be told. */
  loopMs = Number.NaN;
  ageMs = Number.NaN;
  queuedBytes = Number.NaN;
  ringFill = Number.NaN;
  ringMs = Number.NaN;
  relayMs = Number.NaN;
  /** Time spent in each stage so far, ns; the one in force up to the last turn. */
  readonly stageNs = new Float64Array(LOAD_STAGES.length);
  readonly #sources: LoadSources;
  readonly #age: LoadAge;
  /** From where on a measure says that something stands in a queue. */
  readonly #late: { readonly waitMs: number; readonly ringFill: number };
  readonly #judged = {
    loopMs: Number.NaN,
    ageMs: Number.NaN,
    queuedBytes: Number.NaN,
    ringFill: Number.NaN,
    ringMs: Number.NaN,
    relayMs: Number.NaN,
  } satisfies LoadMeasures;
  #turnNs = Number.NaN;
  #timerNs = Number.NaN;
  #windowNs = Number.NaN;
  #refreshedNs = Number.NEGATIVE_INFINITY;
  #turns = 0;
  #leastLoopMs = Number.NaN;
  #leastQueued = Number.NaN;
  #leastFill = Number.NaN;
  #leastRingMs = Number.NaN;
  #leastRelayMs = Number.NaN;

  constructor(desk: WatchedDesk, settings: SheddingSettings, sources: LoadSources) {
    const { conflateMs, conflateRing, calmShare } = settings.parameters;
    this.settings = settings;
    this.shedder = new LoadShedder(settings.parameters, settings.highest);
    this.#sources = sources;
    this.#age = new LoadAge(desk);
    this.#late = { waitMs: conflateMs * calmShare, ringFill: conflateRing * calmShare };
  }

  /** Share of the defensive adjustment that the stage in force adds. */
  get share(): number {
    return this.shedder.stage >= LOAD_STAGE.widen ? this.settings.parameters.widenShare : 0;
  }

  /** @param conflatedFrames as the desk has counted them */
  summary(conflatedFrames: number): LoadSummary {
    const { shedder, stageNs } = this;
    const byStage = (value: (at: number) => number) => ({
      normal: value(LOAD_STAGE.normal),
      conflate: value(LOAD_STAGE.conflate),
      widen: value(LOAD_STAGE.widen),
      pull: value(LOAD_STAGE.pull),
    });
    return {
      stage: LOAD_STAGES[shedder.stage],
      entries: byStage((at) => shedder.entries[at]),
      seconds: byStage((at) => Math.round(stageNs[at] / 1e6) / 1_000),
      conflatedFrames,
    };
  }

  /**
   * The desk's timer has come, and the desk has not yet taken what came with it.
   *
   * @param nowNs monotonic
   * @param isTimer the event loop came back to the timer; a turn that is taken between two frames tells nothing of its lateness
   * @returns whether another stage is in force
   */
  turn(nowNs: number, isTimer = true): boolean {
    const sources = this.#sources;
    if (nowNs - this.#refreshedNs >= REFRESH_NS) {
      this.#refreshedNs = nowNs;
      sources.refresh();
    }
    if (Number.isNaN(this.#turnNs)) {
      this.#turnNs = nowNs;
      this.#timerNs = nowNs;
      this.#windowNs = nowNs;
      return false;
    }
    const passedNs = nowNs - this.#turnNs;
    this.#turnNs = nowNs;
    this.stageNs[this.shedder.stage] += passedNs;
    this.#turns += 1;
    if (isTimer) {
      const lateMs = Math.max((nowNs - this.#timerNs) / 1e6 - sources.timerMs, 0);
      this.#leastLoopMs = least(this.#leastLoopMs, lateMs);
      this.#timerNs = nowNs;
    }
    this.#leastQueued = least(this.#leastQueued, sources.queuedBytes());
    this.#leastFill = least(this.#leastFill, sources.ringFill());
    this.#leastRingMs = least(this.#leastRingMs, sources.ringMs());
    this.#leastRelayMs = least(this.#leastRelayMs, sources.relayMs(nowNs));
    if (this.#turns < TURNS_MIN || nowNs - this.#windowNs < this.settings.parameters.windowMs * 1e6)
      return false;
    this.#windowNs = nowNs;
    this.#endWindow(nowNs);
    return this.shedder.onWindow(this.#judged, nowNs / 1_000);
  }

  #endWindow(nowNs: number): void {
    this.loopMs = this.#leastLoopMs;
    this.queuedBytes = this.#leastQueued;
    this.ringFill = this.#leastFill;
    this.ringMs = this.#leastRingMs;
    this.relayMs = this.#leastRelayMs;
    const isBehind = this.#isBehind();
    this.ageMs = this.#age.endWindow(!isBehind, nowNs);
    this.#judged.loopMs = this.loopMs;
    this.#judged.ageMs = isBehind ? this.ageMs : Number.NaN;
    this.#judged.queuedBytes = this.queuedBytes;
    this.#judged.ringFill = this.ringFill;
    this.#judged.ringMs = this.ringMs;
    this.#judged.relayMs = this.relayMs;
    this.#turns = 0;
    this.#leastLoopMs = Number.NaN;
    this.#leastQueued = Number.NaN;
    this.#leastFill = Number.NaN;
    this.#leastRingMs = Number.NaN;
    this.#leastRelayMs = Number.NaN;
  }

  /**
   * Something stands in a queue on this host, or whether it does cannot be told. Where nothing does, data that is old has come late: that
   * is the venue's or the network's doing, and no load that could be shed.
   */
  #isBehind(): boolean {
    const { waitMs, ringFill } = this.#late;
    const isAnyWaiting = this.ringFill >= ringFill || this.ringMs >= waitMs || this.relayMs >= waitMs;
    return !(this.queuedBytes <= 0) || this.loopMs >= waitMs || isAnyWaiting;
  }
}

function least(before: number, value: number): number {
  return before <= value ? before : Number.isNaN(value) ? before : value;
}
