import { type Line, PAGES, type Tone, type TopPage } from "./pages.ts";
import type { Snapshot } from "./running.ts";

export interface ScreenOptions {
  readonly page: TopPage;
  readonly sort: string;
  readonly columns: number;
  readonly rows: number;
  /** Lines of the page that are scrolled over. */
  readonly skip: number;
  /** Null: the last look was answered. */
  readonly problem: string | null;
}

const SGR: Readonly<Record<Tone, string>> = {
  plain: "",
  head: "1",
  good: "32",
  warn: "33",
  bad: "1;31",
  dim: "2",
};

/** The state of the desk in one line. */
export function stateLine({ hello, us, sections: { overview } }: Snapshot): Line {
  const time = new Date(us / 1_000).toISOString().slice(11, 19);
  if (overview === undefined) return { text: `keel ${hello.name}  ${time} UTC`, tone: "dim" };
  const { state, killed, reducing, waiting, alerts, critical } = overview;
  const [word, tone] =
    state === "halted"
      ? ([`KILLED: ${killed ?? ""}`, "bad"] as const)
      : state === "reducing"
        ? ([`REDUCING: ${reducing ?? ""}`, "warn"] as const)
        : waiting.length > 0
          ? (["NOT QUOTING", "warn"] as const)
          : (["QUOTING", "good"] as const);
  const told = alerts === 0 ? "" : `  ${alerts} alerts, ${critical} critical`;
  return { text: `keel ${hello.name} ${hello.version}  ${time} UTC  ${word}${told}`, tone };
}

/** What fits on a terminal of this size: state, tabs, the page, keys. */
export function screenLines(snapshot: Snapshot | null, options: ScreenOptions): Line[] {
  const { page, sort, columns, rows, skip, problem } = options;
  const room = Math.max(rows - 4, 1);
  const tabs = PAGES.map(({ name }, at) =>
    name === page.name ? `[${at + 1} ${name}]` : ` ${at + 1} ${name} `,
  );
  const body = snapshot === null ? [] : page.lines(snapshot, sort);
  const sorts = page.sorts.length > 1 ? `  s sort: ${sort}` : "";
  const lines: Line[] = [
    snapshot === null ? { text: "keel top", tone: "dim" } : stateLine(snapshot),
    { text: tabs.join(" "), tone: "dim" },
    ...(problem === null ? [] : [{ text: problem, tone: "bad" } as const]),
    ...body.slice(Math.min(skip, Math.max(body.length - room, 0))).slice(0, room),
  ];
  const last: Line = { text: `q quit  tab page  ↑↓ scroll  space pause${sorts}`, tone: "dim" };
  return [...lines.slice(0, Math.max(rows - 1, 1)), last].map(({ text, tone }) => ({
    text: text.slice(0, Math.max(columns - 1, 20)),
    tone,
  }));
}

/** Text for a terminal: home, each line cleared to its end, the rest of the screen cleared. */
export function drawScreen(lines: readonly Line[], hasColours: boolean): string {
  const drawn = lines.map(({ text, tone }) => {
    const sgr = SGR[tone];
    const shown = hasColours && sgr !== "" ? `\x1b[${sgr}m${text}\x1b[0m` : text;
    return `${shown}\x1b[K`;
  });
  return `\x1b[H${drawn.join("\r\n")}\x1b[J`;
}
