import type { ApiConfig } from "../config/clients.ts";
import { tlsOptionsOf } from "../config/server-tls.ts";
import { type Desk, UNDERLYING_CAPACITY } from "../desk/desk.ts";
import type { JsonGatewayOptions } from "../gateway/json/gateway.ts";
import type { ApiState } from "../gateway/json/updates.ts";
import { FEED_STATE } from "../market/event-batch.ts";
import { isLoopback } from "./client-sessions.ts";
import type { TapContext } from "./taps.ts";

/** What the JSON gateway takes from the configuration and shows of the desk. */
export function jsonGatewayOf(
  config: ApiConfig,
  desk: Desk,
  model: { readonly name: string; readonly heads: readonly string[] },
  context: TapContext,
): JsonGatewayOptions {
  const { address, clients, tls, ...bounds } = config;
  const { instruments, underlyings } = desk.market;
  if (!isLoopback(address.host) && tls === undefined) {
    context.log.warn("the JSON gateway is served beyond this host without TLS", { hostname: address.host });
  }
  return {
    ...address,
    ...bounds,
    ...(tls === undefined ? {} : { tls: tlsOptionsOf(tls) }),
    clients: clients.map(({ name, role, token }) => ({ name, role, token: token.reveal() })),
    clock: context.clock,
    desk: {
      ...{ instruments, underlyings, model },
      quoter: desk.quoter,
      underlyingCapacity: UNDERLYING_CAPACITY,
      state: () => stateOf(desk, context.counterpartyUp()),
    },
    onInput: context.onRfq,
    onProblem: (text) => context.log.warn("JSON gateway", { problem: text }),
  };
}

function stateOf(desk: Desk, counterpartyUp: boolean): ApiState {
  const { gate, market } = desk;
  const models: [string, number][] = [];
  for (let underlying = 0; underlying < market.underlyings.size; underlying += 1) {
    models.push([market.underlyings.base(underlying), desk.modelStatus(underlying)]);
  }
  const liveInstruments: Record<string, number> = {};
  for (const { venue, carried } of desk.feeds) {
    let live = liveInstruments[venue] ?? 0;
    for (const { id } of carried) if (market.feedState[id] === FEED_STATE.live) live += 1;
    liveInstruments[venue] = live;
  }
  const reason = gate.kill.tripped ? gate.kill.state.reason : (gate.reducing?.reason ?? null);
  const openRfqs = desk.rfq?.open ?? 0;
  return { trading: gate.tradingState, reason, counterpartyUp, models, liveInstruments, openRfqs };
}
