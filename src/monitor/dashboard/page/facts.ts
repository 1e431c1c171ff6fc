import { h } from "./dom.ts";
import { describe } from "./tables.ts";

/** A card that shows whatever it is given, anew when that has changed. */
export function factsCard(title: string): {
  readonly element: HTMLElement;
  set(value: unknown, empty: string): void;
} {
  const element = h("section", { class: "card", tabindex: 0, role: "region", "aria-label": title });
  let shown = "";
  return {
    element,
    set(value, empty) {
      const text = JSON.stringify(value ?? null);
      if (text === shown) return;
      shown = text;
      const isEmpty = value === null || value === undefined || Object.keys(value).length === 0;
      element.replaceChildren(
        h("h2", {}, title),
        isEmpty ? h("p", { class: "empty" }, empty) : describe(value),
      );
    },
  };
}
