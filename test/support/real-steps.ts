import { CaptureSession } from "../../models/train/capture-events.ts";
import { FEATURE_COUNT } from "../../src/feature/schema.ts";
import type { BinanceVenueName } from "../../src/feed/binance/venue.ts";
import { CaptureReader } from "../../src/feed/capture.ts";
import { LABEL_COUNT, Labeller } from "../../src/learn/labels.ts";
import { sharedPath } from "./shared-data.ts";

/** Captures of one symbol, in the order in which they were recorded, as paths in the shared folder. */
export interface RealSource {
  readonly venue: BinanceVenueName;
  readonly symbol: string;
  readonly captures: readonly string[];
}

/** Consecutive steps of a real market: what a desk would have given the model, and what then happened. */
export interface RealSteps {
  readonly count: number;
  /** `[count, F]`. */
  readonly features: Float32Array;
  /** `[labelled, K]`: the rows at the end whose horizon the capture does not reach have none. */
  readonly labels: Uint8Array;
  readonly labelled: number;
}

/**
 * Steps as the desk makes them of a capture: its decoders, books and features, a step for every change once the features are
 * ready.
 *
 * @param from the captures before this one only build up book and features
 */
export async function realSteps(source: RealSource, countMax: number, from = 0): Promise<RealSteps> {
  const session = new CaptureSession(source.venue, source.symbol);
  const features = new Float32Array(countMax * FEATURE_COUNT);
  const labels = new Uint8Array(countMax * LABEL_COUNT);
  const depth = new Float64Array(2);
  let count = 0;
  let labelled = 0;
  const labeller = new Labeller((row, of) => {
    labels.set(of, row * LABEL_COUNT);
    labelled = row + 1;
  });
  for (const [at, capture] of source.captures.entries()) {
    for await (const { text, timeUs } of new CaptureReader(sharedPath(capture))) {
      if (!session.take(text, timeUs) || at < from || !session.features.ready(0, timeUs)) continue;
      session.features.write(0, timeUs, features, count * FEATURE_COUNT);
      session.features.depths(0, depth);
      const midTicks = (session.book.bestBidTicks + session.book.bestAskTicks) / 2;
      labeller.push(timeUs, midTicks, depth[0], depth[1]);
      count += 1;
      if (count === countMax) return { count, features, labels, labelled };
    }
  }
  return { count, features, labels, labelled };
}
