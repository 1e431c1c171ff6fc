import type { Answer } from "./answer.ts";
import type { LastLookReason } from "./counterparty.ts";
import type { ClientSide } from "./message.ts";
import type { RfqParameters } from "./parameters.ts";
import type { StructurePrice } from "./pricing.ts";

/** How a side stands against what it would be quoted at now. */
export interface Look {
  /** Half-spread of the quote, in the structure's price unit. */
  readonly half: number;
  /** Move of the value against us, what is predicted included, in half-spreads. */
  readonly share: number;
  /** Null where the side is still good. */
  readonly reason: LastLookReason | null;
}

/** How far the value of a quoted side has moved since, and whether that is too far. @param side the client's */
export function look(
  { lastLookTolerance, lastLookSymmetric }: RfqParameters,
  { price }: Answer,
  { terms: now }: StructurePrice,
  side: ClientSide,
): Look {
  const { terms } = price;
  const half = side === "buy" ? price.halfAsk : price.halfBid;
  const moved = (side === "buy" ? 1 : -1) * (now.fair - terms.fair);
  const predicted =
    now.volatility -
    terms.volatility +
    (side === "buy" ? now.moveAsk - terms.moveAsk : now.moveBid - terms.moveBid);
  const tolerance = lastLookTolerance * half;
  const share = (moved + predicted) / half;
  if (!(moved + predicted <= tolerance)) return { half, share, reason: "moved-against-us" };
  const favours = lastLookSymmetric === 1 && !(moved >= -tolerance);
  return { half, share, reason: favours ? "moved-for-us" : null };
}
