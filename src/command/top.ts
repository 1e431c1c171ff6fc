import { EXIT, KeelError } from "../core/errors.ts";
import { defineCommand } from "./command.ts";

const ROWS_MAX = 128;
const PIPED_ROWS = 40;
/** Latency is that of what comes while somebody looks. */
const PIPED_LOOK_SECONDS = 1;
/** A key, or a control sequence of one; several come at once where they are held down or pasted. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: keys begin with the escape character
const KEYS = /\x1b(?:\[|O)[0-9;]*[A-Za-z~]|[\s\S]/g;
/** Control-C in raw mode. */
const INTERRUPT = "\x03";

export const top = defineCommand({
  name: "top",
  summary: "Watch a running process in the terminal",
  usage: "[--url URL] [--interval SECONDS] [--page NAME]",
  details: `Shows what the dashboard shows: state, profit, predictions, quotes with their reasons, risk and limits, latency by stage, feeds and
alerts. The process is found by --url (http://…, https://… or unix:/path), else by KEEL_HTTP; tokens and certificates are those of the
environment (KEEL_HTTP_VIEW_TOKEN_FILE, KEEL_HTTP_TOKEN_FILE, KEEL_HTTP_TLS_…). It only looks.

Keys: q quits, tab and arrows or 1 to 6 change the page, s the order, up, down and page keys scroll, space pauses. Where the
terminal is narrow, columns that matter less are left out. When piped, everything once, after a second of looking; with
--interval a line each time. NO_COLOR is respected. The exit code is 3 when the process does not answer.`,
  options: {
    url: { type: "string", value: "URL", description: "The process, as http://127.0.0.1:9464 or unix:/path" },
    interval: {
      type: "number",
      value: "SECONDS",
      min: 0.1,
      max: 3_600,
      description: "Between two looks; 1 on a terminal",
    },
    page: {
      type: "string",
      value: "NAME",
      choices: ["overview", "quotes", "risk", "latency", "feeds", "alerts"],
      description: "Page to begin with",
    },
    seconds: { type: "number", value: "N", min: 0.1, description: "Stop after this time" },
  },
  environment: true,
  async run({ options, config, env, out, shutdown }) {
    const { RunningProcess } = await import("./running-process.ts");
    const { look } = await import("./top/running.ts");
    const { PAGES } = await import("./top/pages.ts");
    const { printable } = await import("./top/line.ts");
    const { drawScreen, pageLines, roomFor, screenLines, skipMax, stateLine } = await import(
      "./top/screen.ts"
    );
    const { stopped } = await import("../live/stopped.ts");
    const running = new RunningProcess(options.url, config);
    const pages = PAGES.map(({ name }) => name);
    if (out.columns === 0 || out.json) {
      const all = [...new Set(PAGES.flatMap(({ sections }) => sections)), "overview" as const];
      if (options.interval === undefined) {
        await look(running, all, 0);
        await stopped(shutdown, PIPED_LOOK_SECONDS);
        const snapshot = await look(running, all, PIPED_ROWS);
        out.line(printable(stateLine(snapshot).text));
        for (const page of PAGES.filter(({ name }) => name === (options.page ?? name))) {
          out.line();
          out.line(page.name.toUpperCase());
          const lines = pageLines(page, snapshot, page.sorts[0] ?? "", Number.POSITIVE_INFINITY);
          for (const { text } of lines) out.line(printable(text));
        }
        out.result(snapshot);
        return EXIT.ok;
      }
      const endsMs = performance.now() + (options.seconds ?? Number.POSITIVE_INFINITY) * 1_000;
      while (!shutdown.aborted && performance.now() < endsMs) {
        const snapshot = await look(running, ["overview"], 0);
        const now = snapshot.sections.overview;
        const figures =
          now === undefined
            ? ""
            : `  profit ${now.profit.toFixed(2)}  quoted ${now.quoted}  sent ${now.quotesSent}  fills ${now.fills}  p99 ${now.p99Us?.toFixed(1) ?? "–"} µs`;
        out.line(printable(stateLine(snapshot).text + figures));
        await stopped(shutdown, options.interval);
      }
      return EXIT.ok;
    }

    const hasColours = (env.NO_COLOR ?? "") === "" && env.TERM !== "dumb";
    const { stdin, stdout } = process;
    let at = Math.max(pages.indexOf(options.page ?? pages[0] ?? ""), 0);
    let sort = 0;
    let skip = 0;
    let isPaused = false;
    let snapshot: Awaited<ReturnType<typeof look>> | null = null;
    let problem: string | null = null;
    const quit = new AbortController();
    const page = () => PAGES[at] ?? PAGES[0];
    const view = (shown: NonNullable<ReturnType<typeof page>>) => ({
      ...{ page: shown, sort: shown.sorts[sort % shown.sorts.length] ?? "" },
      ...{ columns: out.columns, rows: out.rows, skip, problem, isPaused },
    });
    const draw = (): void => {
      const shown = page();
      if (shown !== undefined) out.raw(drawScreen(screenLines(snapshot, view(shown)), hasColours));
    };
    const scroll = (by: number): void => {
      const shown = page();
      if (shown === undefined) return;
      skip = Math.max(Math.min(skip + by, skipMax(snapshot, view(shown))), 0);
    };
    const scrollPages = (by: number): void => {
      const shown = page();
      if (shown !== undefined) scroll(by * roomFor(view(shown)));
    };
    let isLooking = false;
    const lookAgain = async (): Promise<void> => {
      if (isLooking || isPaused) return;
      isLooking = true;
      try {
        snapshot = await look(running, ["overview", ...(page()?.sections ?? [])], ROWS_MAX);
        problem = null;
      } catch (error) {
        if (!(error instanceof KeelError)) throw error;
        problem = error.message;
      } finally {
        isLooking = false;
      }
      if (!quit.signal.aborted) draw();
    };
    const turn = (by: number): void => {
      at = (at + by + PAGES.length) % PAGES.length;
      sort = 0;
      skip = 0;
    };
    const onKey = (key: string): void => {
      if (key === "q" || key === INTERRUPT) quit.abort();
      else if (key === "\t" || key === "\x1b[C") turn(1);
      else if (key === "\x1b[Z" || key === "\x1b[D") turn(-1);
      else if (key >= "1" && key <= String(PAGES.length)) turn(Number(key) - 1 - at);
      else if (key === "s") sort += 1;
      else if (key === "\x1b[B" || key === "j") scroll(1);
      else if (key === "\x1b[A" || key === "k") scroll(-1);
      else if (key === "\x1b[6~") scrollPages(1);
      else if (key === "\x1b[5~") scrollPages(-1);
      else if (key === " ") isPaused = !isPaused;
    };
    const onKeys = (chunk: Buffer): void => {
      for (const [key] of chunk.toString().matchAll(KEYS)) onKey(key);
      if (quit.signal.aborted) return;
      draw();
      void lookAgain();
    };
    // The first look is not drawn over: a process that cannot be reached is an exit code, not a screen.
    snapshot = await look(running, ["overview", ...(page()?.sections ?? [])], ROWS_MAX);
    // Alternate screen without a cursor; given back whatever happens.
    out.raw("\x1b[?1049h\x1b[?25l");
    if (stdin.isTTY) stdin.setRawMode(true);
    stdin.on("data", onKeys);
    stdin.resume();
    stdout.on("resize", draw);
    const looking = setInterval(() => void lookAgain(), (options.interval ?? 1) * 1_000);
    draw();
    try {
      await stopped(AbortSignal.any([shutdown, quit.signal]), options.seconds);
    } finally {
      clearInterval(looking);
      quit.abort();
      stdout.off("resize", draw);
      stdin.off("data", onKeys);
      if (stdin.isTTY) stdin.setRawMode(false);
      stdin.pause();
      out.raw("\x1b[?25h\x1b[?1049l");
    }
    return EXIT.ok;
  },
});
