import type { SurfaceSection } from "../protocol.ts";
import { Chart } from "./chart.ts";
import { h, setText } from "./dom.ts";
import { count, day, fixed, percent } from "./format.ts";
import type { Live } from "./live.ts";
import { Series } from "./series.ts";
import { tableOf } from "./tables.ts";
import { NOTHING, type View } from "./view.ts";

/** The volatility surface: one expiry's smile with what the market and we quote on it, and all expiries at the money. */
export function surface(): View {
  let live: Live | null = null;
  let shown: SurfaceSection | null = null;
  const underlying = h("select", { id: "underlying" });
  const expiry = h("select", { id: "expiry" });
  const note = h("p", { class: "note" });
  const smile = new Chart({
    title: "Smile",
    height: 380,
    axis: (value) => percent(value, 0),
    x: { label: "strike", format: (value) => count(value) },
    lines: [
      { label: "surface", colour: "--series-1", format: (value) => percent(value, 2) },
      { label: "market bid", colour: "--series-3", points: "only", format: (value) => percent(value, 2) },
      { label: "market ask", colour: "--series-4", points: "only", format: (value) => percent(value, 2) },
      { label: "own bid", colour: "--series-5", dash: [4, 3], format: (value) => percent(value, 2) },
      { label: "own ask", colour: "--series-6", dash: [4, 3], format: (value) => percent(value, 2) },
    ],
  });
  const terms = tableOf<SurfaceSection["expiries"][number]>("Expiries", [
    { label: "Expiry", text: ({ expiryMs }) => day(expiryMs) },
    { label: "At the money", num: true, text: ({ atm }) => percent(atm, 2) },
    { label: "Forward", num: true, text: ({ forward }) => fixed(forward, 2) },
    { label: "Slice", text: ({ source }) => source },
  ]);
  underlying.addEventListener("change", () =>
    live?.watch({ underlying: Number(underlying.value), expiryMs: null }),
  );
  expiry.addEventListener("change", () => live?.watch({ expiryMs: Number(expiry.value) }));

  function choices(
    select: HTMLSelectElement,
    items: readonly (readonly [string, string])[],
    chosen: string,
  ): void {
    const key = items.map(([value]) => value).join();
    if (select.dataset.key !== key) {
      select.dataset.key = key;
      select.replaceChildren(...items.map(([value, label]) => h("option", { value }, label)));
    }
    if (document.activeElement !== select && select.value !== chosen) select.value = chosen;
  }

  return {
    id: "surface",
    label: "Surface",
    sections: ["overview", "surface"],
    element: h(
      "div",
      { class: "stack" },
      h(
        "div",
        { class: "controls" },
        h("label", { for: "underlying" }, "Underlying"),
        underlying,
        h("label", { for: "expiry" }, "Expiry"),
        expiry,
        note,
      ),
      h("div", { class: "columns wide" }, smile.element, terms.element),
    ),
    watched: () => NOTHING,
    render(now) {
      live = now;
      const section = now.section("surface");
      if (section === undefined || section === shown) return;
      shown = section;
      choices(
        underlying,
        section.underlyings.map((name, at) => [String(at), name]),
        String(section.underlying),
      );
      choices(
        expiry,
        section.expiries.map(({ expiryMs }) => [String(expiryMs), day(expiryMs)]),
        String(section.expiryMs ?? ""),
      );
      setText(
        note,
        section.ageSeconds === null ? "No surface yet" : `Fitted ${fixed(section.ageSeconds, 1)} s ago`,
      );
      smile.title(
        section.expiryMs === null ? "Smile" : `Implied volatility by strike, ${day(section.expiryMs)}`,
      );
      const points = new Series(5, section.points.length + 1);
      for (const [strike, ...values] of section.points) points.push(strike, values);
      smile.set(points.data);
      terms.set(section.expiries);
    },
    restyle: () => smile.restyle(),
  };
}
