import { KeelError } from "../core/errors.ts";
import { firstLines } from "../feed/lines.ts";
import { DeribitGateway } from "../gateway/deribit/gateway.ts";
import { FixQuoteGateway } from "../gateway/fix/quote-gateway.ts";
import { FixClients } from "../gateway/rfq/fix-clients.ts";
import { FEED_STATE } from "../market/event-batch.ts";
import type { AlertWatch } from "../monitor/alerts/watch.ts";
import type { HttpTarget } from "../monitor/http.ts";
import type { MetricRegistry } from "../monitor/metrics.ts";
import { positionReport } from "../monitor/position-report.ts";
import { standingReports } from "../monitor/standing-report.ts";
import { reasonNames } from "../quote/quote-batch.ts";
import { LOAD_STAGE } from "../risk/load-shedder.ts";
import { dashboardSource } from "./dashboard-source.ts";
import type { LiveFailover } from "./failover.ts";
import { inHours } from "./in-hours.ts";
import type { LiveDesk } from "./live-desk.ts";
import { unansweredSeconds } from "./live-metrics.ts";
import { LiveOutcomes } from "./outcomes.ts";
import { LiveWatch } from "./watch.ts";

/** A loop that was this late is not healthy. */
const LOOP_LAG_MS_MAX = 1_000;
/** Quotes that the counterparty leaves unanswered for longer are not known to stand. */
const UNANSWERED_SECONDS_MAX = 5;

/** What the HTTP server shows of a live desk and what it may ask of it. */
export function httpTarget(
  live: LiveDesk,
  metrics: MetricRegistry,
  alerts: AlertWatch | null,
  failover: LiveFailover | null = null,
): HttpTarget {
  const { desk } = live;
  return {
    metrics,
    unhealthy: () =>
      live.loopLag.recentMsMax > LOOP_LAG_MS_MAX
        ? [`the event loop was ${live.loopLag.recentMsMax.toFixed(0)} ms late`]
        : [],
    unready: () => unready(live, failover),
    failover: () => failover?.report() ?? null,
    switchLead: async (force) => {
      if (failover === null) throw new KeelError("alone", "this process is not one of a pair");
      await failover.switch("an operator gave the lead to the other one", force);
    },
    status: () => live.summary(),
    alerts: () => alerts?.firing() ?? [],
    kill: (reason) => live.trading.kill(`http: ${reason}`),
    reduce: (reason) => live.trading.reduce(`http: ${reason}`),
    setSides: (instrument, sides) => live.trading.setSides(instrument, sides),
    quotes: (instrument) => standingReports(desk, instrument),
    rfq: () => rfqReport(live),
    models: () => live.models?.view() ?? null,
    promoteModel: (version, why) => changed(live.models?.promote(version, { who: "http", why })),
    rollbackModel: (why) => changed(live.models?.rollback({ who: "http", why })),
    outcomes: () => live.taps.find((tap) => tap instanceof LiveOutcomes)?.view() ?? null,
    drift: () => live.taps.find((tap) => tap instanceof LiveWatch)?.view() ?? null,
    positions: () => positionReport(desk),
    adoptPositions: () => live.adoptPositions(),
    resetKill: () => live.trading.askReset(),
    fix: () => (live.gateway instanceof FixQuoteGateway ? live.gateway.describe() : null),
    deribit: () => (live.gateway instanceof DeribitGateway ? live.gateway.describe() : null),
    dashboard: dashboardSource(live, alerts),
    resetFix: () => {
      if (!(live.gateway instanceof FixQuoteGateway)) return false;
      live.gateway.resetSession(live.clock.wallUs());
      return true;
    },
  };
}

/** Counters, counterparties with their tiers and last looks, and the sessions of FIX clients. */
export function rfqReport({ desk, taps }: LiveDesk): unknown {
  if (desk.rfq === null) return null;
  const { open, counters } = desk.rfq;
  const clients = taps.flatMap((tap) => (tap instanceof FixClients ? tap.describe() : []));
  return { open, counters, counterparties: desk.rfq.counterparties(), clients };
}

/** What quoting waits for; empty when nothing is missing. */
export function unready(live: LiveDesk, failover: LiveFailover | null = null): string[] {
  const leadership = failover?.leadership ?? null;
  if (leadership !== null && leadership.role !== "leader") {
    const holder = leadership.holder === "" ? "nobody known" : leadership.holder;
    return [`this process stands by; the lease is held by ${holder}`, ...unfit(live)];
  }
  const reasons: string[] = [];
  if (!live.gateway.ready) {
    const why = inHours(live) ? "" : ": it is outside of KEEL_FIX_SCHEDULE";
    reasons.push(`the counterparty's session is not established${why}`);
  }
  const waitedSeconds = unansweredSeconds(live);
  if (waitedSeconds > UNANSWERED_SECONDS_MAX) {
    reasons.push(`the counterparty has not answered quotes for ${waitedSeconds.toFixed(0)} s`);
  }
  return [...reasons, ...unfit(live)];
}

/** What quoting would wait for if the counterparty's session were up. */
export function unfit(live: LiveDesk): string[] {
  const { desk, load } = live;
  const { underlyings } = desk.market;
  const reasons: string[] = [];
  if (desk.gate.kill.tripped) reasons.push(`the kill switch is tripped: ${desk.gate.kill.state.reason}`);
  if (load?.shedder.stage === LOAD_STAGE.pull)
    reasons.push("more comes in than can be taken: quotes are pulled");
  if (live.standsBy && live.gateway.prepared === false)
    reasons.push("the connection to the venue is not ready to be led on");
  if (!live.standsBy && !desk.gate.reconciled)
    reasons.push("positions are not reconciled with the counterparty");
  if (desk.gate.reducing !== null) reasons.push(`only reductions are quoted: ${desk.gate.reducing.reason}`);
  for (const { venue } of firstLines(desk.feeds)) {
    const lines = desk.feeds.filter((feed) => feed.venue === venue);
    const carried = lines.flatMap((feed) => feed.carried);
    if (carried.some(({ id }) => desk.market.feedState[id] === FEED_STATE.live)) continue;
    reasons.push(`${venue}: no instrument is live`);
    for (const { problem } of lines) if (problem !== "") reasons.push(problem);
  }
  for (let underlying = 0; underlying < underlyings.size; underlying += 1) {
    const status = desk.modelStatus(underlying);
    if (status !== 0) reasons.push(`${underlyings.base(underlying)}: ${reasonNames(status).join(", ")}`);
  }
  return reasons;
}

/** What became of a change of the models; in words why it was not made, null where there are none to change. */
async function changed(change: Promise<unknown> | undefined): Promise<unknown> {
  if (change === undefined) return null;
  try {
    return await change;
  } catch (error) {
    if (error instanceof KeelError) return error.message;
    throw error;
  }
}
