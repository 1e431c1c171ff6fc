import { FixQuoteGateway } from "../gateway/fix/quote-gateway.ts";
import type { LiveDesk } from "./live-desk.ts";

/** The counterparty's session is to be up, as far as its schedule goes. */
export function inHours({ gateway, clock }: Pick<LiveDesk, "gateway" | "clock">): boolean {
  return !(gateway instanceof FixQuoteGateway) || gateway.inHours(clock.wallUs());
}
