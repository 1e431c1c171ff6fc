import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../src/core/clock.ts";
import type { LiveSummary } from "../../../src/live/live-options.ts";
import { LOAD_STAGE } from "../../../src/risk/load-shedder.ts";
import { FixCounterparty } from "../../../src/sim/counterparty.ts";
import { freePort } from "../../support/services.ts";
import { Samples } from "../soak/desk-process.ts";
import type { FloodOrder, FloodSent } from "./flood-venue.ts";

export const MAIN = join(import.meta.dir, "../../../src/main.ts");
const VENUE = join(import.meta.dir, "flood-venue.ts");
const LOOK_MS = 100;
const ANSWER_MS = 15_000;
/** Of some 150 instruments. */
const QUOTED_MIN = 100;

/** What is seen of a desk at one time. */
export interface FloodSample {
  readonly seconds: number;
  /** Frames a second that the venue offers at that time, and of these, how many wait with it. */
  readonly offered: number;
  readonly waiting: number;
  /** Frames that the desk has taken since it began. */
  readonly frames: number;
  readonly stage: number;
  readonly loopMs: number;
  readonly ageMs: number;
  readonly queuedKb: number;
  /** Of the fullest ring; NaN without shards. */
  readonly ringFill: number;
  /** As the kernel has it, not as the process does. */
  readonly residentMb: number;
  readonly quotesSent: number;
  /** How many the counterparty holds. */
  readonly held: number;
  readonly sessionUp: boolean;
  readonly killed: boolean;
  /** Time until `/metrics` had answered, ms. */
  readonly answerMs: number;
}

interface LogLine {
  readonly message: string;
  readonly level: string;
  readonly stage?: string;
  readonly cause?: string;
}

/** The venue's process. */
export class FloodVenue {
  sent: FloodSent = { waiting: 0, sent: 0, connections: 0 };
  /** Frames a second that it offers beyond its market's own. */
  rate = 0;
  readonly urls: Promise<{ readonly binance: string; readonly deribit: string }>;
  readonly #child = Bun.spawn([process.execPath, VENUE], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });

  constructor() {
    this.urls = this.#follow();
  }

  /** @param rate 0 ends the flood; what was due until then is still sent */
  offer(rate: number): void {
    this.#tell({ rate });
    this.rate = rate;
  }

  /** Ends the flood as a venue does that will not wait any longer: the connections are cut off. */
  cutOff(): void {
    this.#tell({ rate: 0, cut: true });
    this.rate = 0;
  }

  async close(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  #tell(order: FloodOrder): void {
    this.#child.stdin.write(`${JSON.stringify(order)}\n`);
    void this.#child.stdin.flush();
  }

  #follow(): Promise<{ readonly binance: string; readonly deribit: string }> {
    return new Promise((resolve) => {
      void (async () => {
        for await (const line of lines(this.#child.stdout)) {
          const told = JSON.parse(line) as FloodSent | { binance: string; deribit: string };
          if ("binance" in told) resolve(told);
          else this.sent = told;
        }
      })();
    });
  }
}

/**
 * `keel run` with the engine and the model that it takes by itself, a venue that can send more than it takes, a counterparty that speaks
 * FIX: three processes, of which this one is the counterparty's and looks on from outside.
 */
export class FloodScene implements AsyncDisposable {
  readonly counterparty = new FixCounterparty({
    ...{ host: "127.0.0.1", port: 0, version: "4.4", clock: systemClock, seed: 7, flow: null },
    ...{ senderCompId: "PEER", targetCompId: "KEEL" },
  });
  readonly venue = new FloodVenue();
  readonly samples: FloodSample[] = [];
  readonly log: LogLine[] = [];
  /** The summary as it is printed, once the desk has been stopped. */
  text = "";
  readonly #root = mkdtempSync(join(tmpdir(), "keel-flood-"));
  readonly #port = freePort();
  readonly #startedMs = performance.now();
  readonly #told: (sample: FloodSample) => void;
  #desk: Bun.Subprocess<"ignore", "pipe", "pipe"> | null = null;
  #logText = "";
  #summary: Promise<string> = Promise.resolve("");
  #timer: ReturnType<typeof setInterval> | null = null;
  #looking: Promise<void> = Promise.resolve();
  #ended = false;

  private constructor(told: (sample: FloodSample) => void) {
    this.#told = told;
  }

  /** @param told of each look */
  static async start(
    environment: Readonly<Record<string, string>> = {},
    told: (sample: FloodSample) => void = () => {},
  ): Promise<FloodScene> {
    const scene = new FloodScene(told);
    await scene.#begin(environment);
    return scene;
  }

  get last(): FloodSample | undefined {
    return this.samples.at(-1);
  }

