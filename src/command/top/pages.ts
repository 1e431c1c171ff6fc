import type { SectionName } from "../../monitor/dashboard/protocol.ts";
import { COLUMNS, type ColumnName } from "../../monitor/dashboard/protocol.ts";
import { REASON, reasonNames } from "../../quote/quote-batch.ts";
import type { LoadStageName } from "../../risk/load-shedder.ts";
import type { Snapshot } from "./running.ts";

const LOADS: Readonly<Record<LoadStageName, string>> = {
  normal: "load within capacity",
  conflate: "LOAD: quotes are decided once in 10 ms",
  widen: "LOAD: quotes are conflated and wider",
  pull: "LOAD: quotes are pulled",
};

export type Tone = "plain" | "head" | "good" | "warn" | "bad" | "dim";

/** A line of the view; its colour is left to whoever draws it. */
export interface Line {
  readonly text: string;
  readonly tone: Tone;
}

export interface TopPage {
  readonly name: string;
  readonly sections: readonly SectionName[];
  /** Orders that the rows can be in; the first is the default. */
  readonly sorts: readonly string[];
  lines(snapshot: Snapshot, sort: string): Line[];
}

const BAR = 20;
const WATCHED: ReadonlySet<string> = new Set(["pulled", "defensive", "killed", "rejected"]);

const plain = (text: string): Line => ({ text, tone: "plain" });
const head = (text: string): Line => ({ text, tone: "head" });
const count = (value: number): string => Math.round(value).toLocaleString("en-US");
const money = (value: number): string =>
  value.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const micros = (us: number | null): string =>
  us === null ? "–" : us >= 1e3 ? `${(us / 1e3).toFixed(2)} ms` : `${us.toFixed(1)} µs`;

export const PAGES: readonly TopPage[] = [
  {
    name: "overview",
    sections: ["pulse"],
    sorts: ["–"],
    lines({ hello, sections: { overview: now, pulse } }) {
      if (now === undefined) return [];
      const waiting = now.waiting.map((text): Line => ({ text: `waits for: ${text}`, tone: "warn" }));
      const live = now.feedStates.live ?? 0;
      return [
        ...waiting,
        plain(
          `profit today ${money(now.dayProfit)}, in all ${money(now.profit)}; positions ${now.held}; fills ${count(now.fills)}`,
        ),
        plain(
          `quotes standing ${count(now.quoted)} of ${count(now.instruments)}; sent ${count(now.quotesSent)}, rejected ${count(now.quotesRejected)}, by model ${count(now.widened)}`,
        ),
        plain(
          `books live ${count(live)} of ${count(now.instruments)}; events ${count(now.events)}, gaps ${count(now.gaps)}; session ${now.sessionUp ? "up" : "down"}`,
        ),
        plain(
          `event to answer p50 ${micros(now.p50Us)}, p99 ${micros(now.p99Us)} (last 10 s); loop ${now.loopLagMs.toFixed(1)} ms late; ${count(now.residentMb)} MB`,
        ),
        {
          text: LOADS[now.load],
          tone: now.load === "normal" ? "plain" : now.load === "pull" ? "bad" : "warn",
        } as const,
        ...(pulse?.underlyings ?? []).flatMap(({ base, price, status, probabilities }) => [
          {
            text: `model on ${base} at ${price === null ? "–" : money(price)}: ${status === 0 ? "in force" : `not in force: ${reasonNames(status).join(", ")}`}`,
            tone: status === 0 ? "head" : "warn",
          } as const,
          ...probabilities.map((p, at): Line => {
            const filled = Math.round((p ?? 0) * BAR);
            const bar = "█".repeat(filled) + "·".repeat(BAR - filled);
            const tone = (p ?? 0) >= 0.5 ? "warn" : "plain";
            return {
              text: `  ${(hello.heads[at] ?? "").padEnd(18)}${bar} ${p === null ? "–" : p.toFixed(3)}`,
              tone,
            };
          }),
        ]),
      ];
    },
  },
  {
    name: "quotes",
    sections: [],
    sorts: ["money", "name", "wider", "reasons"],
    lines: quoteLines,
  },
  {
    name: "risk",
    sections: ["risk"],
    sorts: ["profit", "lots", "name"],
    lines({ sections: { risk } }, sort) {
      if (risk === undefined) return [];
      const positions = [...risk.positions];
      if (sort === "lots") positions.sort((a, b) => Math.abs(b.lots) - Math.abs(a.lots));
      if (sort === "name") positions.sort((a, b) => a.symbol.localeCompare(b.symbol));
      const fullest = risk.limits.slice(0, 8);
      return [
        ...(risk.reconciled
          ? []
          : [{ text: "books NOT reconciled: nothing is quoted", tone: "bad" } as const]),
        head(
          `${"greeks".padEnd(12)}${["delta", "gamma", "vega", "theta", "worst loss"].map((name) => name.padStart(15)).join("")}`,
        ),
        ...risk.greeks.map(({ underlying, net, worstLoss }) =>
          plain(
            `${underlying.padEnd(12)}${[...net, worstLoss].map((value) => money(value).padStart(15)).join("")}`,
          ),
        ),
        head(
          `${"limit".padEnd(20)}${"of".padEnd(24)}${"used".padStart(16)}${"limit".padStart(16)}${"share".padStart(8)}`,
        ),
        ...fullest.map(({ name, of, used, limit }): Line => {
          const share = limit > 0 ? used / limit : used > 0 ? 1 : 0;
          const text = `${name.padEnd(20)}${of.padEnd(24)}${count(used).padStart(16)}${count(limit).padStart(16)}${`${(100 * share).toFixed(0)} %`.padStart(8)}`;
          return { text, tone: share >= 1 ? "bad" : share >= 0.8 ? "warn" : "plain" };
        }),
        head(
          `${"position".padEnd(28)}${"lots".padStart(10)}${"average".padStart(14)}${"mark".padStart(14)}${"profit".padStart(16)}`,
        ),
        ...positions.map(({ symbol, lots, average, mark, profit }) =>
          plain(
            `${symbol.padEnd(28)}${count(lots).padStart(10)}${(average?.toPrecision(6) ?? "–").padStart(14)}${(mark?.toPrecision(6) ?? "–").padStart(14)}${money(profit).padStart(16)}`,
          ),
        ),
      ];
    },
  },
  {
    name: "latency",
    sections: ["latency"],
    sorts: ["–"],
    lines({ sections: { latency } }) {
      const row = (cells: readonly string[]): string =>
        cells.map((cell, at) => (at === 0 ? cell.padEnd(12) : cell.padStart(12))).join("");
      return [
        head(row(["last 10 s", "events", "p50", "p99", "p99.9", "max", "p99 ever"])),
        ...(latency?.stages ?? []).map(({ stage, count: events, p50, p99, p999, max, all }) =>
          plain(
            row([stage, count(events), micros(p50), micros(p99), micros(p999), micros(max), micros(all.p99)]),
          ),
        ),
      ];
    },
  },
  {
    name: "feeds",
    sections: ["feeds"],
    sorts: ["–"],
    lines({ sections: { feeds } }) {
      const row = (cells: readonly string[]): string =>
        cells.map((cell, at) => (at === 0 ? cell.padEnd(18) : cell.padStart(11))).join("");
      return [
        head(row(["feed", "live", "of", "frames", "gaps", "resyncs", "reconnects", "delay ms"])),
        ...(feeds?.feeds ?? []).flatMap((feed): Line[] => [
          {
            text: row([
              feed.line > 1 ? `${feed.venue} (${feed.line})` : feed.venue,
              ...[feed.live, feed.instruments, feed.frames, feed.gaps, feed.resyncs, feed.reconnects].map(
                count,
              ),
              feed.delayMs?.toFixed(2) ?? "–",
            ]),
            tone: feed.live === feed.instruments && feed.instruments > 0 ? "plain" : "warn",
          },
          ...(feed.problem === "" ? [] : [{ text: `  ${feed.problem}`, tone: "warn" } as const]),
        ]),
        ...Object.entries(feeds?.sessions ?? {}).map(([name, session]) =>
          plain(`${name}: ${sessionText(session)}`),
        ),
      ];
    },
  },
  {
    name: "alerts",
    sections: ["alerts"],
    sorts: ["–"],
    lines({ sections: { alerts } }) {
      if (alerts === undefined || alerts.length === 0) return [{ text: "nothing fires", tone: "good" }];
      return alerts.map(({ name, severity, summary, labels, startsUs }) => {
        const of = Object.values(labels).join(" ");
        const since = new Date(startsUs / 1_000).toISOString().slice(11, 19);
        return {
          text: `${severity.padEnd(9)}${name.padEnd(26)}${since}  ${summary}${of === "" ? "" : ` (${of})`}`,
          tone: severity === "critical" ? "bad" : "warn",
        };
      });
    },
  },
];

