import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../config.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { workerUrl } from "../core/executable.ts";
import { HISTOGRAM_BUCKETS, Histogram, middleOf } from "../core/histogram.ts";
import { invariant } from "../core/invariant.ts";
import { Logger } from "../core/log.ts";
import { Rng } from "../core/rng.ts";
import { STAGE } from "../desk/latency.ts";
import { endpointAt } from "../feed/registry.ts";
import { Session } from "../live/session.ts";
import { SECTIONS, type SectionName, type Watch } from "../monitor/dashboard/protocol.ts";
import { Peers } from "../sim/peers.ts";
import { type BenchReport, benchHost, ratioOf, rowOf } from "./report.ts";
import { threadClock } from "./thread-clock.ts";
import type { ViewerReply, ViewerRequest } from "./viewer/protocol.ts";

export interface DashboardBenchOptions {
  readonly seed: number;
  /** Pairs of blocks: nobody looks on, somebody does; then the other way round. */
  readonly rounds: number;
  readonly blockSeconds: number;
  readonly strikesPerExpiry: number;
  /** After the first quotes, until the code is compiled. */
  readonly warmUpMs: number;
}

const PRICE = 60_000;
const ROWS = 40;
const RATE = 60;
const READY_MS = 60_000;
/** Of a block, what the one before it may still be seen in. */
const SETTLE_MS = 300;
/** What a desk's screen shows all day, and a screen that shows everything there is at once. */
const SCREENS: readonly (readonly [name: string, sections: readonly SectionName[]])[] = [
  ["on", ["pulse", "overview"]],
  ["all", SECTIONS],
];

/**
 * What somebody who looks on costs the line: 1,000 simulated options and their underlying over real sockets, from another thread,
 * and by turns nobody, a page with 40 rows at 60 updates a second, and one that asks for every section besides. Rows are the whole
 * way of an event, from the receipt of the first frame of its batch to its quotes in the session's hands, and its wait for an update
 * that holds the loop when it comes; `update` is for how long one does.
 */
export async function runDashboardBench(options: DashboardBenchOptions): Promise<BenchReport> {
  const { seed, rounds, strikesPerExpiry } = options;
  const peers = await Peers.start({
    seed,
    simulation: { price: PRICE, speed: 1, strikesPerExpiry },
    counterparty: { senderCompId: "PAPER", targetCompId: "KEEL", meanTradeIntervalMs: 1_500 },
  });
  const stateDir = mkdtempSync(join(tmpdir(), "keel-bench-dashboard-"));
  const ownTime = threadClock();
  const clock = ownTime === null ? systemClock : { ...systemClock, monotonicNs: ownTime };
  const session = await start(peers, seed, stateDir, clock);
  const viewer = new Viewer();
  try {
    const { live, http } = session;
    invariant(http !== null, "the bench's desk serves a dashboard");
    const base = `http://127.0.0.1:${http.port}`;
    await ready(session, options.warmUpMs);
    const kinds = ["off", ...SCREENS.map(([name]) => name)] as const;
    const events = kinds.map(() => new Histogram());
    const updatesHeld = new Histogram();
    const p99 = kinds.map((): number[] => []);
    const total = new Stretch(live.timer.stages[STAGE.total]);
    const held = new Stretch(http.dashboard?.hub.held ?? new Histogram());
    const rng = new Rng(seed);
    let updates = 0;
    let bytes = 0;
    for (let round = 0; round < rounds; round += 1) {
      for (let turn = 0; turn < kinds.length; turn += 1) {
        // Nobody is always the first or the last of a round.
        const at = round % 2 === 0 ? turn : kinds.length - 1 - turn;
        const screen = at === 0 ? null : SCREENS[at - 1];
        if (screen !== null) await viewer.look(base, watchOf(screen[1], live.desk.market.instruments.size));
        await Bun.sleep(SETTLE_MS);
        total.begin();
        held.begin();
        const begunNs = Bun.nanoseconds();
        await Bun.sleep(options.blockSeconds * 1_000);
        const waits = new Waits(held.values(), Bun.nanoseconds() - begunNs, rng);
        const block = new Histogram();
        for (const ns of total.values()) {
          const way = ns + waits.next();
          block.record(way);
          events[at].record(way);
        }
        p99[at].push(block.quantile(0.99));
        if (screen === null) continue;
        for (const ns of held.values()) updatesHeld.record(ns);
        const left = await viewer.leave();
        updates += left.updates;
        bytes += left.bytes;
      }
    }
    const rows = kinds.map((name, at) => rowOf(`dashboard/${name}`, events[at], "us"));
    const [off, ...on] = rows;
    const instruments = live.desk.market.instruments.size;
    return {
      bench: "dashboard",
      host: benchHost(),
      seed,
      checksum: String(instruments),
      input: `simulated market, ${instruments} instruments, ${rounds} × ${options.blockSeconds} s of each kind`,
      rows: [...rows, rowOf("dashboard/update", updatesHeld, "us")],
      ratios: on.flatMap((row) => [
        ratioOf(`${row.name}:off`, row, off),
        ratioOf(`${row.name}:off/p99`, row, off),
      ]),
      notes: [
        ownTime === null
          ? "times are of the clock, other work on the host included"
          : "times are the thread's own: what other work on the host takes of it is left out",
        "to an event's way the wait is added that it has by chance for an update that holds the loop",
        ...kinds.slice(1).map((name, at) => pairsNote(name, p99[at + 1], p99[0])),
        `${(updates / (2 * rounds * (options.blockSeconds + SETTLE_MS / 1_000))).toFixed(1)} updates/s of ${(bytes / Math.max(updates, 1)).toFixed(0)} characters`,
      ],
    };
  } finally {
    viewer.stop();
    await session.stop();
    rmSync(stateDir, { recursive: true, force: true });
  }
}

