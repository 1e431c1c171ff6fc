import type { ProfitSection } from "../protocol.ts";
import { h } from "./dom.ts";
import { amount, count, short, signed, words } from "./format.ts";
import { describe, tableOf } from "./tables.ts";
import { NOTHING, type View } from "./view.ts";

type Fill = ProfitSection["fills"][number];

const tone = (value: number): string => (value < 0 ? "bad" : value > 0 ? "good" : "");

/** Profit, what it came from, and what fills were worth afterwards. */
export function profit(): View {
  const sources = tableOf<readonly [string, number]>("Profit by what it came from, quote currency", [
    { label: "Source", text: ([name]) => words(name) },
    { label: "Profit", num: true, text: ([, value]) => signed(value), tone: ([, value]) => tone(value) },
  ]);
  const cash = tableOf<readonly [string, number]>("Cash", [
    { label: "Currency", text: ([name]) => name },
    { label: "Amount", num: true, text: ([, value]) => String(Number(value.toPrecision(8))) },
  ]);
  const horizons = ["100 ms", "1 s", "10 s"];
  const fills = tableOf<Fill>(
    "Markouts by counterparty and model, quote currency",
    [
      { label: "Counterparty and model", text: ({ by }) => by },
      { label: "Fills", num: true, text: (of) => count(of.fills) },
      { label: "Notional", num: true, text: ({ notional }) => short(notional) },
      {
        label: "Spread earned",
        num: true,
        text: ({ spread }) => signed(spread),
        tone: ({ spread }) => tone(spread),
      },
      ...horizons.map((horizon, at) => ({
        label: `After ${horizon}`,
        num: true,
        text: ({ markout }: Fill) => signed(markout[at]),
        tone: ({ markout }: Fill) => tone(markout[at] ?? 0),
      })),
      { label: "Taken back, 10 s", num: true, text: ({ adverse }) => signed(adverse[2]) },
      { label: "Fees", num: true, text: ({ fees }) => amount(fees) },
    ],
    "No fill yet.",
  );
  const outcomes = h("section", { class: "card", tabindex: 0, role: "region", "aria-label": "Outcomes" });
  let shown = "";
  return {
    id: "profit",
    label: "P&L & markouts",
    sections: ["overview", "profit"],
    element: h(
      "div",
      { class: "stack" },
      fills.element,
      h("div", { class: "columns" }, sources.element, h("div", { class: "stack" }, cash.element, outcomes)),
    ),
    watched: () => NOTHING,
    render(live) {
      const section = live.section("profit");
      if (section === undefined) return;
      sources.set(Object.entries(section.sources));
      cash.set(Object.entries(section.cash));
      fills.set(section.fills);
      const text = JSON.stringify(section.outcomes);
      if (text === shown) return;
      shown = text;
      outcomes.replaceChildren(
        h("h2", {}, "Outcomes"),
        section.outcomes === null
          ? h("p", { class: "empty" }, "Not followed: set KEEL_OUTCOMES_DIR.")
          : describe(section.outcomes),
      );
    },
  };
}
