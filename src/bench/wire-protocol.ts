/** Between the wire benchmark and the thread that plays both the venue and the counterparty. */
export interface WireStart {
  readonly ask: "start";
}

/** Send `frames` frames at `perSecond`, in bursts a millisecond apart, and note when each answer arrives. */
export interface WireRound {
  readonly ask: "round";
  readonly path: "keel" | "relay";
  readonly frames: number;
  readonly perSecond: number;
}

export type WireRequest = WireStart | WireRound | { readonly ask: "stop" };

export interface WireListening {
  readonly say: "listening";
  readonly venueUrl: string;
  readonly relayUrl: string;
  readonly relayPort: number;
  readonly fixPort: number;
}

export interface WireDone {
  readonly say: "done";
  /** Monotonic ns at which each frame was handed to its socket; NaN of one that no quote has to answer. */
  readonly sentNs: Float64Array;
  readonly sent: number;
  /** Frames that keel was sent before the round. */
  readonly sentBefore: number;
  /** Monotonic ns at which each answer's bytes were read, in order of arrival. */
  readonly arrivedNs: Float64Array;
  /** QuoteID (117) of each answer; not set for the relay's. */
  readonly arrivedId: Float64Array;
  readonly arrived: number;
}

export type WireReply = WireListening | WireDone | { readonly say: "failed"; readonly message: string };

export const WIRE_SYMBOL = "BTCUSDT";
/** Bytes of one relayed message: as long as a MassQuote of one entry. */
export const RELAY_BYTES = 233;
/** Bytes with which a burst is acknowledged, once all of it was read: as long as a MassQuoteAcknowledgement. */
export const RELAY_ACK_BYTES = 92;
