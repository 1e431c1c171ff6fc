import { readFileSync } from "node:fs";
import { join } from "node:path";
import { StageHistograms } from "../../src/desk/latency.ts";
import { registerDeskMetrics } from "../../src/monitor/desk-metrics.ts";
import { MetricRegistry } from "../../src/monitor/metrics.ts";
import { registerRiskMetrics } from "../../src/monitor/risk-metrics.ts";
import { DeskBed } from "../desk/desk-bed.ts";
import { ScriptedEngine } from "../desk/scripted-engine.ts";

const root = join(import.meta.dir, "../..");

/** Every metric that keel can have: those of a desk, and those that stand in a source which registers some. */
export function metricNames(): Set<string> {
  const metrics = new MetricRegistry();
  const { desk } = new DeskBed(new ScriptedEngine());
  registerDeskMetrics(metrics, desk, new StageHistograms(() => 0));
  registerRiskMetrics(metrics, desk);
  const names = new Set(metrics.names());
  for (const path of new Bun.Glob("src/**/*.ts").scanSync(root)) {
    const source = readFileSync(join(root, path), "utf8");
    if (!source.includes("MetricRegistry")) continue;
    for (const [, name = ""] of source.matchAll(/"(keel_[a-z_]+)"/g)) names.add(name);
  }
  return names;
}
