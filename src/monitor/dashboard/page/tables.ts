import { each, h, setClass, setText } from "./dom.ts";
import { micros } from "./format.ts";

export interface TableColumn<T> {
  readonly label: string;
  readonly num?: boolean;
  readonly text: (item: T) => string;
  readonly tone?: (item: T) => string;
  /** Share of a limit, drawn behind the text. */
  readonly share?: (item: T) => number;
}

export interface Table<T> {
  readonly element: HTMLElement;
  set(items: readonly T[]): void;
}

/** A short table in a card of its own. */
export function tableOf<T>(
  title: string,
  columns: readonly TableColumn<T>[],
  empty = "Nothing yet.",
): Table<T> {
  const head = h("tr");
  for (const { label, num } of columns)
    head.append(h("th", { scope: "col", class: num === true ? "num" : "" }, label));
  const body = h("tbody");
  const table = h("table", { class: "data" }, h("caption", {}, title), h("thead", {}, head), body);
  const none = h("p", { class: "empty" }, empty);
  const element = h(
    "section",
    { class: "card", tabindex: 0, role: "region", "aria-label": title },
    table,
    none,
  );
  return {
    element,
    set(items) {
      none.hidden = items.length > 0;
      each(
        body,
        items,
        () => h("tr", {}, ...columns.map(() => h("td", {}, h("span", { class: "text" })))),
        (row, item) => {
          for (const [at, { text, num, tone, share }] of columns.entries()) {
            const cell = row.children[at];
            const label = cell?.firstElementChild;
            if (!(cell instanceof HTMLElement) || label == null) continue;
            setText(label, text(item));
            setClass(cell, `${num === true ? "num" : ""} ${tone?.(item) ?? ""}`.trim());
            if (share === undefined) continue;
            const used = Math.min(Math.max(share(item), 0), 1);
            let meter = cell.querySelector<HTMLElement>(".meter");
            if (meter === null) {
              meter = h("span", { class: "meter", "aria-hidden": "true" });
              cell.append(meter);
            }
            meter.style.setProperty("--used", `${100 * used}%`);
            meter.classList.toggle("near", used >= 0.8);
          }
        },
      );
    },
  };
}

/** Whatever a part of keel tells of itself, as names and values. Bounded in depth and length. */
export function describe(value: unknown, depth = 0): HTMLElement {
  const entries = Object.entries(value ?? {}).slice(0, 60);
  const list = h("dl", { class: "facts" });
  for (const [name, fact] of entries) {
    const isGroup = isGroupOf(fact) && depth < 3;
    const shown = isGroup ? describe(fact, depth + 1) : factText(name, fact);
    list.append(h("div", { class: isGroup ? "group" : "" }, h("dt", {}, label(name)), h("dd", {}, shown)));
  }
  return list;
}

/** Names with values below them; a list of plain values is one value. */
function isGroupOf(fact: unknown): boolean {
  if (fact === null || typeof fact !== "object" || Object.keys(fact).length === 0) return false;
  return !Array.isArray(fact) || fact.some((one) => one !== null && typeof one === "object");
}

/** A time comes with its unit, which the name need not have. */
function label(name: string): string {
  if (/[a-z]Us$/.test(name)) return label(name.slice(0, -2));
  return /^[a-z][a-zA-Z]+$/.test(name) ? name.replaceAll(/([a-z])([A-Z])/g, "$1 $2").toLowerCase() : name;
}

function factText(name: string, fact: unknown): string {
  if (fact === null || fact === undefined || (typeof fact === "object" && Object.keys(fact).length === 0))
    return "–";
  if (Array.isArray(fact)) return fact.map((one) => factText(name, one)).join(", ");
  if (typeof fact === "number" && /Us$/.test(name) && fact > 1e15)
    return new Date(fact / 1_000).toISOString();
  if (typeof fact === "number" && /Us$/.test(name)) return micros(fact);
  if (typeof fact === "number")
    return Number.isInteger(fact) ? fact.toLocaleString("en-US") : String(Number(fact.toPrecision(6)));
  return typeof fact === "object" ? JSON.stringify(fact).slice(0, 200) : String(fact);
}
