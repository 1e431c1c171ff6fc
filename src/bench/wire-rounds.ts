import { Histogram } from "../core/histogram.ts";
import { invariant } from "../core/invariant.ts";
import { type BenchRatio, type BenchRow, ratioOf, rowOf } from "./report.ts";
import type { WireDone } from "./wire-protocol.ts";

/** Has the thread outside send frames down one of the paths. */
export interface WirePaths {
  round(path: "keel" | "relay", frames: number, perSecond: number): Promise<WireDone>;
}

/** By the highest quote id of each message: how many frames the desk had seen when it was decided. Noting allocates nothing. */
export class DecidedQuotes {
  readonly #quoteId: Float64Array;
  readonly #frames: Float64Array;
  #count = 0;

  constructor(capacity: number) {
    this.#quoteId = new Float64Array(capacity);
    this.#frames = new Float64Array(capacity);
  }

  note(quoteId: number, frames: number): void {
    if (this.#count === this.#quoteId.length) return;
    this.#quoteId[this.#count] = quoteId;
    this.#frames[this.#count] = frames;
    this.#count += 1;
  }

  clear(): void {
    this.#count = 0;
  }

  frames(): ReadonlyMap<number, number> {
    const byQuote = new Map<number, number>();
    for (let at = 0; at < this.#count; at += 1) byQuote.set(this.#quoteId[at], this.#frames[at]);
    return byQuote;
  }
}

/** Rounds of the two paths by turns, with the loop as it is placed at that time. */
export class WireRounds {
  readonly keel = new Histogram();
  readonly relay = new Histogram();
  quotes = 0;
  /** Frames that no quote followed. */
  unanswered = 0;
  readonly #paths: WirePaths;
  readonly #decided: DecidedQuotes;
  readonly #perSecond: number;

  constructor(paths: WirePaths, decided: DecidedQuotes, perSecond: number) {
    this.#paths = paths;
    this.#decided = decided;
    this.#perSecond = perSecond;
  }

  async warmUp(ms: number): Promise<void> {
    const frames = Math.ceil((this.#perSecond * ms) / 1_000);
    await this.#paths.round("keel", frames, this.#perSecond);
    await this.#paths.round("relay", frames, this.#perSecond);
  }

  async run(rounds: number, framesPerRound: number): Promise<void> {
    for (let round = 0; round < rounds; round += 1) {
      const relayed = await this.#paths.round("relay", framesPerRound, this.#perSecond);
      for (let at = 0; at < relayed.arrived; at += 1) {
        const tookNs = relayed.arrivedNs[at] - relayed.sentNs[at];
        invariant(tookNs >= 0, "no message arrives before its frame was sent");
        this.relay.record(Math.round(tookNs));
      }
      this.#decided.clear();
      this.#answered(await this.#paths.round("keel", framesPerRound, this.#perSecond));
    }
  }

  /** @returns rows and ratios under a name that begins so */
  report(name: string): { readonly rows: readonly BenchRow[]; readonly ratios: readonly BenchRatio[] } {
    const { quotes, unanswered } = this;
    const offeredPerSecond = this.#perSecond;
    const keel = rowOf(`${name}/keel`, this.keel, "us", { offeredPerSecond, quotes, unanswered });
    const relay = rowOf(`${name}/relay`, this.relay, "us", { offeredPerSecond });
    return {
      rows: [keel, relay],
      ratios: [ratioOf(`${name}/keel:relay`, keel, relay), ratioOf(`${name}/keel:relay/p99`, keel, relay)],
    };
  }

  /** A frame is answered by the first quote that was decided after it. */
  #answered({ sent, sentNs, sentBefore, arrived, arrivedNs, arrivedId }: WireDone): void {
    const frameOfQuote = this.#decided.frames();
    let next = 0;
    for (let at = 0; at < arrived; at += 1) {
      const frames = frameOfQuote.get(arrivedId[at]) ?? 0;
      for (const last = Math.min(frames - sentBefore, sent); next < last; next += 1) {
        const tookNs = arrivedNs[at] - sentNs[next];
        if (Number.isNaN(tookNs)) continue;
        invariant(tookNs >= 0, "no quote arrives before the frame that it answers was sent");
        this.keel.record(Math.round(tookNs));
      }
    }
    this.quotes += arrived;
    for (; next < sent; next += 1) if (!Number.isNaN(sentNs[next])) this.unanswered += 1;
  }
}
