import type { Clock } from "../../core/clock.ts";
import { KeelError } from "../../core/errors.ts";
import { type BlockRfq, readBlockQuotes } from "./block-rfq-messages.ts";
import type { BlockSide, SideCommand } from "./block-side.ts";
import { insist } from "./insist.ts";
import type { RpcClient } from "./rpc-client.ts";
import { actionOf } from "./rpc-error.ts";

export interface BlockRfqCounters {
  requests: number;
  quotesAdded: number;
  quotesEdited: number;
  quotesCancelled: number;
  quotesRefused: number;
  unknownOutcomes: number;
  fills: number;
  doneAway: number;
  mmpTriggers: number;
  unreadable: number;
}

/** A request with what is wanted, and what stands, on its two sides. */
export interface QuotedRfq {
  readonly rfq: BlockRfq;
  readonly sides: readonly [bid: BlockSide, offer: BlockSide];
}

export interface BlockQuotesOptions {
  readonly client: RpcClient;
  readonly clock: Clock;
  /** Begins the labels of quotes. */
  readonly labelPrefix: () => string;
  readonly counters: BlockRfqCounters;
  /** By the venue's number. */
  readonly asked: ReadonlyMap<number, QuotedRfq>;
  readonly onProblem: (text: string, timeUs: number) => void;
}

/**
 * Brings the quotes of block RFQs that stand at the venue to what is wanted. What has become of a request of unknown outcome is asked
 * by its label before anything else is sent for that side.
 */
export class BlockQuotes {
  /** Quotes may be sent. */
  up = false;
  /** The venue takes none before. */
  frozenUntilUs = 0;
  /** The venue's clock less ours, µs. */
  offsetUs = 0;
  readonly #options: BlockQuotesOptions;
  #epoch = 0;
  /** A cancellation of everything whose answer has not come; nothing is sent meanwhile. */
  #cancelling: Promise<void> | null = null;

  constructor(options: BlockQuotesOptions) {
    this.#options = options;
  }

  get cancelling(): boolean {
    return this.#cancelling !== null;
  }

  /** The connection is gone: what it was asked is answered no more. */
  onLost(): void {
    this.#epoch += 1;
    this.#cancelling = null;
    this.up = false;
  }

  /** Nothing stands at the venue any more. */
  gone(): void {
    for (const { sides } of this.#options.asked.values()) for (const side of sides) side.gone();
  }

  /** Cancels every quote; resolves when the venue has answered. The connection is cut where it stays unknown. */
  cancelAll(timeUs: number): Promise<void> {
    this.#cancelling ??= this.#cancelAll(timeUs);
    return this.#cancelling;
  }

  /** Sends what brings the venue nearer to what is wanted: cancellations first. */
  flush(timeUs: number): void {
    if (!this.up || this.cancelling) return;
    const { labelPrefix, client, asked } = this.#options;
    for (const kinds of [["cancel"], ["edit", "add"]]) {
      for (const { rfq, sides } of asked.values()) {
        for (const side of sides) {
          const prefix = `${labelPrefix()}${rfq.block_rfq_id}`;
          const command = side.next(rfq, prefix, this.offsetUs, timeUs);
          if (command === null || !kinds.includes(command.kind)) continue;
          if (command.kind !== "cancel" && timeUs < this.frozenUntilUs) continue;
          if (!client.allows(command.method, timeUs)) return;
          this.#send(rfq, side, command, timeUs);
        }
      }
    }
  }

  async #cancelAll(timeUs: number): Promise<void> {
    const epoch = this.#epoch;
    const { client, clock } = this.#options;
    try {
      const isCurrent = (): boolean => this.#epoch === epoch;
      await insist(this.#options, "private/cancel_all_block_rfq_quotes", {}, timeUs, isCurrent);
      if (this.#epoch !== epoch) return;
      this.#cancelling = null;
      this.gone();
    } catch (error) {
      if (!(error instanceof KeelError)) throw error;
      if (this.#epoch === epoch)
        client.cut(`not sure that block RFQ quotes are cancelled: ${error.message}`, clock.wallUs());
    }
  }

  #send(rfq: BlockRfq, side: BlockSide, { kind, method, params, terms }: SideCommand, timeUs: number): void {
    const epoch = this.#epoch;
    const { client, counters, onProblem } = this.#options;
    const current = (): boolean => this.#epoch === epoch;
    side.busy = true;
    const handler = {
      onResult: (result: unknown, atUs: number): void => {
        if (!current()) return;
        side.busy = false;
        if (!this.#apply(side, result, terms))
          this.#askVenue(side, `an answer to ${method} that cannot be read`, atUs);
        else if (kind === "add") counters.quotesAdded += 1;
        else if (kind === "edit") counters.quotesEdited += 1;
        else counters.quotesCancelled += 1;
        this.flush(atUs);
      },
      onError: (code: number, text: string, atUs: number): void => {
        if (!current()) return;
        side.busy = false;
        const action = actionOf(code);
        if (action === "retry" || action === "login") return;
        counters.quotesRefused += 1;
        onProblem(`${method} of block RFQ ${rfq.block_rfq_id}: ${code} ${text}`, atUs);
        if (action === "frozen") this.frozenUntilUs = Math.max(this.frozenUntilUs, atUs + 1_000_000);
        else if (action === "forbidden") client.cut(`${method} is refused: ${code} ${text}`, atUs);
        else if (side.wanted?.quoteId === terms?.quoteId) side.wanted = null;
        if (kind !== "add") this.#askVenue(side, "", atUs);
      },
      onUnknown: (reason: string, atUs: number): void => {
        if (!current()) return;
        side.busy = false;
        // With the connection everything ends, and the next one begins by cancelling.
        if (client.loggedIn) this.#askVenue(side, `${method}: ${reason}`, atUs);
        else counters.unknownOutcomes += 1;
      },
    };
    if (!client.send(method, null, params, handler, timeUs)) side.busy = false;
  }

  /** @returns false where the result does not say what stands */
  #apply(side: BlockSide, result: unknown, terms: BlockSide["standing"]): boolean {
    try {
      const [quote] = readBlockQuotes(result);
      if (quote.quote_state === "open" && terms !== null) {
        side.standing = terms;
        side.venueId = quote.block_rfq_quote_id;
      } else side.gone();
      return true;
    } catch (error) {
      if (!(error instanceof KeelError)) throw error;
      return false;
    }
  }

  /** Asks what stands before anything else is sent for the side; what stands is cancelled, as its terms are not sure. */
  #askVenue(side: BlockSide, why: string, timeUs: number): void {
    const epoch = this.#epoch;
    const { client, clock, counters, onProblem } = this.#options;
    side.busy = true;
    if (why !== "") {
      counters.unknownOutcomes += 1;
      onProblem(`${why}: the venue is asked`, timeUs);
    }
    client
      .call("private/get_block_rfq_quotes", { label: side.label }, timeUs)
      .then((result) => {
        if (this.#epoch !== epoch) return;
        const [open] = readBlockQuotes(result).filter(({ quote_state: state }) => state === "open");
        side.busy = false;
        side.gone();
        if (open !== undefined) {
          side.venueId = open.block_rfq_quote_id;
          side.standing = { quoteId: "", legPrices: [], price: "", validUntilUs: Number.POSITIVE_INFINITY };
        }
        this.flush(clock.wallUs());
      })
      .catch((error: unknown) => {
        if (!(error instanceof KeelError)) throw error;
        if (this.#epoch === epoch) client.cut(`not known what stands: ${error.message}`, clock.wallUs());
      });
  }
}
