import { readMessage, type StreamRecord } from "../stream.ts";
import { type Channel, ChannelServer } from "./channel.ts";
import {
  type Estate,
  type FromRunning,
  fromSuccessor,
  type Identity,
  type Released,
  refusal,
} from "./messages.ts";

export interface HandoverGiverOptions {
  /** Where it listens. */
  readonly path: string;
  readonly identity: Identity;
  readonly estate: () => Estate;
  /** Why this process could not quote, and how many instruments are live. */
  readonly fitness: () => { readonly unfit: readonly string[]; readonly live: number };
  /** A successor is ready: this process is to let go, and then to {@link HandoverGiver.release}. */
  readonly onReady: () => void;
  readonly onFollowed: (successor: Identity) => void;
  readonly onProblem: (text: string) => void;
}

/** After having let go: for so long the successor has time to say that it has taken over. */
const TAKEN_MS = 10_000;

/** The running process's end of a handover: gives what it holds to one successor, and in the end its place. */
export class HandoverGiver {
  readonly #options: HandoverGiverOptions;
  readonly #server: ChannelServer;
  #channel: Channel | null = null;
  #successor: Identity | null = null;
  #number = 0;
  #releasing = false;
  readonly #answered = Promise.withResolvers<boolean>();

  /** @throws KeelError when the path cannot be served */
  constructor(options: HandoverGiverOptions) {
    this.#options = options;
    this.#server = new ChannelServer(
      options.path,
      (channel) => this.#onChannel(channel),
      ({ uid, pid }) =>
        options.onProblem(`process ${pid} of user ${uid} wants to take over: only this user and root may`),
    );
  }

  /** The process that follows; null while there is none. */
  get successor(): Identity | null {
    return this.#successor;
  }

  /** The successor has asked for this process's place. */
  get releasing(): boolean {
    return this.#releasing;
  }

  add(record: StreamRecord): void {
    this.#number += 1;
    this.#tell({ type: "record", number: this.#number, record });
  }

  /** To be called about every 100 ms. */
  beat(): void {
    if (this.#successor === null) return;
    this.#channel?.flush();
    const { unfit, live } = this.#options.fitness();
    this.#tell({ type: "beat", number: this.#number, unfit: [...unfit], live });
  }

  /** Nobody else may connect; the path is the successor's to serve. */
  stop(): void {
    this.#server.stop();
    if (!this.#releasing) this.#channel?.close();
  }

  /**
   * Everything is closed and nobody holds the state directory any more. Waits for the successor to say that it does.
   *
   * @returns whether it has; otherwise it has ended, or is silent
   */
  async release(left: Released): Promise<boolean> {
    this.#tell({ type: "released", number: this.#number, released: left });
    if (this.#channel?.isOpen !== true) this.#answered.resolve(false);
    const timer = setTimeout(() => this.#answered.resolve(false), TAKEN_MS);
    try {
      return await this.#answered.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  /** The successor is on its own. */
  succeed(): void {
    this.#tell({ type: "succeeded" });
    this.#channel?.close();
  }

  /** What was let go is taken back: a successor that wakes up now finds the way shut. */
  abandon(): void {
    this.#channel?.close();
  }

  #onChannel(channel: Channel): void {
    if (this.#channel !== null) {
      channel.send({
        type: "refused",
        reason: "another process is about to take over",
      } satisfies FromRunning);
      channel.close();
      return;
    }
    this.#channel = channel;
    channel.onMessage = (text) => this.#onMessage(channel, text);
    channel.onClosed = (problem) => {
      if (this.#channel !== channel) return;
      if (this.#successor !== null && !this.#releasing) {
        this.#options.onProblem(
          `the process that was to take over is gone${problem === "" ? "" : `: ${problem}`}`,
        );
      }
      this.#answered.resolve(false);
      if (this.#releasing) return;
      this.#channel = null;
      this.#successor = null;
    };
  }

  #onMessage(channel: Channel, text: string): void {
    const message = readMessage(fromSuccessor, text);
    const { identity, estate, onReady, onFollowed } = this.#options;
    if (message?.type === "hello" && this.#successor === null) {
      const reason = refusal(identity, message.identity);
      if (reason !== null) {
        this.#refuse(channel, reason);
        return;
      }
      this.#successor = message.identity;
      onFollowed(message.identity);
      this.#tell({ type: "estate", identity, number: this.#number, estate: estate() });
    } else if (message?.type === "ready" && this.#successor !== null) {
      if (this.#releasing || message.number < this.#number) return;
      this.#releasing = true;
      onReady();
    } else if (message?.type === "taken" && this.#releasing) this.#answered.resolve(true);
    else this.#refuse(channel, "not a message of a process that takes over");
  }

  #refuse(channel: Channel, reason: string): void {
    this.#options.onProblem(`a process may not take over: ${reason}`);
    channel.send({ type: "refused", reason } satisfies FromRunning);
    channel.close();
    if (this.#channel !== channel || this.#releasing) return;
    this.#channel = null;
    this.#successor = null;
  }

  #tell(message: FromRunning): void {
    if (this.#successor !== null) this.#channel?.send(message);
  }
}
