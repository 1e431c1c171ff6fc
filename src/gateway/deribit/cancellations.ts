import type { Clock } from "../../core/clock.ts";
import { KeelError } from "../../core/errors.ts";
import { readOpenOrders } from "./account.ts";
import type { DeribitGatewayCounters } from "./gateway-options.ts";
import { insist } from "./insist.ts";
import type { JsonRecord } from "./json.ts";
import type { QuoteWriter } from "./quote-writer.ts";
import type { RpcClient } from "./rpc-client.ts";

export interface CancellationOptions {
  readonly client: RpcClient;
  readonly clock: Clock;
  readonly counters: DeribitGatewayCounters;
  readonly writer: QuoteWriter;
  /** When an outcome is unknown, quotes alone are cancelled: they are no orders. */
  readonly quotesOnly: boolean;
  /** Changes with every connection: what an older one was asked is of no more use. */
  readonly epoch: () => number;
  readonly up: () => boolean;
  readonly onProblem: (text: string, timeUs: number) => void;
}

/** Cancels what stands at the venue until it says that it has; the connection is cut when that cannot be made sure of. */
export class Cancellations {
  /** Told when nothing is being cancelled any more. */
  onIdle: (() => void) | null = null;
  readonly #options: CancellationOptions;
  /** Cancellations of everything whose answers have not come; nothing is quoted meanwhile. */
  #running = 0;
  #recovering = false;

  constructor(options: CancellationOptions) {
    this.#options = options;
  }

  get running(): boolean {
    return this.#running > 0;
  }

  /** What is open is not known, and is made sure of. */
  get recovering(): boolean {
    return this.#recovering;
  }

  get busy(): boolean {
    return this.running || this.#recovering;
  }

  /** The connection is a new one, or gone. */
  reset(): void {
    this.#running = 0;
    this.#recovering = false;
  }

  /** An outcome is unknown: everything is cancelled, and the venue asked whether it is. */
  recover(reason: string, timeUs: number): void {
    if (this.#recovering) return;
    const { counters, onProblem } = this.#options;
    this.#recovering = true;
    counters.recoveries += 1;
    onProblem(`${reason}: all quotes are cancelled`, timeUs);
    void this.everything(reason, timeUs);
  }

  /** Cancels quotes and orders until the venue says that it has, then looks whether it has. */
  async everything(why: string, timeUs: number): Promise<void> {
    const { client, clock, counters, writer, epoch: current, up } = this.#options;
    const epoch = current();
    this.#running += 1;
    counters.cancels += 1;
    const recovering = this.#recovering;
    const quotesOnly = recovering && this.#options.quotesOnly;
    const method = quotesOnly ? "private/cancel_quotes" : "private/cancel_all";
    const params = quotesOnly ? { cancel_type: "all" } : {};
    try {
      await insist(this.#options, method, params, timeUs, () => current() === epoch);
      if (recovering) {
        const open = readOpenOrders(await client.call("private/get_open_orders", {}, clock.wallUs()));
        if (open.some(({ quote }) => quote === true))
          throw new KeelError("deribit-open", "deribit: quotes are open after all were cancelled");
      }
      if (current() !== epoch) return;
      this.#running -= 1;
      if (recovering) this.#recovering = false;
      if (up()) writer.withdrawn(writer.lastId, why, clock.wallUs());
      if (!this.running) this.onIdle?.();
    } catch (error) {
      if (!(error instanceof KeelError)) throw error;
      if (current() === epoch)
        client.cut(`not sure that everything is cancelled: ${error.message}`, clock.wallUs());
    }
  }

  /** Quotes are withdrawn as a whole afterwards, for the desk's words on quotes are by id and not by instrument. */
  async some(method: string, params: JsonRecord, timeUs: number): Promise<unknown> {
    const { client, clock } = this.#options;
    const result = await client.call(method, params, timeUs);
    this.recover(`${method} has cancelled ${String(result)} orders`, clock.wallUs());
    return result;
  }
}
