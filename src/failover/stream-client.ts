import type { Secret } from "../core/secret.ts";
import {
  type FollowerMessage,
  leaderMessage,
  readMessage,
  STREAM_CLOSE,
  STREAM_VERSION,
  type StreamRecord,
  type StreamSnapshot,
} from "./stream.ts";

export interface StreamClientOptions {
  /** `ws://host:port` or `wss://…` of the other one. */
  readonly url: string;
  readonly token: Secret;
  readonly ca: string | undefined;
  /** Ours, for one that asks for it; PEM. */
  readonly certificate?: { readonly cert: string; readonly key: Secret } | undefined;
  readonly holder: string;
  readonly monotonicNs: () => number;
  readonly onSnapshot: (snapshot: StreamSnapshot) => void;
  readonly onRecord: (record: StreamRecord) => void;
  /** The connection to a leader has ended: it may be dead. */
  readonly onLost: () => void;
  /** The other one is there and does not lead. */
  readonly onNotLeading?: () => void;
  readonly onProblem: (text: string) => void;
}

const RETRY_MS = 250;
/** A leader says something every 100 ms. */
const SILENT_MS = 2_000;

/** What a client shows and asks for; null where both are the defaults. */
function tlsOf({
  ca,
  certificate,
}: Pick<StreamClientOptions, "ca" | "certificate">): { ca?: string; cert?: string; key?: string } | null {
  if (ca === undefined && certificate === undefined) return null;
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { cert: certificate.cert, key: certificate.key.reveal() }),
  };
}

/** Follows the other one of a pair for as long as that leads; asks again and again otherwise. */
export class StreamClient {
  readonly #options: StreamClientOptions;
  #socket: WebSocket | null = null;
  #wanted = false;
  #run: string | null = null;
  #number = 0;
  #leaderNumber = 0;
  #synced = false;
  #retryNs = Number.NEGATIVE_INFINITY;
  #heardNs = 0;
  #problem = "";
  /** Outgoing numbers of the session below this one may have been used by leaders that were followed. */
  outgoing = 1;

  constructor(options: StreamClientOptions) {
    this.#options = options;
  }

  /** Follows a leader, and has everything it has told. */
  get synced(): boolean {
    return this.#synced && this.#number >= this.#leaderNumber;
  }

  /** Records had of the present leader. */
  get number(): number {
    return this.#number;
  }

  /** Records that the leader has told of and that are still to come. */
  get behind(): number {
    return Math.max(0, this.#leaderNumber - this.#number);
  }

  follow(): void {
    this.#wanted = true;
    this.#retryNs = Number.NEGATIVE_INFINITY;
    this.onTimer();
  }

  /** This process leads: there is nobody to follow. What was had counts for nothing when it follows again. */
  leave(): void {
    this.#wanted = false;
    this.#run = null;
    this.#drop();
  }

  /** Tells the leader how far this one is, and whether it could take over. To be called about every 100 ms. */
  tell(unfit: readonly string[]): void {
    if (!this.#synced) return;
    this.#send({ type: "state", number: this.#number, unfit: [...unfit] });
  }

  onTimer(): void {
    const nowNs = this.#options.monotonicNs();
    if (this.#socket !== null) {
      if (nowNs - this.#heardNs > SILENT_MS * 1e6) this.#lost("the leader is silent");
      return;
    }
    if (this.#wanted && nowNs >= this.#retryNs) this.#connect(nowNs);
  }

  #connect(nowNs: number): void {
    const { url, token } = this.#options;
    const tls = tlsOf(this.#options);
    const socket = new WebSocket(url, {
      headers: { authorization: `Bearer ${token.reveal()}` },
      perMessageDeflate: false,
      ...(tls === null ? {} : { tls }),
    });
    this.#socket = socket;
    this.#heardNs = nowNs;
    socket.onopen = () => {
      const { holder } = this.#options;
      const after = this.#run === null ? null : { run: this.#run, number: this.#number };
      if (this.#socket === socket) this.#send({ type: "follow", version: STREAM_VERSION, holder, after });
    };
    socket.onmessage = ({ data }: MessageEvent<string | Buffer>) => {
      if (this.#socket === socket) this.#onMessage(data);
    };
    socket.onclose = ({ code, reason }) => {
      if (this.#socket !== socket) return;
      if (code === STREAM_CLOSE.notLeading) this.#options.onNotLeading?.();
      this.#lost(code === STREAM_CLOSE.notLeading ? "" : `connection closed (${code} ${reason})`);
    };
  }

  #onMessage(text: string | Buffer): void {
    const message = readMessage(leaderMessage, text);
    this.#heardNs = this.#options.monotonicNs();
    if (message === null) {
      this.#lost("a message that is none of a leader's");
      return;
    }
    switch (message.type) {
      case "snapshot":
        this.#run = message.run;
        this.#number = message.number;
        this.#leaderNumber = message.number;
        this.#synced = true;
        this.#problem = "";
        this.#options.onSnapshot(message.snapshot);
        break;
      case "resumed":
        this.#synced = true;
        this.#problem = "";
        break;
      case "record":
        if (message.number !== this.#number + 1) {
          this.#run = null;
          this.#lost(`record ${message.number} after ${this.#number}`);
          return;
        }
        this.#number = message.number;
        this.#leaderNumber = Math.max(this.#leaderNumber, message.number);
        this.#options.onRecord(message.record);
        break;
      case "beat":
        this.#leaderNumber = Math.max(this.#leaderNumber, message.number);
        this.outgoing = Math.max(this.outgoing, message.outgoing);
    }
  }

  #send(message: FollowerMessage): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** @param problem empty when it is none */
  #lost(problem: string): void {
    const followed = this.#synced;
    this.#drop();
    this.#retryNs = this.#options.monotonicNs() + RETRY_MS * 1e6;
    if (problem !== "" && problem !== this.#problem)
      this.#options.onProblem(`${this.#options.url}: ${problem}`);
    this.#problem = problem;
    if (!followed) return;
    this.#options.onLost();
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = null;
    this.#synced = false;
    socket?.close();
  }
}
