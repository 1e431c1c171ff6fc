import type { StageView } from "../protocol.ts";
import { Chart } from "./chart.ts";
import { h } from "./dom.ts";
import { count, micros } from "./format.ts";
import { Series } from "./series.ts";
import { tableOf } from "./tables.ts";
import { NOTHING, type View } from "./view.ts";

/** Where an event's time goes, stage by stage, over the last seconds. */
export function latency(): View {
  const stages = tableOf<StageView>("Stages, last 10 s and since the start", [
    { label: "Stage", text: ({ stage }) => stage },
    { label: "Events", num: true, text: (of) => count(of.count) },
    { label: "p50", num: true, text: ({ p50 }) => micros(p50) },
    { label: "p99", num: true, text: ({ p99 }) => micros(p99) },
    { label: "p99.9", num: true, text: ({ p999 }) => micros(p999) },
    { label: "Max", num: true, text: ({ max }) => micros(max) },
    { label: "p50 since start", num: true, text: ({ all }) => micros(all.p50) },
    { label: "p99 since start", num: true, text: ({ all }) => micros(all.p99) },
    { label: "Max since start", num: true, text: ({ all }) => micros(all.max) },
  ]);
  const stage = h("select", { id: "stage" });
  let shown: unknown = null;
  let bounds: readonly number[] = [];
  const histogram = new Chart({
    title: "Events by latency",
    height: 260,
    axis: (value) => count(value),
    x: { label: "at most", format: (bin) => micros(bounds[Math.round(bin)] ?? null) },
    lines: [{ label: "events", colour: "--series-1", bars: true, format: (value) => count(value) }],
  });
  const trace = new Series(2, 600);
  const over = new Chart({
    title: "Whole way of an event, median and 99th percentile",
    height: 220,
    axis: (value) => micros(value),
    lines: [
      { label: "p50", colour: "--series-3", format: micros },
      { label: "p99", colour: "--series-4", format: micros },
    ],
  });
  stage.addEventListener("change", () => {
    shown = null;
  });
  return {
    id: "latency",
    label: "Latency",
    sections: ["overview", "latency"],
    element: h(
      "div",
      { class: "stack" },
      stages.element,
      h("div", { class: "controls" }, h("label", { for: "stage" }, "Histogram of"), stage),
      h("div", { class: "columns" }, histogram.element, over.element),
    ),
    watched: () => NOTHING,
    render(live) {
      const section = live.section("latency");
      if (section === undefined || section === shown) return;
      shown = section;
      bounds = section.boundsUs;
      if (stage.children.length !== section.stages.length) {
        stage.replaceChildren(...section.stages.map((of) => h("option", { value: of.stage }, of.stage)));
        stage.value = "total";
      }
      stages.set(section.stages);
      const chosen = section.stages.find((of) => of.stage === stage.value);
      const bins = chosen?.bins ?? [];
      const first = Math.max(bins.findIndex((events) => events > 0) - 2, 0);
      const last = bins.findLastIndex((events) => events > 0) + 2;
      const places = bins.map((_, at) => at).slice(first, last + 1);
      histogram.title(`Events by latency, ${stage.value}, last ${section.windowSeconds} s`);
      histogram.set([places, places.map((at) => bins[at] ?? 0)]);
      const total = section.stages.find((of) => of.stage === "total");
      trace.push(live.us / 1e6, [total?.p50 ?? null, total?.p99 ?? null]);
      over.set(trace.data);
    },
    restyle() {
      histogram.restyle();
      over.restyle();
    },
  };
}
