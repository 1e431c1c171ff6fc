import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { StageHistograms } from "../../src/desk/latency.ts";
import { registerDeskMetrics } from "../../src/monitor/desk-metrics.ts";
import { MetricRegistry } from "../../src/monitor/metrics.ts";
import { registerRiskMetrics } from "../../src/monitor/risk-metrics.ts";
import { DeskBed } from "../desk/desk-bed.ts";
import { ScriptedEngine } from "../desk/scripted-engine.ts";
import { exposition } from "../support/exposition.ts";
import { metricNames } from "../support/metric-names.ts";

const root = join(import.meta.dir, "../..");
test("every metric stands in docs/metrics.md, and nothing else does", () => {
  const listed = [
    ...readFileSync(join(root, "docs/metrics.md"), "utf8").matchAll(/^\| `(keel_[a-z_]+)` \|/gm),
  ].map(([, name]) => name);
  expect(listed.toSorted()).toEqual([...metricNames()].toSorted());
});

test("the exposition follows what the desk counts", () => {
  const metrics = new MetricRegistry();
  const bed = new DeskBed(new ScriptedEngine());
  registerDeskMetrics(metrics, bed.desk, new StageHistograms(() => 0));
  bed.run(3_000);
  const text = exposition(metrics);
  const { counters } = bed.desk;
  expect(counters.quotesSent).toBeGreaterThan(0);
  expect(text).toContain(`\nkeel_market_events_total ${counters.events}\n`);
  expect(text).toContain(`\nkeel_quote_sent_total ${counters.quotesSent}\n`);
  expect(text).toContain('\nkeel_feed_instruments{state="live"} 1\n');
  expect(text).toContain('\nkeel_feed_gaps_total{venue="binance-usdm"} 0\n');
  expect(text).toContain("\nkeel_risk_killed 0\n");
});

test("a desk that stands by does not say that it is not reconciled: the leader is the one that asks", () => {
  const { desk } = new DeskBed(null, {}, false, {}, null, { reconcile: "adopt" });
  let standsBy = true;
  const metrics = new MetricRegistry();
  registerRiskMetrics(metrics, desk, () => standsBy);
  expect(exposition(metrics)).not.toContain("\nkeel_risk_reconciled ");
  standsBy = false;
  expect(exposition(metrics)).toContain("\nkeel_risk_reconciled 0\n");
});

test("markouts are shown of so many counterparties and models at most, the latest", () => {
  const metrics = new MetricRegistry();
  const { desk } = new DeskBed(new ScriptedEngine());
  registerRiskMetrics(metrics, desk);
  const markout = { fills: 1, notional: 0, spread: 0, fees: 0, markout: [0, 0, 0], adverse: [0, 0, 0] };
  const sums = new Map(Array.from({ length: 1_000 }, (_, at) => [`PEER model-${at}`, markout] as const));
  Object.defineProperty(desk.book, "sums", { value: sums });
  const lines = exposition(metrics).split("\n");
  const shown = lines.filter((line) => line.startsWith("keel_position_markout{"));
  expect(shown).toHaveLength(3 * 256);
  expect(shown.at(-1)).toContain("model-999");
});

/** Rows of the table of metrics: name, type, labels. */
const rows = [
  ...readFileSync(join(root, "docs/metrics.md"), "utf8").matchAll(
    /^\| `(keel_[a-z_]+)` \| (\w+) \| (.*?) \|/gm,
  ),
].map(([, name = "", type = "", labels = ""]) => ({ name, type, labels }));

test("names follow one scheme: counters alone end in total, histograms in their unit", () => {
  const odd = rows.filter(
    ({ name, type }) =>
      !/^keel_[a-z]+(_[a-z]+)+$/.test(name) ||
      (type === "counter") !== name.endsWith("_total") ||
      (type === "histogram" && !name.endsWith("_seconds")),
  );
  expect(rows.length).toBeGreaterThan(100);
  expect(odd).toEqual([]);
});

test("every label stands in the table of what bounds its values", () => {
  const [, bounds = ""] = readFileSync(join(root, "docs/metrics.md"), "utf8").split("## How many series");
  const bounded = new Set([...bounds.matchAll(/`([a-z0-9]+)`/g)].map(([, label]) => label));
  const used = new Set(
    rows.flatMap(({ labels }) => [...labels.matchAll(/`([a-z0-9]+)`/g)].map(([, label]) => label)),
  );
  expect(used.size).toBeGreaterThan(20);
  expect([...used].filter((label) => !bounded.has(label))).toEqual([]);
});
