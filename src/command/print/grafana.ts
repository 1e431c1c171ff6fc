/**
 * A dashboard for Grafana: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/.
 *
 * @module
 */
import type { Dashboard, Panel as DashboardPanel, RowPanel } from "@grafana/schema";

export type Unit = "short" | "s" | "ops" | "percentunit" | "bytes" | "currencyUSD";

interface Panel {
  readonly title: string;
  readonly kind: "timeseries" | "stat";
  readonly unit: Unit;
  /** PromQL and the legend of each line. */
  readonly queries: readonly (readonly [expression: string, legend: string])[];
}

interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

const COLUMNS = 24;
const PANEL_HEIGHT = 8;
const STAT_HEIGHT = 4;
const RATE = "$__rate_interval";

/** Per second. */
const rate = (metric: string, labels = ""): string =>
  `rate(${metric}{instance=~"$instance"${labels}}[${RATE}])`;
const now = (metric: string, labels = ""): string => `${metric}{instance=~"$instance"${labels}}`;
const quantile = (q: number, metric: string, by: string): string =>
  `histogram_quantile(${q}, sum by (le, ${by}) (rate(${metric}_bucket{instance=~"$instance"}[${RATE}])))`;

const line = (title: string, unit: Unit, ...queries: [string, string][]): Panel => ({
  title,
  kind: "timeseries",
  unit,
  queries,
});
const stat = (title: string, unit: Unit, expression: string, legend = ""): Panel => ({
  title,
  kind: "stat",
  unit,
  queries: [[expression, legend]],
});

const GRAFANA_ROWS: readonly Row[] = [
  {
    title: "Now",
    panels: [
      stat("Kill switch", "short", now("keel_risk_killed")),
      stat("State (0 active, 1 reducing, 2 halted)", "short", now("keel_risk_state")),
      stat("Session up", "short", now("keel_gateway_session_up")),
      stat("Alerts firing", "short", `count(${now("keel_alert_firing")}) or vector(0)`),
      stat("Books live", "short", now("keel_feed_instruments", ',state="live"')),
      stat("Model", "short", now("keel_inference_info"), "{{model}} {{version}} on {{engine}}"),
    ],
  },
  {
    title: "Latency",
    panels: [
      line("Stages, p99", "s", [quantile(0.99, "keel_desk_stage_seconds", "stage"), "{{stage}}"]),
      line(
        "Frame to quote",
        "s",
        [quantile(0.5, "keel_desk_quote_seconds", "instance"), "p50"],
        [quantile(0.99, "keel_desk_quote_seconds", "instance"), "p99"],
        [quantile(0.999, "keel_desk_quote_seconds", "instance"), "p99.9"],
      ),
      line(
        "Event loop lag, p99",
        "s",
        [quantile(0.99, "keel_process_loop_lag_seconds", "instance"), "{{instance}}"],
        [
          quantile(0.99, "keel_process_collection_lag_seconds", "instance"),
          "{{instance}}, garbage collected",
        ],
      ),
      line("Age of what quotes are based on, p99", "s", [
        quantile(0.99, "keel_quote_freshness_seconds", "instance"),
        "{{instance}}",
      ]),
    ],
  },
  {
    title: "Market data",
    panels: [
      line(
        "Events",
        "ops",
        [rate("keel_market_events_total"), "events"],
        [rate("keel_market_level_updates_total"), "levels"],
      ),
      line("Books by state", "short", [now("keel_feed_instruments"), "{{state}}"]),
      line(
        "Gaps and reconnects",
        "ops",
        [rate("keel_feed_gaps_total"), "gaps {{venue}}"],
        [rate("keel_feed_reconnects_total"), "reconnects {{venue}}"],
      ),
      line("Time to heal, p99", "s", [quantile(0.99, "keel_feed_heal_seconds", "venue"), "{{venue}}"]),
      line("Delay of the fastest message", "s", [now("keel_feed_clock_delay_seconds"), "{{venue}}"]),
    ],
  },
  {
    title: "Quotes",
    panels: [
      line(
        "Sent, accepted, rejected",
        "ops",
        [rate("keel_quote_sent_total"), "sent"],
        [rate("keel_quote_acked_total"), "accepted"],
        [rate("keel_quote_rejected_total"), "rejected"],
      ),
      line("Reasons", "ops", [rate("keel_quote_reasons_total"), "{{reason}}"]),
      line("Flickers", "ops", [rate("keel_quote_flickers_total"), "reversals within 100 ms"]),
      line("Share of time at best", "percentunit", [
        `${rate("keel_quote_at_best_side_seconds_total")} / ${rate("keel_quote_compared_side_seconds_total")}`,
        "at best",
      ]),
      line("Message budget used", "percentunit", [now("keel_quote_budget_used_ratio"), "used"]),
    ],
  },
  {
    title: "Load",
    panels: [
      line("Stage (0 none, 1 conflated, 2 wider, 3 pulled)", "short", [
        now("keel_load_stage"),
        "{{instance}}",
      ]),
      line("Share of time in each stage", "percentunit", [
        rate("keel_load_stage_seconds_total"),
        "{{stage}}",
      ]),
      line("Behind by", "s", [now("keel_load_lag_seconds"), "{{of}}"]),
      line("Unread from venues", "bytes", [now("keel_load_queued_bytes"), "{{instance}}"]),
      line(
        "Stages begun and frames conflated",
        "ops",
        [rate("keel_load_entries_total"), "{{stage}}"],
        [rate("keel_load_conflated_frames_total"), "frames"],
      ),
    ],
  },
  {
    title: "Risk and positions",
    panels: [
      line("Greeks", "short", [now("keel_risk_greek"), "{{underlying}} {{greek}}"]),
      line("Stress loss", "currencyUSD", [now("keel_risk_stress_loss"), "{{underlying}}"]),
      line("Profit of the day", "currencyUSD", [now("keel_position_day_profit"), "{{currency}}"]),
      line("Refusals", "ops", [rate("keel_risk_refusals_total"), "{{limit}}"]),
      line("Fills", "ops", [rate("keel_gateway_executions_total"), "fills"]),
      line("Markout", "short", [now("keel_position_markout"), "{{horizon}}"]),
    ],
  },
  {
    title: "Process",
    panels: [
      line("Resident memory", "bytes", [now("keel_process_resident_bytes"), "{{instance}}"]),
      line("Disk left", "bytes", [now("keel_process_disk_free_bytes"), "{{folder}}"]),
      line("Journal ring", "percentunit", [now("keel_journal_ring_used_ratio"), "used"]),
      line("Clock error", "s", [now("keel_clock_error_seconds"), "bound"]),
    ],
  },
];

