import { KeelError } from "../core/errors.ts";
import { workerUrl } from "../core/executable.ts";
import type { CounterpartyCounters } from "./counterparty.ts";

/** What runs on the simulator's thread, beside the desk as the venues and the counterparty would. */
export interface PeersOptions {
  readonly seed: number;
  /** Simulated venues; left out when the desk has real ones. */
  readonly simulation?: {
    readonly price: number;
    readonly speed: number;
    readonly strikesPerExpiry?: number;
  };
  readonly counterparty: {
    readonly senderCompId: string;
    readonly targetCompId: string;
    /** Mean time between two trades against the quotes; null = it never trades. */
    readonly meanTradeIntervalMs: number | null;
  };
}

/** Where the peers listen. */
export interface PeersAddress {
  readonly counterpartyPort: number;
  /** Null without a simulation. */
  readonly binanceUrl: string | null;
  readonly deribitUrl: string | null;
}

export type PeersRequest =
  | { readonly ask: "start"; readonly options: PeersOptions }
  | { readonly ask: "toxic"; readonly inMs: number; readonly direction: "down" | "up" }
  | { readonly ask: "stop" };

export type PeersReply =
  | { readonly say: "listening"; readonly address: PeersAddress }
  | { readonly say: "failed"; readonly message: string }
  | { readonly say: "stopped"; readonly counters: CounterpartyCounters | null };

/** The desk's handle on the peers' thread. */
export class Peers {
  readonly address: PeersAddress;
  readonly #worker: Worker;

  /** @throws KeelError when the thread cannot start or a port cannot be had. */
  static async start(options: PeersOptions): Promise<Peers> {
    const worker = new Worker(workerUrl("sim"));
    const reply = await ask(worker, { ask: "start", options });
    if (reply.say !== "listening") {
      worker.terminate();
      throw new KeelError("sim", reply.say === "failed" ? reply.message : "the simulator's thread stopped");
    }
    return new Peers(worker, reply.address);
  }

  private constructor(worker: Worker, address: PeersAddress) {
    this.#worker = worker;
    this.address = address;
  }

  /** Informed traders act, makers withdraw, and the price jumps: the episode begins `inMs` from now. */
  toxicEpisode(inMs: number, direction: "down" | "up"): void {
    this.#worker.postMessage({ ask: "toxic", inMs, direction } satisfies PeersRequest);
  }

  /** @returns what the counterparty counted. */
  async stop(): Promise<CounterpartyCounters | null> {
    const reply = await ask(this.#worker, { ask: "stop" });
    this.#worker.terminate();
    return reply.say === "stopped" ? reply.counters : null;
  }
}

function ask(worker: Worker, request: PeersRequest): Promise<PeersReply> {
  return new Promise((resolve) => {
    worker.onmessage = ({ data }: MessageEvent<PeersReply>) => resolve(data);
    worker.onerror = (event) => resolve({ say: "failed", message: event.message });
    worker.postMessage(request);
  });
}
