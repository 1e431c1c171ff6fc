import type { JsonGateway } from "../gateway/json/gateway.ts";
import type { FixClients } from "../gateway/rfq/fix-clients.ts";
import { LAST_LOOK_REASONS } from "../rfq/counterparty.ts";
import type { RfqDesk } from "../rfq/rfq-desk.ts";
import type { MetricRegistry } from "./metrics.ts";

/** Registers what requests for quotes and their clients have to tell. Names are listed in `docs/metrics.md`. */
export function registerRfqMetrics(metrics: MetricRegistry, rfq: RfqDesk): void {
  const { counters } = rfq;
  metrics.add({
    name: "keel_rfq_events_total",
    type: "counter",
    help: "What happened in requests for quotes, by kind.",
    collect: (emit) => {
      for (const [event, count] of Object.entries(counters)) emit(count, { event });
    },
  });
  metrics.single("keel_rfq_open", "gauge", "Requests for quotes that are alive.", () => rfq.open);
  metrics.single(
    "keel_rfq_markouts_missed_total",
    "counter",
    "Trades that could not be marked out for their counterparty's tier.",
    () => rfq.missedMarkouts,
  );
  metrics.add({
    name: "keel_rfq_counterparty_tier",
    type: "gauge",
    help: "Tier of each counterparty, 1 the best.",
    collect: (emit) => {
      for (const { name, tier } of rfq.counterparties()) emit(tier, { counterparty: name });
    },
  });
  metrics.add({
    name: "keel_rfq_last_looks_total",
    type: "counter",
    help: "Hits by counterparty and what the last look made of them.",
    collect: (emit) => {
      for (const { name: counterparty, lastLook } of rfq.counterparties()) {
        emit(lastLook.accepted, { counterparty, outcome: "accepted" });
        for (const reason of LAST_LOOK_REASONS)
          emit(lastLook.rejected[reason], { counterparty, outcome: reason });
      }
    },
  });
  metrics.add({
    name: "keel_rfq_last_look_held_seconds_total",
    type: "counter",
    help: "Time for which hits were held, by counterparty.",
    collect: (emit) => {
      for (const { name, lastLook } of rfq.counterparties())
        emit(lastLook.heldUsTotal / 1e6, { counterparty: name });
    },
  });
}

export function registerFixClientMetrics(metrics: MetricRegistry, clients: FixClients): void {
  metrics.single("keel_fix_clients", "gauge", "FIX clients that are logged on.", () => clients.established);
  metrics.single(
    "keel_fix_clients_refused_total",
    "counter",
    "Connections of FIX clients that were cut off before a logon.",
    () => clients.acceptor.refused,
  );
  metrics.single(
    "keel_fix_clients_undelivered_total",
    "counter",
    "Answers to FIX clients that had gone.",
    () => clients.undelivered,
  );
}

/** What has FIX connections, and how many of them it cut because the peer did not read. */
interface CutsUnread {
  readonly unreadCuts: number;
}

/** @param sides those that there are */
export function registerFixCutMetrics(
  metrics: MetricRegistry,
  sides: Readonly<Record<"counterparty" | "client", CutsUnread | undefined>>,
): void {
  if (sides.counterparty === undefined && sides.client === undefined) return;
  metrics.add({
    name: "keel_fix_cuts_total",
    type: "counter",
    help: "FIX connections that were cut because the peer did not read what waited for it, by whose they were.",
    collect: (emit) => {
      for (const [peer, side] of Object.entries(sides))
        if (side !== undefined) emit(side.unreadCuts, { peer });
    },
  });
}

export function registerApiMetrics(metrics: MetricRegistry, api: JsonGateway): void {
  metrics.single("keel_api_connections", "gauge", "Connections of the JSON gateway.", () => api.connections);
  metrics.add({
    name: "keel_api_events_total",
    type: "counter",
    help: "Connections and messages of the JSON gateway, by what became of them.",
    collect: (emit) => {
      for (const [event, count] of Object.entries(api.counters)) emit(count, { event });
    },
  });
}
