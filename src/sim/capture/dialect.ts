import type { JsonObject } from "../../feed/decoder.ts";
import type { VenueControl } from "../protocol/venue-control.ts";
import type { CaptureAnswer } from "./protocol.ts";

/** The finest decimals seen, which stand in for tick and lot where the capture does not hold the venue's own description. */
export interface Decimals {
  price: number;
  size: number;
  /** With trailing zeros, as they are written. */
  priceWritten: number;
  sizeWritten: number;
}

export const NO_DECIMALS: Readonly<Decimals> = { price: 0, size: 0, priceWritten: 0, sizeWritten: 0 };

/** Price and size as the venue wrote them. */
export type LevelText = readonly [price: string, size: string];

/** What a channel has told so far, which a later subscriber begins with. */
export interface ChannelState {
  /** Takes a recorded frame in. */
  apply(text: string): void;
  /** The frame that a subscription of the channel, by the name it was asked for, begins with; null when it begins with the next change. */
  first(asked: string): string | null;
}

/** A book that clients ask for over REST and then keep by a channel. */
export interface RestBook extends ChannelState {
  /** Takes in a recorded answer. It changes nothing while the book is whole. @returns false when it is none */
  join(body: string): boolean;
  /** Something may have been lost on the way to the recorder: the next recorded answer is the book. */
  interrupt(): void;
  /** The answer as the book stands; null before anything is known of it. */
  body(): string | null;
}

/** What a venue of channels adds to its {@link VenueControl} so that a capture of it can be served. */
export interface CaptureDialect {
  readonly control: VenueControl;
  /** The channel of a recorded data frame, under the one name that all its spellings have; null for answers and heartbeats. */
  channelOf(text: string): string | null;
  /** The same name for a channel as a client asked for it: other depths and batches of a book are the book. */
  canonical(asked: string): string;
  /** A frame as it is worded for a client that asked for its channel by this name. */
  shape(text: string, asked: string): string;
  /** The instrument a channel is of; for groups of instruments, what the venue calls the group. */
  symbolOf(channel: string): string;
  isBook(channel: string): boolean;
  /** Prices and sizes in a frame of a book. */
  levelsOf(text: string): readonly LevelText[];
  /** Null where a subscription begins with whatever comes next. */
  newState(channel: string): ChannelState | RestBook | null;
  /** The book channel that the answer of a REST address begins. */
  restBook(url: URL): string | null;
  /** Descriptions of instruments in a recorded frame or REST answer, by symbol. */
  describedIn(text: string): readonly (readonly [symbol: string, description: JsonObject])[];
  /** A description made up from what the frames show. */
  infer(symbol: string, decimals: Decimals): JsonObject;
  /** Answers what is not a book: clocks and instruments. */
  request(url: URL, described: ReadonlyMap<string, JsonObject>, timeMs: number): CaptureAnswer | null;
  /** What a channel of descriptions begins with; null for every other one. */
  describe(channel: string, described: ReadonlyMap<string, JsonObject>): string | null;
  /** How a refused request is worded. */
  refusal(status: number): string;
}

export function isRestBook(state: ChannelState | undefined): state is RestBook {
  return state !== undefined && "join" in state;
}
