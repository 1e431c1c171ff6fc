import type { SectionName } from "../../monitor/dashboard/protocol.ts";
import { COLUMNS, type ColumnName } from "../../monitor/dashboard/protocol.ts";
import { REASON, reasonNames } from "../../quote/quote-batch.ts";
import type { LoadStageName } from "../../risk/load-shedder.ts";
import { type Line, type Tone, wrapped } from "./line.ts";
import type { Snapshot } from "./running.ts";
import { type Column, tableLines } from "./table.ts";

const LOADS: Readonly<Record<LoadStageName, string>> = {
  normal: "load within capacity",
  conflate: "LOAD: quotes are decided once in 10 ms",
  widen: "LOAD: quotes are conflated and wider",
  pull: "LOAD: quotes are pulled",
};

export interface TopPage {
  readonly name: string;
  readonly sections: readonly SectionName[];
  /** Orders that the rows can be in; the first is the default. */
  readonly sorts: readonly string[];
  /** Lines at its head that stay when the rest is scrolled. */
  readonly pinned: number;
  /** @param width columns of the terminal; infinity where there is none */
  lines(snapshot: Snapshot, sort: string, width: number): Line[];
}

const BAR = 20;
const WATCHED: ReadonlySet<string> = new Set(["pulled", "defensive", "killed", "rejected"]);

