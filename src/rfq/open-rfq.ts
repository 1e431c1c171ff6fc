import type { Answer } from "./answer.ts";
import type { Counterparty } from "./counterparty.ts";
import type { ClientSide, DecimalText, RequestedLeg, RfqClient } from "./message.ts";
import type { Structure } from "./structure.ts";

/** A hit that is being looked at. */
export interface HeldHit {
  readonly responseId: string | null;
  readonly orderId: string | null;
  readonly side: ClientSide;
  /** For the quantity that was taken. */
  readonly structure: Structure;
  readonly sinceUs: number;
}

/** A quoted RFQ. */
export interface OpenRfq extends RfqClient {
  /** Number of the RFQ in this run; its quotes' ids are made of it. */
  readonly number: number;
  readonly requestId: string;
  readonly counterparty: Counterparty;
  readonly side: ClientSide | null;
  readonly legs: readonly RequestedLeg[];
  /** Quoted before, and counted then. */
  readonly again: boolean;
  readonly tiedSteps: number;
  structure: Structure;
  /** Of the quote in force. */
  quoteId: string;
  answer: Answer;
  quotes: number;
  counters: number;
  /** As far as the client lets its quotes live. */
  readonly askedUntilUs: number;
  validUntilUs: number;
  held: HeldHit | null;
}

/** A quote that came to its end, kept for a while for those who ask again. */
export interface EndedQuote {
  readonly client: string;
  readonly status: "accepted" | "rejected" | "removed" | "expired" | "pass";
  readonly text: DecimalText;
}

const ENDED_MAX = 1_024;

/** The RFQs that are alive, by the names that they go by, and how the latest others ended. Bounded. */
export class OpenRfqs {
  readonly #byNumber = new Map<number, OpenRfq>();
  readonly #byQuote = new Map<string, OpenRfq>();
  readonly #byRequest = new Map<string, OpenRfq>();
  readonly #ended = new Map<string, EndedQuote>();

  get size(): number {
    return this.#byNumber.size;
  }

  /** In the order in which they came. */
  all(): OpenRfq[] {
    return [...this.#byNumber.values()];
  }

  ofQuote(quoteId: string): OpenRfq | undefined {
    return this.#byQuote.get(quoteId);
  }

  ofRequest(client: RfqClient, requestId: string): OpenRfq | undefined {
    return this.#byRequest.get(requestKey(client, requestId));
  }

  ended(quoteId: string): EndedQuote | undefined {
    return this.#ended.get(quoteId);
  }

  add(rfq: OpenRfq): void {
    this.#byNumber.set(rfq.number, rfq);
    this.#byQuote.set(rfq.quoteId, rfq);
    this.#byRequest.set(requestKey(rfq, rfq.requestId), rfq);
    rfq.counterparty.open += 1;
  }

  /** Another quote takes the place of the one in force. */
  renew(rfq: OpenRfq, quoteId: string): void {
    this.#byQuote.delete(rfq.quoteId);
    this.#end(rfq.quoteId, { client: rfq.client, status: "removed", text: "another quote took its place" });
    rfq.quoteId = quoteId;
    this.#byQuote.set(quoteId, rfq);
  }

  end(rfq: OpenRfq, status: EndedQuote["status"], text: string): void {
    if (!this.#byNumber.delete(rfq.number)) return;
    this.#byQuote.delete(rfq.quoteId);
    this.#byRequest.delete(requestKey(rfq, rfq.requestId));
    rfq.counterparty.open -= 1;
    this.#end(rfq.quoteId, { client: rfq.client, status, text });
  }

  #end(quoteId: string, ended: EndedQuote): void {
    if (this.#ended.size === ENDED_MAX) {
      for (const oldest of this.#ended.keys()) {
        this.#ended.delete(oldest);
        break;
      }
    }
    this.#ended.set(quoteId, ended);
  }
}

function requestKey({ channel, client }: RfqClient, requestId: string): string {
  return `${channel} ${client} ${requestId}`;
}
