import { StageHistograms } from "../../src/desk/latency.ts";
import type { DashboardSource } from "../../src/monitor/dashboard/source.ts";
import type { DeskBed } from "../desk/desk-bed.ts";

/** What a dashboard is given to show of a desk on its bed: one that has run for so long and has nothing to complain of. */
export function dashboardOf({ desk }: DeskBed, seconds: number): DashboardSource {
  return {
    name: "bed",
    version: "0",
    desk,
    timer: new StageHistograms(() => 0),
    heads: ["down50"],
    model: { name: "scripted", version: "1", sha256: "00" },
    timeUs: () => Date.now() * 1_000,
    seconds: () => seconds,
    engine: () => "scripted",
    sessionUp: () => true,
    waiting: () => [],
    alerts: () => [],
    sessions: () => ({}),
    journal: () => null,
    outcomes: () => null,
    shadow: () => null,
    loopLagMs: () => 0,
  };
}
