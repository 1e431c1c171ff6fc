import type { CaptureEntry } from "../../feed/capture.ts";
import type { CaptureClient } from "./client.ts";

/** An HTTP answer before it is put on the wire; the body is JSON. */
export interface CaptureAnswer {
  readonly status: number;
  readonly body: string;
}

/** What a protocol may ask of the server that it speaks for. */
export interface CaptureHost {
  /**
   * Sends a recorded frame to those who listen, through the fault injector. `shape` gives the text as one client gets it.
   */
  deliver(
    channel: string,
    text: string,
    clients: Iterable<CaptureClient>,
    shape: (client: CaptureClient) => string,
  ): void;
  /** Sends an answer or a heartbeat. */
  reply(client: CaptureClient, text: string): void;
  /** Somebody has begun to listen: playback may begin. */
  listening(): void;
  /**
   * Resolves when clients have read all that was sent; until then the market stands still. Null when it goes at a speed of its own and
   * waits for nobody.
   */
  caughtUp(): Promise<void> | null;
  /** A REST answer is on its way: at full speed the market waits for it to arrive. */
  answering(): void;
  /** Local clock, µs. */
  wallUs(): number;
}

/** One venue's side of serving a capture: subscriptions, requests, and its state as far as playback has come. */
export interface CaptureProtocol {
  /** Frames of the capture that were market data. */
  readonly framesPlayed: number;
  /** Books given to clients beyond what was recorded: REST snapshots, snapshots after a later subscription. */
  readonly snapshotsServed: number;
  /** Channels that clients are subscribed to now, one count a client; those that a capture can never fill may be left out. */
  readonly subscriptions: number;
  /** Whether a WebSocket may be opened at the address. */
  accepts(url: URL): boolean;
  open(client: CaptureClient): void;
  message(client: CaptureClient, text: string): void;
  close(client: CaptureClient): void;
  /** @returns null when there is nothing at the address. */
  request(url: URL): CaptureAnswer | Promise<CaptureAnswer> | null;
  /** How a refused request is worded at this venue. */
  refusal(status: number): string;
  /** Playback has come to an entry. */
  play(entry: CaptureEntry): void;
  /** About once a second. */
  tick(): void;
  /** Playback has come to its end. */
  ended(): void;
  /** Playback is going to begin anew. */
  restart(): void;
}