const plain = (text: string): Line => ({ text, tone: "plain" });
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
    pinned: 0,
    lines({ hello, sections: { overview: now, pulse } }, _, width) {
      if (now === undefined) return [];
      const told = (text: string): Line[] => wrapped(text, "plain", width);
      const waiting = now.waiting.flatMap((text) => wrapped(`waits for: ${text}`, "warn", width));
      const live = now.feedStates.live ?? 0;
      return [
        ...waiting,
        ...told(
          `profit today ${money(now.dayProfit)}, in all ${money(now.profit)}; positions ${now.held}; fills ${count(now.fills)}`,
        ),
        ...told(
          `quotes standing ${count(now.quoted)} of ${count(now.instruments)}; sent ${count(now.quotesSent)}, rejected ${count(now.quotesRejected)}, by model ${count(now.widened)}`,
        ),
        ...told(
          `books live ${count(live)} of ${count(now.instruments)}; events ${count(now.events)}, gaps ${count(now.gaps)}; session ${now.sessionUp ? "up" : "down"}`,
        ),
        ...told(
          `event to answer p50 ${micros(now.p50Us)}, p99 ${micros(now.p99Us)} (last 10 s); loop ${now.loopLagMs.toFixed(1)} ms late; ${count(now.residentMb)} MB`,
        ),
        {
          text: LOADS[now.load] ?? `load: ${now.load}`,
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
    pinned: 1,
    lines: quoteLines,
  },
  {
    name: "risk",
    sections: ["risk"],
    sorts: ["profit", "lots", "name"],
    pinned: 0,
    lines({ sections: { risk } }, sort, width) {
      if (risk === undefined) return [];
      const positions = [...risk.positions];
      if (sort === "lots") positions.sort((a, b) => Math.abs(b.lots) - Math.abs(a.lots));
      if (sort === "name") positions.sort((a, b) => a.symbol.localeCompare(b.symbol));
      const fullest = risk.limits.slice(0, 8);
      return [
        ...(risk.reconciled
          ? []
          : [{ text: "books NOT reconciled: nothing is quoted", tone: "bad" } as const]),
        ...table(width, [
          left("greeks", risk.greeks, ({ underlying }) => underlying),
          ...(["delta", "gamma", "vega", "theta"] as const).map((greek, at) =>
            right(greek, risk.greeks, ({ net }) => money(net[at] ?? Number.NaN), [0, 3, 1, 2][at]),
          ),
          right("worst loss", risk.greeks, ({ worstLoss }) => money(worstLoss)),
        ]),
        plain(""),
        ...table(
          width,
          [
            left("limit", fullest, ({ name }) => name),
            left("of", fullest, ({ of }) => of),
            right("used", fullest, ({ used }) => count(used), 1),
            right("limit", fullest, ({ limit }) => count(limit), 2),
            right("share", fullest, (limit) => `${(100 * shareOf(limit)).toFixed(0)} %`),
          ],
          fullest.map((limit) => (shareOf(limit) >= 1 ? "bad" : shareOf(limit) >= 0.8 ? "warn" : "plain")),
        ),
        plain(""),
        ...table(width, [
          left("position", positions, ({ symbol }) => symbol),
          right("lots", positions, ({ lots }) => count(lots)),
          right("average", positions, ({ average }) => average?.toPrecision(6) ?? "–", 2),
          right("mark", positions, ({ mark }) => mark?.toPrecision(6) ?? "–", 1),
          right("profit", positions, ({ profit }) => money(profit)),
        ]),
      ];
    },
  },
  {
    name: "latency",
    sections: ["latency"],
    sorts: ["–"],
    pinned: 0,
    lines({ sections: { latency } }, _, width) {
      const stages = latency?.stages ?? [];
      return table(width, [
        left("last 10 s", stages, ({ stage }) => stage),
        right("events", stages, ({ count: events }) => count(events), 3),
        right("p50", stages, ({ p50 }) => micros(p50)),
        right("p99", stages, ({ p99 }) => micros(p99)),
        right("p99.9", stages, ({ p999 }) => micros(p999), 2),
        right("max", stages, ({ max }) => micros(max), 1),
        right("p99 ever", stages, ({ all }) => micros(all.p99), 4),
      ]);
    },
  },
  {
    name: "feeds",
    sections: ["feeds"],
    sorts: ["–"],
    pinned: 0,
    lines({ sections: { feeds } }, _, width) {
      const all = feeds?.feeds ?? [];
      const figures = table(
        width,
        [
          left("feed", all, ({ venue, line }) => (line > 1 ? `${venue} (${line})` : venue)),
          right("live", all, ({ live }) => count(live)),
          right("of", all, ({ instruments }) => count(instruments)),
          right("frames", all, ({ frames }) => count(frames), 4),
          right("gaps", all, ({ gaps }) => count(gaps), 1),
          right("resyncs", all, ({ resyncs }) => count(resyncs), 5),
          right("reconnects", all, ({ reconnects }) => count(reconnects), 2),
          right("delay ms", all, ({ delayMs }) => delayMs?.toFixed(2) ?? "–", 3),
        ],
        all.map(({ live, instruments }) => (live === instruments && instruments > 0 ? "plain" : "warn")),
      );
      return [
        ...figures.flatMap((line, at): Line[] => {
          const problem = all[at - 1]?.problem ?? "";
          return problem === "" ? [line] : [line, ...wrapped(`  ${problem}`, "warn", width)];
        }),
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
    pinned: 0,
    lines({ sections: { alerts } }, _, width) {
      if (alerts === undefined || alerts.length === 0) return [{ text: "nothing fires", tone: "good" }];
      return alerts.flatMap(({ name, severity, summary, labels, startsUs }) => {
        const of = Object.values(labels).join(" ");
        const since = new Date(startsUs / 1_000).toISOString().slice(0, 19).replace("T", " ");
        const text = `${severity.padEnd(9)}${name} since ${since}: ${summary}${of === "" ? "" : ` (${of})`}`;
        return wrapped(text, severity === "critical" ? "bad" : "warn", width, " ".repeat(9));
      });
    },
  },
];

function shareOf({ used, limit }: { readonly used: number; readonly limit: number }): number {
  return limit > 0 ? used / limit : used > 0 ? 1 : 0;
}

const left = <T>(title: string, rows: readonly T[], text: (row: T) => string, rank = 0): Column => ({
  ...{ title, texts: rows.map(text), align: "left", rank },
});
const right = <T>(title: string, rows: readonly T[], text: (row: T) => string, rank = 0): Column => ({
  ...{ title, texts: rows.map(text), align: "right", rank },
});

function table(width: number, columns: readonly Column[], tones?: readonly Tone[]): Line[] {
  return tableLines(columns, width, tones ?? (columns[0]?.texts ?? []).map(() => "plain"));
}

function sessionText(session: unknown): string {
  const state = session !== null && typeof session === "object" && "state" in session ? session.state : null;
  return typeof state === "string" ? state : "there";
}

function quoteLines({ directory, rows }: Snapshot, sort: string, width: number): Line[] {
  const shown = rows.map((row, at) => ({ instrument: directory[at], row }));
  const value = (row: Snapshot["rows"][number], column: ColumnName): number =>
    row[2 + COLUMNS.indexOf(column)] ?? Number.NaN;
  if (sort === "name")
    shown.sort((a, b) => String(a.instrument?.[2]).localeCompare(String(b.instrument?.[2])));
  if (sort === "wider") shown.sort((a, b) => value(b.row, "widenBp") - value(a.row, "widenBp"));
  if (sort === "reasons") shown.sort((a, b) => value(b.row, "reasons") - value(a.row, "reasons"));
  const known = shown.flatMap(({ instrument, row }) =>
    instrument === undefined ? [] : [{ instrument, row }],
  );
  type Known = (typeof known)[number];
  const price =
    (column: ColumnName) =>
    ({ instrument, row }: Known): string => {
      const tick = instrument[7];
      const digits = Math.min(Math.max(Math.ceil(-Math.log10(tick) - 1e-9), 0), 8);
      const ticks = value(row, column);
      return ticks >= 0 ? (ticks * tick).toFixed(digits) : "–";
    };
  const number =
    (column: ColumnName, places: number) =>
    ({ row }: Known): string => {
      const found = value(row, column);
      return Number.isNaN(found) ? "–" : found.toFixed(places);
    };
  const reasons = known.map(({ row }) => reasonNames(value(row, "reasons") & ~REASON.base));
  return table(
    width,
    [
      left("instrument", known, ({ instrument }) => instrument[2]),
      right("bid", known, price("bidTicks"), 3),
      right("ask", known, price("askTicks"), 3),
      right("own bid", known, price("quoteBidTicks")),
      right("own ask", known, price("quoteAskTicks")),
      right("fair", known, price("fairTicks"), 2),
      right("wider bp", known, number("widenBp", 1), 4),
      right("size ×", known, number("sizeFactor", 2), 5),
      { title: "reasons", texts: reasons.map((names) => names.join(" ")), align: "left", rank: 1 },
    ],
    reasons.map((names) => (names.some((name) => WATCHED.has(name)) ? "warn" : "plain")),
  );
}
