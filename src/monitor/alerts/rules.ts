import type { AlertRule, Condition, Severity } from "./rule.ts";

const MINUTE = 60;

/** Every alert, in the order of `docs/runbooks.md`. A test holds the two together, and every metric to its family. */
export const ALERT_RULES: readonly AlertRule[] = [
  rule(
    "KeelKilled",
    "critical",
    0,
    "The kill switch is tripped: nothing is quoted until somebody resets it",
    {
      ...gauge("keel_risk_killed", "equal", 1),
    },
  ),
  rule("KeelReducing", "critical", 0, "Only what reduces a position is quoted", {
    ...gauge("keel_risk_state", "equal", 1),
  }),
  rule(
    "KeelNotReconciled",
    "critical",
    MINUTE,
    "The counterparty does not tell what it holds, or holds something else",
    {
      ...gauge("keel_risk_reconciled", "equal", 0),
    },
  ),
  rule(
    "KeelPositionsDiffer",
    "warning",
    0,
    "The counterparty held other positions than the books during a session",
    {
      ...increase("keel_position_mismatches_total", 0, 15 * MINUTE),
    },
  ),
  rule(
    "KeelUnsettled",
    "warning",
    2 * MINUTE,
    "A position has expired, and nothing says what it was settled at",
    {
      ...gauge("keel_position_unsettled", "above", 0),
    },
  ),
  rule("KeelOrderUnknown", "critical", 10, "What became of an order is not known", {
    ...gauge("keel_risk_orders", "above", 0),
    labels: { state: "unknown" },
  }),
  rule(
    "KeelProtectionTripped",
    "warning",
    0,
    "Quotes were hit faster than the market-maker protection allows",
    {
      ...increase("keel_risk_protection_total", 0, 5 * MINUTE),
    },
  ),
  rule(
    "KeelRefusals",
    "warning",
    0,
    "The gate keeps refusing quotes: something is priced wrong, or a limit is reached",
    {
      ...increase("keel_risk_refusals_total", 500, 5 * MINUTE),
    },
  ),
  rule("KeelHedgeRefused", "critical", 0, "The delta is open and the gate refuses hedges", {
    ...increase("keel_hedge_refused_total", 5, MINUTE),
  }),
  rule("KeelLimitsNotReloaded", "warning", 0, "New risk limits were not taken: the old ones are in force", {
    ...increase("keel_risk_reload_failures_total", 0, 15 * MINUTE),
  }),
  rule("KeelSessionDown", "critical", 30, "The counterparty's session is down: no quote can reach it", {
    ...gauge("keel_gateway_session_up", "equal", 0),
  }),
  rule(
    "KeelUnanswered",
    "critical",
    0,
    "The counterparty takes quotes and does not answer: whether they stand is not known",
    {
      ...gauge("keel_gateway_unanswered_seconds", "above", 5),
    },
  ),
  rule("KeelQuotesRejected", "warning", 0, "The counterparty keeps rejecting quotes", {
    ...increase("keel_quote_rejected_total", 20, 5 * MINUTE),
  }),
  rule("KeelFeedStale", "critical", 10, "Instruments get no data: they are not quoted", {
    ...gauge("keel_feed_instruments", "above", 0),
    labels: { state: "stale" },
  }),
  rule("KeelFeedUnsound", "critical", 10, "Books are not sound and do not heal: they are not quoted", {
    ...gauge("keel_feed_instruments", "above", 0),
    labels: { state: "unsound" },
  }),
  rule("KeelFeedDown", "critical", 30, "A venue cannot be reached: what rests on it is not quoted", {
    ...gauge("keel_feed_up", "equal", 0),
  }),
  rule("KeelDataLate", "warning", 10, "Data that quotes rest on takes longer than usual to come", {
    ...gauge("keel_load_lag_seconds", "above", 0.5),
    labels: { of: "data" },
  }),
  rule("KeelFeedGaps", "warning", 0, "A venue's data has gaps again and again", {
    ...increase("keel_feed_gaps_total", 10, 5 * MINUTE),
  }),
  rule("KeelFeedReconnects", "warning", 0, "The connection to a venue is lost again and again", {
    ...increase("keel_feed_reconnects_total", 5, 5 * MINUTE),
  }),
  rule(
    "KeelFeedUnparsable",
    "warning",
    0,
    "A venue sends what cannot be read: it may have changed its format",
    {
      ...increase("keel_feed_unparsable_total", 5, 5 * MINUTE),
    },
  ),
  rule(
    "KeelDefensive",
    "warning",
    MINUTE,
    "Quotes are defensive: the model is missing, late or fed with unsound input",
    {
      ...increase("keel_quote_reasons_total", 100, MINUTE),
      labels: { reason: "defensive" },
    },
  ),
  rule("KeelDrift", "warning", 0, "The model's world is not the one that it was trained for", {
    ...gauge("keel_drift_stage", "above", 1.5),
  }),
  rule("KeelModelUnwatched", "critical", 0, "The thread that watches over the model has died", {
    ...gauge("keel_watch_failed", "equal", 1),
  }),
  rule("KeelRetrainFailed", "warning", 0, "The latest retraining ended without a candidate", {
    ...gauge("keel_retrain_failed", "equal", 1),
  }),
  rule("KeelLatencySpike", "critical", 0, "More than one event in a hundred took over 1 ms on the line", {
    kind: "quantile",
    metric: "keel_desk_stage_seconds",
    labels: { stage: "total" },
    quantile: 0.99,
    aboveSeconds: 1e-3,
    windowSeconds: MINUTE,
    eventsMin: 1_000,
  }),
  rule(
    "KeelLoopLate",
    "critical",
    0,
    "The event loop comes back late: the host is short of processor time, or something blocks it",
    {
      kind: "quantile",
      metric: "keel_process_loop_lag_seconds",
      quantile: 0.99,
      aboveSeconds: 0.1,
      windowSeconds: MINUTE,
      eventsMin: 1_000,
    },
  ),
  rule(
    "KeelConflating",
    "warning",
    30,
    "More comes in than can be answered event by event: quotes are decided once in 10 ms",
    {
      ...gauge("keel_load_stage", "above", 0.5),
    },
  ),
  rule("KeelOverloaded", "critical", 0, "More comes in than the desk can take: quotes are wider, or pulled", {
    ...gauge("keel_load_stage", "above", 1.5),
  }),
  rule(
    "KeelJournalBehind",
    "warning",
    5,
    "The journal's ring is more than half full: the disk does not follow",
    {
      ...gauge("keel_journal_ring_used_ratio", "above", 0.5),
    },
  ),
  rule("KeelJournalDropped", "critical", 0, "Records did not fit the journal: that part cannot be replayed", {
    ...increase("keel_journal_dropped_total", 0, 5 * MINUTE),
  }),
  rule(
    "KeelJournalStalled",
    "critical",
    0,
    "The journal's disk has no room: records wait, and are lost once the ring is full",
    {
      ...gauge("keel_journal_stalled", "equal", 1),
    },
  ),
  rule("KeelJournalFailed", "critical", 0, "The journal can write no more: nothing is recorded from now on", {
    ...gauge("keel_journal_failed", "equal", 1),
  }),
  rule("KeelDiskLow", "warning", MINUTE, "Less than 2 GB are left on a disk that keel writes to", {
    ...gauge("keel_process_disk_free_bytes", "below", 2e9),
  }),
  rule(
    "KeelStateUnwritten",
    "critical",
    10,
    "What a restart must know cannot be written to the state folder",
    {
      ...gauge("keel_state_behind", "above", 0),
    },
  ),
  rule("KeelDescriptorsLow", "warning", 0, "Nearly all file descriptors that keel may have are in use", {
    ...gauge("keel_process_open_files_ratio", "above", 0.8),
  }),
  rule("KeelLeaseServiceDown", "critical", 1, "The service that says who of the pair leads does not answer", {
    ...gauge("keel_failover_service_up", "equal", 0),
  }),
  rule("KeelNoStandby", "warning", 30, "Nobody is ready to take the lead over", {
    ...gauge("keel_failover_standby_ready", "equal", 0),
  }),
  rule("KeelLeadLost", "critical", 0, "The lead was lost because the lease could not be renewed in time", {
    ...increase("keel_failover_events_total", 0, 5 * MINUTE),
    labels: { event: "lost" },
  }),
  rule("KeelModelRolledBack", "warning", 0, "A canary or a champion was taken back", {
    ...increase("keel_model_changes_total", 0, 15 * MINUTE),
    labels: { change: "rollback" },
  }),
  rule(
    "KeelRegistryUntrusted",
    "warning",
    0,
    "The registry cannot be read or is not to be trusted: models stay as they are",
    {
      ...increase("keel_model_changes_total", 3, 5 * MINUTE),
      labels: { change: "failure" },
    },
  ),
  rule("KeelVerdictWaits", "warning", MINUTE, "A challenger was judged and a person has to act on it", {
    ...gauge("keel_model_verdicts_waiting", "above", 0),
  }),
  rule("KeelChallengersFailed", "warning", 0, "The thread of the challengers has died: nothing is compared", {
    ...gauge("keel_model_challenge_failed", "equal", 1),
  }),
  rule("KeelClockOff", "warning", MINUTE, "The host's clock may be more than 10 ms off", {
    ...gauge("keel_clock_error_seconds", "above", 0.01),
  }),
  rule("KeelClockUnkept", "warning", 5 * MINUTE, "Nothing keeps the host's clock", {
    ...gauge("keel_clock_error_seconds", "unknown", 0),
  }),
  rule("KeelClockPut", "warning", 0, "The host's clock was put; the desk's time goes on as it was", {
    ...increase("keel_clock_steps_total", 0, 15 * MINUTE),
  }),
  rule("KeelRequestsRefused", "warning", 0, "Requests over HTTP are refused again and again", {
    ...increase("keel_http_refused_total", 10, 5 * MINUTE),
  }),
];

function rule(
  name: string,
  severity: Severity,
  forSeconds: number,
  summary: string,
  when: Condition,
): AlertRule {
  return { name, severity, forSeconds, summary, when };
}

function gauge(metric: string, is: "above" | "below" | "equal" | "unknown", value: number) {
  return { kind: "gauge", metric, is, value } as const;
}

function increase(metric: string, above: number, windowSeconds: number) {
  return { kind: "increase", metric, above, windowSeconds } as const;
}
