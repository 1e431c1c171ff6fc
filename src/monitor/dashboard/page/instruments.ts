import type { ColumnName, DetailQuote } from "../protocol.ts";
import { each, h, setText } from "./dom.ts";
import { count, digitsOf, fixed, percent, words } from "./format.ts";
import { type Column, Grid } from "./grid.ts";
import type { Instrument, Live } from "./live.ts";
import type { View } from "./view.ts";

/** What rounding leaves of a term that is none. */
const NOTHING = 1e-12;
const DEFENSIVE = ["defensive", "pulled", "killed", "rejected", "riskLimit"];

/** Books and own quotes of every instrument, and one of them in full. */
export function instruments(): View {
  let live: Live | null = null;
  let opened: number | null = null;
  let shownCount = -1;
  let filtered = "";

  const value = (id: number, column: ColumnName): number | null => live?.value(id, column) ?? null;
  const price =
    (column: ColumnName) =>
    (of: Instrument): string => {
      const ticks = value(of.id, column);
      return ticks === null || ticks < 0 ? "–" : (ticks * of.tick).toFixed(digitsOf(of.tick));
    };
  const size =
    (column: ColumnName) =>
    (of: Instrument): string => {
      const lots = value(of.id, column);
      return lots === null || lots === 0 ? "–" : (lots * of.lot).toFixed(digitsOf(of.lot));
    };
  const micro = (of: Instrument): string => {
    const [bid, bidLots, ask, askLots] = (["bidTicks", "bidLots", "askTicks", "askLots"] as const).map(
      (name) => value(of.id, name),
    );
    if (bid == null || ask == null || bid < 0 || ask < 0 || !bidLots || !askLots) return "–";
    const ticks = (bid * askLots + ask * bidLots) / (bidLots + askLots);
    return (ticks * of.tick).toFixed(digitsOf(of.tick) + 1);
  };
  const state = (of: Instrument): string => live?.hello?.states[value(of.id, "state") ?? -1] ?? "…";
  const reasons = (of: Instrument): string[] => {
    const bits = value(of.id, "reasons") ?? 0;
    return (live?.hello?.reasons ?? []).filter((name, bit) => (bits & (1 << bit)) !== 0 && name !== "base");
  };
  const columns: Column<Instrument>[] = [
    {
      label: "Instrument",
      width: "minmax(13rem,1.4fr)",
      text: ({ symbol }) => symbol,
      sort: ({ symbol }) => symbol,
    },
    { label: "Venue", width: "7.5rem", text: ({ venue }) => venue, sort: ({ venue }) => venue },
    {
      label: "State",
      width: "5.5rem",
      text: state,
      tone: (of) => (state(of) === "live" ? "good" : state(of) === "…" ? "" : "warn"),
    },
    { label: "Bid size", width: "5.5rem", align: "right", text: size("bidLots") },
    { label: "Bid", width: "6rem", align: "right", text: price("bidTicks"), tone: () => "bid" },
    { label: "Ask", width: "6rem", align: "right", text: price("askTicks"), tone: () => "ask" },
    { label: "Ask size", width: "5.5rem", align: "right", text: size("askLots") },
    { label: "Micro", width: "6.5rem", align: "right", text: micro },
    { label: "Own size", width: "5.8rem", align: "right", text: size("quoteBidLots") },
    { label: "Own bid", width: "6rem", align: "right", text: price("quoteBidTicks"), tone: () => "bid own" },
    { label: "Own ask", width: "6rem", align: "right", text: price("quoteAskTicks"), tone: () => "ask own" },
    { label: "Own size", width: "5.8rem", align: "right", text: size("quoteAskLots") },
    {
      label: "Fair",
      width: "6.5rem",
      align: "right",
      text: (of) => {
        const ticks = value(of.id, "fairTicks");
        return ticks === null ? "–" : (ticks * of.tick).toFixed(digitsOf(of.tick) + 1);
      },
    },
    { label: "Wider, bp", width: "5.8rem", align: "right", text: ({ id }) => fixed(value(id, "widenBp"), 1) },
    { label: "Size ×", width: "4rem", align: "right", text: ({ id }) => fixed(value(id, "sizeFactor"), 2) },
    {
      label: "IV",
      width: "4.5rem",
      align: "right",
      text: (of) => (of.kind === "option" ? percent(value(of.id, "volatility")) : ""),
    },
    { label: "Delta", width: "4rem", align: "right", text: ({ id }) => fixed(value(id, "delta"), 2) },
    {
      label: "Reasons",
      width: "minmax(12rem,2fr)",
      text: (of) => reasons(of).map(words).join(", ").toLowerCase(),
      tone: (of) => (reasons(of).some((name) => DEFENSIVE.includes(name)) ? "warn" : "muted"),
    },
  ];
  const grid = new Grid<Instrument>({
    label: "Books and own quotes",
    columns,
    key: ({ id }) => id,
    empty: "No instrument fits.",
    onOpen: (instrument) => {
      opened = opened === instrument.id ? null : instrument.id;
      look();
    },
    onScroll: () => look(),
  });
  const search = h("input", {
    type: "search",
    id: "find",
    placeholder: "BTC-27DEC, 60000-C …",
    autocomplete: "off",
  });
  const quotedOnly = h("input", { type: "checkbox", id: "quoted-only" });
  const kind = h("select", { id: "kind" });
  for (const [name, label] of [
    ["", "All kinds"],
    ["perpetual", "Perpetuals"],
    ["future", "Futures"],
    ["option", "Options"],
    ["spot", "Spot"],
  ] as const) {
    kind.append(h("option", { value: name }, label));
  }
  const total = h("p", { class: "note", role: "status" });
  for (const control of [search, quotedOnly, kind]) control.addEventListener("input", () => look());
  const detail = new DetailPanel(() => {
    opened = null;
    look();
    grid.element.querySelector<HTMLElement>("[role=grid]")?.focus();
  });

  function look(): void {
    if (live === null) return;
    filter(live);
    grid.opened = opened;
    live.watch({ rows: grid.visible.map(({ id }) => id), detail: opened });
    grid.render();
    detail.render(live, opened);
  }

  function filter(from: Live): void {
    const parts = search.value.toUpperCase().split(/\s+/).filter(Boolean);
    const key = `${from.instruments.length} ${parts.join(" ")} ${kind.value} ${quotedOnly.checked}`;
    if (key === filtered) return;
    filtered = key;
    const found = from.instruments.filter(
      (of) =>
        parts.every(
          (part) => of.symbol.toUpperCase().includes(part) || of.venue.toUpperCase().includes(part),
        ) &&
        (kind.value === "" || of.kind === kind.value) &&
        (!quotedOnly.checked || of.quoted),
    );
    found.sort(
      (a, b) =>
        Number(a.kind === "option") - Number(b.kind === "option") ||
        (a.expiryMs ?? 0) - (b.expiryMs ?? 0) ||
        (a.strike ?? 0) - (b.strike ?? 0) ||
        a.id - b.id,
    );
    grid.items = found;
    if (found.length !== shownCount)
      setText(total, `${count(found.length)} of ${count(from.instruments.length)}`);
    shownCount = found.length;
  }

  const element = h(
    "div",
    { class: "instruments" },
    h(
      "div",
      { class: "controls" },
      h("label", { for: "find" }, "Find"),
      search,
      h("label", { for: "kind" }, "Kind"),
      kind,
      h("label", { class: "check" }, quotedOnly, "Quoted only"),
      total,
    ),
    h("div", { class: "split" }, grid.element, detail.element),
  );
  return {
    id: "instruments",
    label: "Books & quotes",
    element,
    sections: ["overview"],
    watched: () => ({ rows: grid.visible.map(({ id }) => id), detail: opened }),
    render(now) {
      const isFirst = live === null;
      live = now;
      if (isFirst || now.instruments.length > 0) filter(now);
      if (isFirst || now.rows.size === 0) look();
      grid.opened = opened;
      grid.render();
      detail.render(now, opened);
    },
  };
}