  /** @returns status and text; 0 and why when no answer came in time */
  async ask(path: string, method: "GET" | "POST" = "GET"): Promise<{ status: number; text: string }> {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.#port}${path}`, {
        method,
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      return { status: answer.status, text: await answer.text() };
    } catch (error) {
      return { status: 0, text: String(error) };
    }
  }

  /** Waits until it holds of a look. @throws Error naming it when it does not in time */
  async until(what: string, holds: (sample: FloodSample) => boolean, withinMs = 60_000): Promise<void> {
    const deadlineMs = performance.now() + withinMs;
    for (;;) {
      const { last } = this;
      if (last !== undefined && holds(last)) return;
      if (performance.now() > deadlineMs || this.#desk?.exitCode !== null) {
        throw new Error(
          `not within ${withinMs} ms: ${what}; ${JSON.stringify(last)}\n${this.#logText.slice(-2_000)}`,
        );
      }
      await Bun.sleep(20);
    }
  }

  /** Waits until nothing is shed and most instruments are quoted. */
  async untilQuoting(): Promise<void> {
    await this.until(
      "the desk quotes",
      ({ stage, held, sessionUp }) => stage === LOAD_STAGE.normal && sessionUp && held > QUOTED_MIN,
      120_000,
    );
  }

  /** The stages in the order that the log tells of them. */
  get stages(): string[] {
    return this.log.flatMap(({ message, stage }) => (message.startsWith("load ") && stage ? [stage] : []));
  }

  /** Ends the desk as an operator does. @returns its summary */
  async stop(): Promise<LiveSummary> {
    this.#ended = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#looking;
    this.#desk?.kill("SIGTERM");
    await this.#desk?.exited;
    this.text = await this.#summary;
    const summary = this.text.split("\n").find((line) => line.startsWith("{"));
    if (summary === undefined) throw new Error(`no summary: ${this.text}\n${this.#logText.slice(-2_000)}`);
    return JSON.parse(summary) as LiveSummary;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#desk?.kill("SIGKILL");
    await Promise.all([this.#desk?.exited, this.venue.close()]);
    this.counterparty.stop();
    rmSync(this.#root, { recursive: true, force: true });
  }

  async #begin(environment: Readonly<Record<string, string>>): Promise<void> {
    const fixPort = this.counterparty.start();
    this.#timer = setInterval(() => this.counterparty.onTimer(systemClock.wallUs()), 5);
    const urls = await this.venue.urls;
    const desk = Bun.spawn([process.execPath, MAIN, "run", "--json"], {
      env: {
        PATH: process.env.PATH ?? "",
        KEEL_URL_BINANCE_USDM: urls.binance,
        KEEL_URL_DERIBIT: urls.deribit,
        KEEL_FEEDS: "binance-usdm:BTCUSDT,deribit:BTC-PERPETUAL,deribit:options:BTC",
        KEEL_STATE_DIR: join(this.#root, "state"),
        KEEL_HTTP: `127.0.0.1:${this.#port}`,
        KEEL_FIX_HOST: "127.0.0.1",
        KEEL_FIX_PORT: String(fixPort),
        KEEL_FIX_SENDER_COMP_ID: "KEEL",
        KEEL_FIX_TARGET_COMP_ID: "PEER",
        KEEL_FIX_HEARTBEAT_SECONDS: "2",
        KEEL_LOG: "json",
        ...environment,
      },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#desk = desk;
    this.#summary = new Response(desk.stdout).text();
    void this.#read(desk.stderr);
    this.#looking = this.#look(desk.pid);
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    for await (const line of lines(stream)) {
      this.#logText += `${line}\n`;
      if (line.startsWith("{")) this.log.push(JSON.parse(line) as LogLine);
    }
  }

  async #look(pid: number): Promise<void> {
    while (!this.#ended) {
      const askedMs = performance.now();
      const { status, text } = await this.ask("/metrics");
      if (status === 200) {
        const sample = this.#sample(text, pid, performance.now() - askedMs);
        this.samples.push(sample);
        this.#told(sample);
      }
      await Bun.sleep(LOOK_MS);
    }
  }

  #sample(metrics: string, pid: number, answerMs: number): FloodSample {
    const samples = new Samples(metrics);
    const read = (family: string, part = ""): number =>
      samples.has(family) ? samples.sum(family, part) : Number.NaN;
    return {
      seconds: (performance.now() - this.#startedMs) / 1_000,
      offered: this.venue.rate,
      waiting: this.venue.sent.waiting,
      frames: read("keel_feed_frames_total"),
      stage: read("keel_load_stage"),
      loopMs: read("keel_load_lag_seconds", 'of="loop"') * 1_000,
      ageMs: read("keel_load_lag_seconds", 'of="data"') * 1_000,
      queuedKb: read("keel_load_queued_bytes") / 1_024,
      ringFill: samples.max("keel_shard_ring_fill_ratio"),
      residentMb: residentMb(pid),
      quotesSent: read("keel_quote_sent_total"),
      held: this.counterparty.liveQuotes.size,
      sessionUp: read("keel_gateway_session_up") === 1,
      killed: read("keel_risk_killed") === 1,
      answerMs,
    };
  }
}

function residentMb(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1_024;
  } catch {
    return Number.NaN;
  }
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    const whole = text.split("\n");
    text = whole.pop() ?? "";
    yield* whole;
  }
}
