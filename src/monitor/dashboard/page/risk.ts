import type { LimitUse, RiskSection } from "../protocol.ts";
import { each, h, setText } from "./dom.ts";
import { amount, count, fixed, percent, short, signed, words } from "./format.ts";
import { tableOf } from "./tables.ts";
import { NOTHING, type View } from "./view.ts";

type Greeks = RiskSection["greeks"][number];
type Position = RiskSection["positions"][number];

const share = ({ used, limit }: LimitUse): number => (limit > 0 ? used / limit : used > 0 ? 1 : 0);

/** Greeks, positions, and how much of each limit is used. */
export function risk(): View {
  const limits = tableOf<LimitUse>("Limits, the fullest first", [
    { label: "Limit", text: ({ name }) => words(name) },
    { label: "Of", text: ({ of }) => of },
    { label: "Used", num: true, text: ({ used }) => amount(used) },
    { label: "Limit", num: true, text: ({ limit }) => short(limit) },
    { label: "Unit", text: ({ unit }) => unit },
    {
      label: "Share",
      num: true,
      text: (use) => percent(share(use)),
      share,
      tone: (use) => (share(use) >= 1 ? "bad" : share(use) >= 0.8 ? "warn" : ""),
    },
  ]);
  const names = ["Delta", "Gamma", "Vega", "Theta"];
  const greeks = tableOf<Greeks>("Greeks by underlying, quote currency", [
    { label: "Underlying", text: ({ underlying }) => underlying },
    { label: "Price", num: true, text: ({ price }) => amount(price) },
    ...names.map((name, at) => ({ label: name, num: true, text: ({ net }: Greeks) => signed(net[at]) })),
    { label: "Worst loss", num: true, text: ({ worstLoss }) => amount(worstLoss) },
    { label: "When", text: ({ scenario }) => scenario ?? "–" },
  ]);
  const positions = tableOf<Position>(
    "Positions, the largest profit or loss first",
    [
      { label: "Instrument", text: ({ symbol }) => symbol },
      { label: "Lots", num: true, text: ({ lots }) => count(lots) },
      {
        label: "Average",
        num: true,
        text: ({ average }) => (average === null ? "–" : average.toPrecision(7)),
      },
      { label: "Mark", num: true, text: ({ mark }) => (mark === null ? "–" : mark.toPrecision(7)) },
      {
        label: "Profit",
        num: true,
        text: ({ profit }) => signed(profit),
        tone: ({ profit }) => (profit < 0 ? "bad" : "good"),
      },
    ],
    "No position.",
  );
  const refusals = tableOf<readonly [string, number]>(
    "Refused before the wire",
    [
      { label: "Limit", text: ([name]) => words(name) },
      { label: "Sides", num: true, text: ([, times]) => count(times) },
    ],
    "Nothing has been refused.",
  );
  const facts = h("ul", { class: "facts-line" });
  return {
    id: "risk",
    label: "Risk",
    sections: ["overview", "risk"],
    element: h(
      "div",
      { class: "stack" },
      facts,
      greeks.element,
      h(
        "div",
        { class: "columns" },
        limits.element,
        h("div", { class: "stack" }, positions.element, refusals.element),
      ),
    ),
    watched: () => NOTHING,
    render(live) {
      const section = live.section("risk");
      if (section === undefined) return;
      each(
        facts,
        [
          section.reconciled
            ? "Books reconciled with the counterparty"
            : "Books NOT reconciled: nothing is quoted",
          `${count(section.openOrders)} orders at work, ${count(section.unknownOrders)} of unknown outcome`,
          `Protection set off ${count(section.protections)} times`,
          `Message budget ${fixed(100 * section.budgetUsed, 0)} % used`,
        ],
        () => h("li"),
        (item, text) => setText(item, text),
      );
      limits.set(section.limits);
      greeks.set(section.greeks);
      positions.set(section.positions);
      refusals.set(Object.entries(section.refusals));
    },
  };
}
