import type { MetricRegistry } from "../monitor/metrics.ts";
import type { LiveFailover } from "./failover.ts";

/** What one of a pair has to tell. Names are listed in `docs/metrics.md`. */
export function registerFailoverMetrics(metrics: MetricRegistry, failover: LiveFailover): void {
  const { fence, follower } = failover;
  metrics.single("keel_failover_leader", "gauge", "1 while this process leads its pair.", () =>
    failover.leadership?.role === "leader" ? 1 : 0,
  );
  metrics.single(
    "keel_failover_token",
    "gauge",
    "Fencing token of this process's last term; rises with every change of leaders.",
    () => failover.leadership?.token ?? 0,
  );
  metrics.single(
    "keel_failover_lease_remaining_seconds",
    "gauge",
    "Time for which this process may quote if it cannot renew; 0 when it does not lead.",
    () => (failover.leadership?.remainingMs ?? 0) / 1_000,
  );
  metrics.single("keel_failover_service_up", "gauge", "1 while the coordination service answers.", () =>
    failover.leadership?.serviceUp === true ? 1 : 0,
  );
  metrics.add({
    name: "keel_failover_events_total",
    type: "counter",
    help: "What happened to the lease and to what is followed, by kind.",
    collect: (emit) => {
      const {
        terms = 0,
        renewals = 0,
        failures = 0,
        lost = 0,
        early = 0,
      } = failover.leadership?.counters ?? {};
      const { adoptions, fills, fillsLost } = follower.counters;
      const counted = { terms, renewals, failures, lost, early, adoptions };
      for (const [event, count] of Object.entries(counted)) emit(count, { event });
      emit(fills, { event: "fills" });
      emit(fillsLost, { event: "fills-lost" });
      emit(fence.refused, { event: "writes-refused" });
    },
  });
  metrics.add({
    name: "keel_failover_takeover_seconds",
    type: "gauge",
    help: "How long this process's last takeover took, by stage.",
    collect: (emit) => {
      const { leaseMs, sessionMs, quoteMs } = failover.takeover.stages;
      const stages = { lease: leaseMs, session: sessionMs, quote: quoteMs };
      for (const [stage, ms] of Object.entries(stages)) if (!Number.isNaN(ms)) emit(ms / 1_000, { stage });
    },
  });
  metrics.single(
    "keel_failover_standby_ready",
    "gauge",
    "1 while a passive process follows that has everything and could quote, seen from the leader; or, on a passive one, while it is that.",
    () => {
      const { role, followers, following, unfit } = failover.report();
      if (role === "passive") return following?.synced === true && unfit.length === 0 ? 1 : 0;
      return followers.some((follower) => follower.behind === 0 && follower.unfit?.length === 0) ? 1 : 0;
    },
  );
}