function watchOf(sections: readonly SectionName[], instruments: number): Watch {
  const rows = Array.from({ length: Math.min(ROWS, instruments) }, (_, id) => id);
  return { rate: RATE, sections, rows, detail: null, underlying: 0, expiryMs: null };
}

function pairsNote(name: string, of: readonly number[], off: readonly number[]): string {
  const ratios = of.map((p99, round) => p99 / off[round]).sort((a, b) => a - b);
  const middle = ratios[ratios.length >> 1] ?? Number.NaN;
  const [low = Number.NaN, high = Number.NaN] = [ratios[0], ratios.at(-1)];
  return `dashboard/${name}: p99 × ${middle.toFixed(3)} of that without it in the middle round (${low.toFixed(3)} … ${high.toFixed(3)})`;
}

/** What a histogram takes from one moment on. */
class Stretch {
  readonly #of: Histogram;
  readonly #before = new Float64Array(HISTOGRAM_BUCKETS);

  constructor(of: Histogram) {
    this.#of = of;
  }

  begin(): void {
    this.#of.copyCounts(this.#before);
  }

  values(): number[] {
    const now = new Float64Array(HISTOGRAM_BUCKETS);
    this.#of.copyCounts(now);
    const values: number[] = [];
    for (let bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket += 1) {
      for (let left = now[bucket] - this.#before[bucket]; left > 0; left -= 1) values.push(middleOf(bucket));
    }
    return values;
  }
}

/** How long frames wait that come at any time, while the loop is held now and then. */
class Waits {
  readonly #held: readonly number[];
  readonly #share: number;
  readonly #longest: number;
  readonly #rng: Rng;

  /** @param held times for which the loop was held, ns, within `withinNs` */
  constructor(held: readonly number[], withinNs: number, rng: Rng) {
    this.#held = held;
    this.#share = held.reduce((sum, ns) => sum + ns, 0) / withinNs;
    this.#longest = held.reduce((longest, ns) => Math.max(longest, ns), 0);
    this.#rng = rng;
  }

  next(): number {
    if (this.#rng.next() >= this.#share) return 0;
    // A frame meets a long one more often than a short one, and anywhere in it.
    for (;;) {
      const ns = this.#held[this.#rng.int(this.#held.length)];
      if (this.#rng.next() * this.#longest < ns) return this.#rng.next() * ns;
    }
  }
}

async function start(peers: Peers, seed: number, stateDir: string, clock: Clock): Promise<Session> {
  const config = loadConfig({});
  const { binanceUrl, deribitUrl } = peers.address;
  return await Session.start({
    config: {
      ...config,
      seed,
      stateDir,
      http: { hostname: "127.0.0.1", port: 0, token: undefined, viewToken: undefined, tls: undefined },
      feeds: [
        { venue: "binance-usdm", subscriptions: ["BTCUSDT"] },
        { venue: "deribit", subscriptions: ["BTC-PERPETUAL", "options:BTC"] },
      ],
      endpoints: {
        ...config.endpoints,
        "binance-usdm": { ...endpointAt("binance-usdm", binanceUrl ?? ""), standIn: true },
        deribit: { ...endpointAt("deribit", deribitUrl ?? ""), standIn: true },
      },
    },
    log: new Logger({ format: "text", level: "error" }),
    clock,
    peers,
  });
}

async function ready({ live }: Session, warmUpMs: number): Promise<void> {
  const untilMs = performance.now() + READY_MS;
  while (!live.gateway.ready || live.desk.counters.quotesSent === 0 || live.desk.modelStatus(0) !== 0) {
    if (performance.now() > untilMs) throw new Error("the desk was not ready in time");
    await Bun.sleep(20);
  }
  await Bun.sleep(warmUpMs);
}

/** The thread that looks on. */
class Viewer {
  readonly #worker = new Worker(workerUrl("bench/viewer"));

  async look(base: string, watch: Watch): Promise<void> {
    await this.#ask({ ask: "look", base, watch });
  }

  async leave(): Promise<{ readonly updates: number; readonly bytes: number }> {
    const reply = await this.#ask({ ask: "leave" });
    invariant(reply.say === "left", "who is told to leave, leaves");
    return reply;
  }

  stop(): void {
    this.#worker.terminate();
  }

  #ask(request: ViewerRequest): Promise<ViewerReply> {
    return new Promise((resolve, reject) => {
      this.#worker.onmessage = ({ data }: MessageEvent<ViewerReply>) => {
        if (data.say === "failed") reject(new Error(data.message));
        else resolve(data);
      };
      this.#worker.onerror = (event) => reject(new Error(event.message));
      this.#worker.postMessage(request);
    });
  }
}
