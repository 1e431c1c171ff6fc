import packageJson from "../../../package.json";
import { type Line, printable, type Tone } from "./line.ts";
import { PAGES, type TopPage } from "./pages.ts";
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
  readonly isPaused: boolean;
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
export function stateLine(snapshot: Snapshot): Line {
  return known(() => [currentState(snapshot)], snapshot)[0] ?? { text: "", tone: "plain" };
}

function currentState({ hello, us, sections: { overview } }: Snapshot): Line {
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
  const told = alerts === 0 ? "" : `  ${alerts} ${alerts === 1 ? "alert" : "alerts"}, ${critical} critical`;
  return { text: `keel ${hello.name} ${hello.version}  ${time} UTC  ${word}${told}`, tone };
}

/** A page's lines; one that says so where the process tells other things than this version of keel knows. */
export function pageLines(page: TopPage, snapshot: Snapshot, sort: string, width: number): Line[] {
  return known(() => page.lines(snapshot, sort, width), snapshot);
}

function known(lines: () => Line[], { hello }: Snapshot): Line[] {
  try {
    return lines();
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
    const text = `cannot be shown: the process is keel ${hello.version}, this is keel ${packageJson.version}`;
    return [{ text, tone: "bad" }];
  }
}

/** What fits on a terminal of this size: state, tabs, the page, keys. */
export function screenLines(snapshot: Snapshot | null, options: ScreenOptions): Line[] {
  const { page, sort, columns, rows, skip, problem, isPaused } = options;
  const width = Math.max(columns - 1, 1);
  const tabs = PAGES.map(({ name }, at) =>
    name === page.name ? `[${at + 1} ${name}]` : ` ${at + 1} ${name} `,
  ).join(" ");
  const short = `[${PAGES.indexOf(page) + 1} ${page.name}]  1–${PAGES.length} other pages`;
  const body = snapshot === null ? [] : pageLines(page, snapshot, sort, width);
  const sorts = page.sorts.length > 1 ? `s sort: ${sort}  ` : "";
  const pinned = body.slice(0, page.pinned);
  const rest = body.slice(page.pinned);
  const room = roomFor(options);
  const from = Math.min(skip, Math.max(rest.length - room, 0));
  const below = rest.length - from - room;
  const lines: Line[] = [
    topLine(snapshot, problem, isPaused),
    { text: tabs.length <= width ? tabs : short, tone: "dim" },
    ...(problem === null ? [] : [{ text: problem, tone: "bad" } as const]),
    ...pinned,
    ...rest.slice(from, from + room),
  ];
  const more = below > 0 ? `↓ ${below} more  ` : "";
  const last: Line = { text: `${more}q quit  ${sorts}tab page  ↑↓ scroll  space pause`, tone: "dim" };
  return [...lines.slice(0, Math.max(rows - 1, 1)), last]
    .slice(0, Math.max(rows, 1))
    .map(({ text, tone }) => ({
      text: printable(text).slice(0, width),
      tone,
    }));
}

/** How far a page can be scrolled on such a terminal. */
export function skipMax(snapshot: Snapshot | null, options: ScreenOptions): number {
  if (snapshot === null) return 0;
  const body = pageLines(options.page, snapshot, options.sort, Math.max(options.columns - 1, 1));
  return Math.max(body.length - options.page.pinned - roomFor(options), 0);
}

/** Lines of a page that fit between state, tabs and keys. */
export function roomFor({ rows, problem, page }: ScreenOptions): number {
  return Math.max(rows - 3 - page.pinned - (problem === null ? 0 : 1), 1);
}

/** What was true at the last answer must not pass for what is. */
function topLine(snapshot: Snapshot | null, problem: string | null, isPaused: boolean): Line {
  if (snapshot === null) return { text: "keel top", tone: "dim" };
  const { text, tone } = stateLine(snapshot);
  if (problem !== null) return { text: `NO ANSWER, this was: ${text}`, tone: "bad" };
  return isPaused ? { text: `PAUSED at: ${text}`, tone: "warn" } : { text, tone };
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
