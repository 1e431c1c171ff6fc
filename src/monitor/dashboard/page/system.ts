import type { AlertView, FeedsSection } from "../protocol.ts";
import { h } from "./dom.ts";
import { factsCard } from "./facts.ts";
import { count, fixed, time } from "./format.ts";
import { tableOf } from "./tables.ts";
import { NOTHING, type View } from "./view.ts";

type Feed = FeedsSection["feeds"][number];

/** Feeds, sessions with counterparties and clients, journal. */
export function feeds(): View {
  const table = tableOf<Feed>("Feeds", [
    { label: "Venue", text: ({ venue, line }) => (line > 1 ? `${venue}, line ${line}` : venue) },
    {
      label: "Live",
      num: true,
      text: ({ live, instruments }) => `${count(live)} / ${count(instruments)}`,
      tone: ({ live, instruments }) => (instruments > 0 && live === instruments ? "good" : "warn"),
    },
    { label: "Frames", num: true, text: ({ frames }) => count(frames) },
    { label: "Gaps", num: true, text: ({ gaps }) => count(gaps) },
    { label: "Resyncs", num: true, text: ({ resyncs }) => count(resyncs) },
    { label: "Reconnects", num: true, text: ({ reconnects }) => count(reconnects) },
    { label: "Silences", num: true, text: ({ silences }) => count(silences) },
    { label: "Unparsable", num: true, text: ({ unparsable }) => count(unparsable) },
    { label: "Delay, ms", num: true, text: ({ delayMs }) => fixed(delayMs, 2) },
    { label: "Jitter, ms", num: true, text: ({ jitterMs }) => fixed(jitterMs, 2) },
    {
      label: "Last trouble",
      text: ({ problem }) => problem || "–",
      tone: ({ problem }) => (problem ? "warn" : "muted"),
    },
  ]);
  const sessions = factsCard("Sessions");
  const journal = factsCard("Journal");
  const dashboard = factsCard("This dashboard");
  return {
    id: "feeds",
    label: "Feeds & sessions",
    sections: ["overview", "feeds"],
    element: h(
      "div",
      { class: "stack" },
      table.element,
      h(
        "div",
        { class: "columns" },
        sessions.element,
        h("div", { class: "stack" }, journal.element, dashboard.element),
      ),
    ),
    watched: () => NOTHING,
    render(live) {
      const section = live.section("feeds");
      if (section === undefined) return;
      table.set(section.feeds);
      sessions.set(section.sessions, "No session.");
      journal.set(section.journal, "Nothing is journalled: set KEEL_JOURNAL_DIR.");
      dashboard.set(section.dashboard, "–");
    },
  };
}

/** What fires, the worst first. */
export function alerts(): View {
  const table = tableOf<AlertView>(
    "Alerts",
    [
      {
        label: "Severity",
        text: ({ severity }) => severity,
        tone: ({ severity }) => (severity === "critical" ? "bad" : "warn"),
      },
      { label: "Alert", text: ({ name }) => name },
      { label: "What", text: ({ summary }) => summary },
      {
        label: "Of",
        text: ({ labels }) =>
          Object.entries(labels)
            .map(([name, value]) => `${name} ${value}`)
            .join(", ") || "–",
      },
      { label: "Value", num: true, text: ({ value }) => String(Number(value?.toPrecision(4) ?? Number.NaN)) },
      { label: "Since", num: true, text: ({ startsUs }) => `${time(startsUs)} UTC` },
    ],
    "Nothing fires.",
  );
  return {
    id: "alerts",
    label: "Alerts",
    sections: ["overview", "alerts"],
    element: h(
      "div",
      { class: "stack" },
      table.element,
      h("p", { class: "note" }, "What each one means and what to do stands in docs/runbooks.md."),
    ),
    watched: () => NOTHING,
    render(live) {
      const firing = live.section("alerts") ?? [];
      table.set([...firing].sort((a, b) => a.severity.localeCompare(b.severity)));
    },
  };
}
