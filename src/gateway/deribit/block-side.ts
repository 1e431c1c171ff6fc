import type { DecimalText } from "../../rfq/message.ts";
import type { BlockRfq } from "./block-rfq-messages.ts";
import type { JsonRecord } from "./json.ts";

/** What one side of a quote is to be. */
export interface SideTerms {
  /** The desk's quote. */
  readonly quoteId: string;
  /** Of the legs, and of the hedge behind them. */
  readonly legPrices: readonly DecimalText[];
  readonly price: DecimalText;
  /** Local time. */
  readonly validUntilUs: number;
}

/** A request that brings the venue nearer to what is wanted. */
export interface SideCommand {
  readonly kind: "add" | "edit" | "cancel";
  readonly method: string;
  readonly params: JsonRecord;
  /** What stands when it has been carried out. */
  readonly terms: SideTerms | null;
}

/** Below this much life the venue may not take a new quote any more. */
const LEAST_LIFE_US = 100_000;

/**
 * One side of the quote for one request: what the desk wants there, what stands at the venue, and the request under way. At most
 * one is, so that its outcome says what stands.
 */
export class BlockSide {
  readonly direction: "buy" | "sell";
  wanted: SideTerms | null = null;
  standing: SideTerms | null = null;
  /** Of the quote that stands; 0 = none does. */
  venueId = 0;
  /** Of the newest quote that was added. */
  label = "";
  busy = false;
  #adds = 0;

  constructor(direction: "buy" | "sell") {
    this.direction = direction;
  }

  /** Nothing stands here any more. */
  gone(): void {
    this.standing = null;
    this.venueId = 0;
  }

  reset(): void {
    this.gone();
    this.wanted = null;
    this.busy = false;
  }

  /**
   * What to send now; null = nothing.
   *
   * @param labelPrefix begins the labels of this request's quotes
   * @param offsetUs the venue's clock less ours
   */
  next(rfq: BlockRfq, labelPrefix: string, offsetUs: number, timeUs: number): SideCommand | null {
    if (this.busy) return null;
    // Quotes run out at the venue by themselves: an edit does not prolong them.
    if (this.standing !== null && timeUs >= this.standing.validUntilUs) this.gone();
    const { wanted, standing, venueId, direction } = this;
    const good = wanted !== null && timeUs < wanted.validUntilUs - LEAST_LIFE_US;
    if (standing !== null) {
      // What stands on terms that are not sure is not edited, but taken away.
      if (!good || standing.quoteId === "") {
        const params = { block_rfq_quote_id: venueId };
        return { kind: "cancel", method: "private/cancel_block_rfq_quote", params, terms: null };
      }
      if (standing.quoteId === wanted.quoteId) return null;
      const { validUntilUs } = standing;
      return {
        kind: "edit",
        method: "private/edit_block_rfq_quote",
        params: { block_rfq_quote_id: venueId, ...quoteParams(rfq, wanted), direction },
        terms: { ...wanted, validUntilUs },
      };
    }
    if (!good) return null;
    this.#adds += 1;
    this.label = `${labelPrefix}${direction === "buy" ? "b" : "o"}${this.#adds}`;
    return {
      kind: "add",
      method: "private/add_block_rfq_quote",
      params: {
        block_rfq_id: rfq.block_rfq_id,
        label: this.label,
        direction,
        ...quoteParams(rfq, wanted),
        execution_instruction: "any_part_of",
        expires_at: Math.floor((wanted.validUntilUs + offsetUs) / 1_000),
      },
      terms: wanted,
    };
  }
}

function quoteParams(rfq: BlockRfq, { legPrices, price }: SideTerms): JsonRecord {
  const { legs, hedge, amount } = rfq;
  const futures = legs.length > 1 && legs.every(({ instrument_name: symbol }) => !/-[CP]$/.test(symbol));
  return {
    amount,
    legs: legs.map(({ instrument_name, direction, ratio }, at) => ({
      ...{ instrument_name, direction, ratio: String(ratio) },
      price: Number(legPrices[at]),
    })),
    ...(hedge == null ? {} : { hedge }),
    ...(futures ? { price: Number(price) } : {}),
  };
}
