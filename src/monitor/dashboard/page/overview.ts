import { Chart } from "./chart.ts";
import { each, h, setAttribute, setClass, setText } from "./dom.ts";
import { amount, count, duration, fixed, micros, percent, short, signed, words } from "./format.ts";
import type { Live } from "./live.ts";
import { Series } from "./series.ts";
import { NOTHING, type View } from "./view.ts";

const HISTORY_SAMPLES = 900;
const TRACE_SAMPLES = 600;
const TRACE_MS = 100;
const CHART_MS = 250;

/** What is done about load. */
const SHED = {
  conflate: "quotes conflated",
  widen: "quotes conflated, wider",
  pull: "QUOTES PULLED",
} as const;

interface Tile {
  readonly label: string;
  readonly value: HTMLElement;
  readonly note: HTMLElement;
}

/** What a person at the desk must know at a glance. */
export function overview(): View {
  const tiles = h("dl", { class: "tiles" });
  const tile = (label: string): Tile => {
    const value = h("dd", { class: "value" });
    const note = h("dd", { class: "note" });
    tiles.append(h("div", { class: "tile" }, h("dt", {}, label), value, note));
    return { label, value, note };
  };
  const day = tile("Profit today");
  const all = tile("Profit in all");
  const latency = tile("Event to answer, p99");
  const quotes = tile("Quotes standing");
  const rate = tile("Quotes sent");
  const feeds = tile("Feeds live");
  const fills = tile("Fills");
  const host = tile("Process");

  const waiting = h("ul", { class: "waiting" });
  const waitingCard = h("section", { class: "card notice", "aria-label": "What quoting waits for" }, waiting);
  const models = h("div", { class: "models" });
  const profit = new Chart({
    title: "Profit in all and today, quote currency",
    height: 200,
    axis: short,
    lines: [
      { label: "in all", colour: "--series-1", fill: true, format: amount },
      { label: "today", colour: "--series-2", format: amount },
    ],
  });
  const prices = new Chart({
    title: "Microprice and own quotes",
    height: 220,
    axis: short,
    lines: [
      { label: "microprice", colour: "--series-1", format: amount },
      { label: "own bid", colour: "--series-3", stepped: true, format: amount },
      { label: "own ask", colour: "--series-4", stepped: true, format: amount },
    ],
  });
  const history = new Series(2, HISTORY_SAMPLES);
  const trace = new Series(3, TRACE_SAMPLES);
  let seeded: unknown = null;
  let chartedMs = 0;
  let tracedMs = 0;
  let before = { us: 0, quotes: 0, events: 0 };
  let perSecond = { quotes: 0, events: 0 };

  function references(live: Live): number[] {
    return (live.section("pulse")?.underlyings ?? [])
      .map(({ reference }) => reference)
      .filter((id) => id >= 0);
  }

  function showModels(live: Live): void {
    const heads = live.hello?.heads ?? [];
    const reasons = live.hello?.reasons ?? [];
    each(
      models,
      live.section("pulse")?.underlyings ?? [],
      () => h("section", { class: "card" }, h("h2"), h("p", { class: "note" }), h("ul", { class: "bars" })),
      (card, { base, status, probabilities }) => {
        const [title, note, bars] = card.children;
        if (title === undefined || note === undefined || bars === undefined) return;
        setText(title, `Model on ${base}`);
        const why = reasons.filter((_, bit) => (status & (1 << bit)) !== 0).map(words);
        setText(note, status === 0 ? "In force" : `Not in force: ${why.join(", ").toLowerCase()}`);
        setClass(note, status === 0 ? "note good" : "note warn");
        each(
          bars,
          probabilities,
          () =>
            h(
              "li",
              {},
              h("span", { class: "name" }),
              h("span", { class: "bar" }, h("span")),
              h("span", { class: "num" }),
            ),
          (bar, probability, head) => {
            const [name, track, value] = bar.children;
            if (name === undefined || track === undefined || value === undefined) return;
            setText(name, heads[head] ?? "");
            setText(value, fixed(probability, 3));
            const fill = track.firstElementChild;
            if (fill instanceof HTMLElement) fill.style.width = `${100 * (probability ?? 0)}%`;
            setClass(track, (probability ?? 0) >= 0.5 ? "bar high" : "bar");
          },
        );
      },
    );
  }

  function showTiles(live: Live): void {
    const now = live.section("overview");
    if (now === undefined) return;
    const elapsed = (live.us - before.us) / 1e6;
    if (elapsed >= 1) {
      if (before.us > 0) {
        perSecond = {
          quotes: (now.quotesSent - before.quotes) / elapsed,
          events: (now.events - before.events) / elapsed,
        };
      }
      before = { us: live.us, quotes: now.quotesSent, events: now.events };
    }
    const put = ({ value, note }: Tile, text: string, about: string, tone = ""): void => {
      setText(value, text);
      setText(note, about);
      setClass(value, `value ${tone}`.trim());
    };
    put(day, signed(now.dayProfit), "since midnight UTC", now.dayProfit < 0 ? "bad" : "good");
    put(all, signed(now.profit), `${count(now.held)} positions`, now.profit < 0 ? "bad" : "good");
    put(latency, micros(now.p99Us), `median ${micros(now.p50Us)}, last 10 s`);
    put(quotes, count(now.quoted), `of ${count(now.instruments)} instruments`);
    put(rate, `${count(perSecond.quotes)}/s`, `${count(perSecond.events)} events/s in`);
    const liveNow = now.feedStates.live ?? 0;
    const isWhole = liveNow === now.instruments && now.instruments > 0;
    put(
      feeds,
      percent(now.instruments === 0 ? null : liveNow / now.instruments, 0),
      `${count(liveNow)} of ${count(now.instruments)} books; ${count(now.gaps)} gaps`,
      isWhole ? "" : "warn",
    );
    put(fills, count(now.fills), `${count(now.quotesRejected)} quotes rejected`);
    put(
      host,
      `${count(now.residentMb)} MB`,
      now.load === "normal"
        ? `up ${duration(now.seconds)}, loop ${fixed(now.loopLagMs, 1)} ms late`
        : `load: ${SHED[now.load]}; loop ${fixed(now.loopLagMs, 1)} ms late`,
      now.load === "normal" ? "" : now.load === "pull" ? "bad" : "warn",
    );
    waitingCard.hidden = now.waiting.length === 0;
    each(
      waiting,
      now.waiting,
      () => h("li"),
      (item, text) => setText(item, text),
    );
  }

  function showCharts(live: Live): void {
    const now = live.section("overview");
    if (live.hello !== null && seeded !== live.hello) {
      seeded = live.hello;
      history.clear();
      trace.clear();
      for (const [ms = 0, inAll = 0, today = 0] of live.hello.history)
        history.push(ms / 1_000, [inAll, today]);
    }
    if (now !== undefined && live.us / 1e6 - history.lastSeconds >= 1) {
      history.push(live.us / 1e6, [now.profit, now.dayProfit]);
    }
    const [id] = references(live);
    const instrument = id === undefined ? undefined : live.instruments[id];
    const ms = performance.now();
    if (instrument !== undefined && ms - tracedMs >= TRACE_MS) {
      tracedMs = ms;
      const { tick } = instrument;
      const price = live.section("pulse")?.underlyings[0]?.price ?? null;
      const own = (column: "quoteBidTicks" | "quoteAskTicks"): number | null => {
        const ticks = live.value(instrument.id, column);
        return ticks === null || ticks < 0 ? null : ticks * tick;
      };
      trace.push(live.us / 1e6, [price, own("quoteBidTicks"), own("quoteAskTicks")]);
      prices.title(`${instrument.symbol}: microprice and own quotes`);
    }
    if (ms - chartedMs < CHART_MS) return;
    chartedMs = ms;
    profit.set(history.data);
    prices.set(trace.data);
  }

  const element = h(
    "div",
    { class: "overview" },
    waitingCard,
    tiles,
    h("div", { class: "columns" }, h("div", { class: "stack" }, prices.element, profit.element), models),
  );
  setAttribute(models, "aria-label", "Predictions");
  models.setAttribute("role", "group");
  return {
    id: "overview",
    label: "Overview",
    element,
    sections: ["overview", "pulse"],
    watched: (live) => ({ ...NOTHING, rows: references(live) }),
    render(live) {
      showTiles(live);
      showModels(live);
      showCharts(live);
    },
    restyle() {
      profit.restyle();
      prices.restyle();
    },
  };
}