function sessionText(session: unknown): string {
  const state = session !== null && typeof session === "object" && "state" in session ? session.state : null;
  return typeof state === "string" ? state : "there";
}

function quoteLines({ directory, rows }: Snapshot, sort: string): Line[] {
  const shown = rows.map((row, at) => ({ instrument: directory[at], row }));
  const value = (row: Snapshot["rows"][number], column: ColumnName): number =>
    row[2 + COLUMNS.indexOf(column)] ?? Number.NaN;
  if (sort === "name")
    shown.sort((a, b) => String(a.instrument?.[2]).localeCompare(String(b.instrument?.[2])));
  if (sort === "wider") shown.sort((a, b) => value(b.row, "widenBp") - value(a.row, "widenBp"));
  if (sort === "reasons") shown.sort((a, b) => value(b.row, "reasons") - value(a.row, "reasons"));
  const cells = (texts: readonly string[]): string => {
    const widths = [26, 12, 12, 12, 12, 12, 9, 8];
    return texts.map((text, at) => (at === 0 ? text.padEnd(26) : text.padStart(widths[at] ?? 10))).join("");
  };
  return [
    head(
      `${cells(["instrument", "bid", "ask", "own bid", "own ask", "fair", "wider bp", "size ×"])}  reasons`,
    ),
    ...shown.flatMap(({ instrument, row }): Line[] => {
      if (instrument === undefined) return [];
      const [, , symbol, , , , , tick] = instrument;
      const digits = Math.min(Math.max(Math.ceil(-Math.log10(tick) - 1e-9), 0), 8);
      const price = (column: ColumnName): string => {
        const ticks = value(row, column);
        return ticks >= 0 ? (ticks * tick).toFixed(digits) : "–";
      };
      const number = (column: ColumnName, places: number): string => {
        const found = value(row, column);
        return Number.isNaN(found) ? "–" : found.toFixed(places);
      };
      const names = reasonNames(value(row, "reasons") & ~REASON.base);
      const text = cells([
        symbol,
        ...(["bidTicks", "askTicks", "quoteBidTicks", "quoteAskTicks", "fairTicks"] as const).map(price),
        number("widenBp", 1),
        number("sizeFactor", 2),
      ]);
      return [
        {
          text: `${text}  ${names.join(" ")}`,
          tone: names.some((name) => WATCHED.has(name)) ? "warn" : "plain",
        },
      ];
    }),
  ];
}
