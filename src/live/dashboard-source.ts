import { hostname } from "node:os";
import packageJson from "../../package.json";
import { DeribitGateway } from "../gateway/deribit/gateway.ts";
import { FixQuoteGateway } from "../gateway/fix/quote-gateway.ts";
import { JsonGateway } from "../gateway/json/gateway.ts";
import type { AlertWatch } from "../monitor/alerts/watch.ts";
import type { DashboardSource } from "../monitor/dashboard/source.ts";
import { LOAD_STAGE, LOAD_STAGES } from "../risk/load-shedder.ts";
import { rfqReport, unready } from "./http-target.ts";
import type { LiveDesk } from "./live-desk.ts";
import { LiveOutcomes } from "./outcomes.ts";

/** What the dashboard and `keel top` show of a live desk. */
export function dashboardSource(live: LiveDesk, alerts: AlertWatch | null): DashboardSource {
  const { desk, timer, clock } = live;
  const { card } = live.model;
  const startedNs = clock.monotonicNs();
  return {
    name: hostname(),
    version: packageJson.version,
    ...{ desk, timer },
    heads: card.heads.map(({ name }) => name),
    model: { name: card.name, version: card.version, sha256: card.onnxSha256 },
    timeUs: () => clock.wallUs(),
    seconds: () => (clock.monotonicNs() - startedNs) / 1e9,
    engine: () => live.engineName,
    sessionUp: () => live.gateway.ready,
    waiting: () => unready(live),
    alerts: () => alerts?.firing() ?? [],
    sessions: () => sessions(live),
    journal: () => journal(live),
    outcomes: () => live.taps.find((tap) => tap instanceof LiveOutcomes)?.view() ?? null,
    shadow: () => live.models?.view() ?? null,
    loopLagMs: () => live.loopLag.recentMsMax,
    load: () => LOAD_STAGES[live.load?.shedder.stage ?? LOAD_STAGE.normal],
  };
}

function sessions(live: LiveDesk): Record<string, unknown> {
  const { gateway, taps } = live;
  const shown: Record<string, unknown> = {};
  if (gateway instanceof FixQuoteGateway) shown.FIX = gateway.describe();
  if (gateway instanceof DeribitGateway) shown.Deribit = gateway.describe();
  const rfq = rfqReport(live);
  if (rfq !== null) shown.RFQ = rfq;
  const api = taps.find((tap) => tap instanceof JsonGateway);
  if (api !== undefined) shown["JSON gateway"] = { connections: api.connections, ...api.counters };
  return shown;
}

function journal(live: LiveDesk): Record<string, unknown> | null {
  const { journal: writer } = live;
  if (writer === null) return null;
  return {
    backlogBytes: writer.backlogBytes,
    ringBytes: writer.ringBytes,
    dropped: live.journalDropped,
    failed: writer.failed,
  };
}