/** The dashboard as Grafana imports it: its model of version 1, by Grafana's own definition. */
export function grafanaDashboard(rows: readonly Row[] = GRAFANA_ROWS): Dashboard {
  const panels: (DashboardPanel | RowPanel)[] = [];
  let id = 0;
  let y = 0;
  for (const { title, panels: all } of rows) {
    id += 1;
    panels.push({
      id,
      type: "row",
      title,
      collapsed: false,
      panels: [],
      gridPos: { x: 0, y, w: COLUMNS, h: 1 },
    });
    y += 1;
    const isStats = all.every(({ kind }) => kind === "stat");
    const [w, h] = isStats ? [COLUMNS / all.length, STAT_HEIGHT] : [COLUMNS / 3, PANEL_HEIGHT];
    for (const [at, panel] of all.entries()) {
      id += 1;
      const gridPos = { x: (at * w) % COLUMNS, y: y + Math.floor((at * w) / COLUMNS) * h, w, h };
      panels.push({ id, gridPos, ...panelOf(panel) });
    }
    y += Math.ceil((all.length * w) / COLUMNS) * h;
  }
  return {
    uid: "keel",
    title: "keel",
    tags: ["keel"],
    schemaVersion: 39,
    version: 1,
    editable: true,
    timezone: "utc",
    refresh: "5s",
    time: { from: "now-30m", to: "now" },
    templating: {
      list: [
        { name: "datasource", type: "datasource", query: "prometheus", label: "Prometheus" },
        {
          name: "instance",
          type: "query",
          label: "Instance",
          datasource: DATASOURCE,
          query: { query: "label_values(keel_process_info, instance)", refId: "instance" },
          refresh: 2,
          includeAll: true,
          multi: true,
          current: { text: "All", value: "$__all" },
        },
      ],
    },
    annotations: { list: [FIRING] },
    panels,
  };
}

const DATASOURCE = { type: "prometheus", uid: "$" + "{datasource}" };

/** How its question and its title stand is the business of Grafana's source for Prometheus. */
const FIRING = {
  name: "Alerts",
  enable: true,
  iconColor: "red",
  datasource: DATASOURCE,
  target: { refId: "Anno", expr: now("keel_alert_firing") },
  titleFormat: "{{alert}}",
};

function panelOf({ title, kind, unit, queries }: Panel) {
  return {
    title,
    type: kind,
    datasource: DATASOURCE,
    fieldConfig: { defaults: { unit, custom: {} }, overrides: [] },
    options:
      kind === "stat"
        ? { reduceOptions: { calcs: ["lastNotNull"] }, textMode: queries[0]?.[1] === "" ? "value" : "name" }
        : { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi" } },
    targets: queries.map(([expr, legendFormat], at) => ({
      refId: String.fromCharCode(65 + at),
      datasource: DATASOURCE,
      expr,
      legendFormat,
    })),
  };
}