/** Depth of one book, and its quotes with every term that made them. */
class DetailPanel {
  readonly element: HTMLElement;
  readonly #title = h("h2");
  readonly #note = h("p", { class: "note" });
  readonly #ladder = h("tbody");
  readonly #quotes = h("div", { class: "stack" });
  #shown: unknown = null;

  constructor(onClose: () => void) {
    const close = h("button", { type: "button", class: "quiet" }, "Close");
    close.addEventListener("click", onClose);
    const head = h("tr");
    for (const label of ["Bid size", "Bid", "Ask", "Ask size"])
      head.append(h("th", { scope: "col", class: "num" }, label));
    this.element = h(
      "aside",
      { class: "card detail", "aria-label": "One instrument in full" },
      h("div", { class: "detail-head" }, this.#title, close),
      this.#note,
      h("table", { class: "data" }, h("caption", {}, "Depth"), h("thead", {}, head), this.#ladder),
      this.#quotes,
    );
    this.element.hidden = true;
  }

  render(live: Live, opened: number | null): void {
    this.element.hidden = opened === null;
    const { detail } = live;
    if (opened === null || detail === null || detail.id !== opened || detail === this.#shown) return;
    this.#shown = detail;
    const instrument = live.instruments[opened];
    if (instrument === undefined) return;
    const { tick, lot, symbol, venue } = instrument;
    setText(this.#title, symbol);
    setText(
      this.#note,
      `${venue}; last event ${detail.ageMs === null ? "–" : `${count(detail.ageMs)} ms`} ago`,
    );
    const levels = Math.max(detail.bids.length, detail.asks.length);
    each(
      this.#ladder,
      Array.from({ length: levels }, (_, at) => at),
      () =>
        h(
          "tr",
          {},
          h("td", { class: "num" }),
          h("td", { class: "num bid" }),
          h("td", { class: "num ask" }),
          h("td", { class: "num" }),
        ),
      (row, at) => {
        const [bid, ask] = [detail.bids[at], detail.asks[at]];
        const texts = [
          bid === undefined ? "" : (bid[1] * lot).toFixed(digitsOf(lot)),
          bid === undefined ? "" : (bid[0] * tick).toFixed(digitsOf(tick)),
          ask === undefined ? "" : (ask[0] * tick).toFixed(digitsOf(tick)),
          ask === undefined ? "" : (ask[1] * lot).toFixed(digitsOf(lot)),
        ];
        for (const [cell, text] of texts.entries()) setText(row.children[cell] ?? row, text);
      },
    );
    this.#quotes.replaceChildren(...detail.quotes.map((quote) => explained(quote, digitsOf(tick))));
    if (detail.quotes.length === 0)
      this.#quotes.append(h("p", { class: "empty" }, "Nothing is quoted here."));
  }
}

function explained(quote: DetailQuote, digits: number): HTMLElement {
  const move = (by: number): string =>
    Math.abs(by) < NOTHING ? "0" : `${by > 0 ? "+" : ""}${by.toPrecision(4)}`;
  const rows = quote.terms.map(({ term, bid, ask, why }) =>
    h(
      "tr",
      {},
      h("th", { scope: "row", title: why }, words(term)),
      h("td", { class: "num" }, move(bid)),
      h("td", { class: "num" }, move(ask)),
    ),
  );
  const head = h("tr", {}, h("th", { scope: "col" }, "Term"));
  for (const side of ["Bid", "Ask"]) head.append(h("th", { scope: "col", class: "num" }, side));
  const side = (at: number | null, size: number): string =>
    at === null ? "–" : `${size} @ ${at.toFixed(digits)}`;
  const share = (factors: readonly number[]): string =>
    factors.map((factor) => factor.toFixed(2)).join(" × ");
  return h(
    "section",
    { class: "explained" },
    h("h3", {}, `Level ${quote.level + 1}, quote ${count(quote.quoteId)}`),
    h(
      "p",
      {},
      `${side(quote.bid, quote.bidSize)}  /  ${side(quote.ask, quote.askSize)}, fair ${quote.fair.toPrecision(7)}`,
    ),
    h(
      "table",
      { class: "data" },
      h("caption", {}, "What moves the sides from fair"),
      h("thead", {}, head),
      h("tbody", {}, ...rows),
    ),
    h(
      "p",
      { class: "note" },
      `Size: bid ${share(quote.sizes.bid)}, ask ${share(quote.sizes.ask)} of the full size (prediction × room)`,
    ),
    h("p", { class: "note" }, `Reasons: ${quote.reasons.map(words).join(", ").toLowerCase()}`),
  );
}
