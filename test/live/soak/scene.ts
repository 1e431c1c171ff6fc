import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { simulatedCapture } from "../../../src/bench/input.ts";
import { SHM_DIR } from "../../../src/gateway/shm/segment.ts";
import { registerModels } from "../../support/registry.ts";
import { freePort, KafkaBroker, kafkaMissing, RedisServer, redisMissing } from "../../support/services.ts";
import { sharedPath } from "../../support/shared-data.ts";
import { DeskProcess } from "./desk-process.ts";

const main = join(import.meta.dir, "../../../src/main.ts");
const START_MS = 90_000;
const CHAMPION = "lstm-residual-int8";
const CHALLENGER = "lstm-residual-pruned-int8";

/** Recordings that are served, by the feed that takes them. */
const RECORDINGS = [
  { venue: "BINANCE_USDM", feed: "binance-usdm:BTCUSDT", file: "usdm-btcusdt-20240808.gz" },
  { venue: "BINANCE_SPOT", feed: "binance-spot:BTCUSDT", file: "spot-btcusdt-20240808.gz" },
] as const;

/** What can be on besides metrics, the risk and the quotes themselves. */
export const PARTS = ["journal", "outcomes", "challenger", "distribution", "viewer"] as const;
export type Part = (typeof PARTS)[number];

/** A desk with everything on, one with nothing, another one with nothing, or one with a part alone. */
export type DeskName = "full" | "bare" | "control" | Part;

/** Of the segment in which a desk of this process publishes. */
const shmName = (desk: DeskName): string => `keel-soak-${desk}-${process.pid}`;

/** Everything around the desks of a soak, and the desks: one with everything on, one or two with nothing. */
export class Scene {
  readonly folder: string;
  /** What is on besides journal, metrics, dashboard, outcomes, drift and a challenger. */
  readonly services: readonly string[];
  readonly desks = new Map<DeskName, DeskProcess>();
  alertsTold = 0;
  readonly #children: Bun.Subprocess[] = [];
  readonly #environment: Readonly<Record<string, string>>;
  readonly #redis: RedisServer | null;
  readonly #kafka: KafkaBroker | null;
  readonly #receiver: Bun.Server<undefined>;
  #feeds: Record<string, string> = {};
  #fixPorts: readonly number[] = [];

  /**
   * @param withKafka a broker takes some seconds to start
   * @param environment of every desk, before what is otherwise set
   */
  constructor(withKafka: boolean, environment: Readonly<Record<string, string>> = {}) {
    this.#environment = environment;
    this.folder = mkdtempSync(join(tmpdir(), "keel-soak-"));
    this.#redis = redisMissing() === null ? new RedisServer() : null;
    this.#kafka = withKafka && kafkaMissing() === null ? new KafkaBroker() : null;
    this.services = [...(this.#redis === null ? [] : ["redis"]), ...(this.#kafka === null ? [] : ["kafka"])];
    this.#receiver = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: async (request) => {
        await request.text();
        this.alertsTold += 1;
        return new Response();
      },
    });
  }

  /** @param launchers what a desk is started with, e.g. `taskset` */
  async start(
    names: readonly DeskName[],
    launchers: Partial<Record<DeskName, readonly string[]>> = {},
  ): Promise<void> {
    const [, , venues, around] = await Promise.all([
      this.#redis?.start(),
      this.#kafka?.start(),
      Promise.all(this.#recordings().map(({ file, ...of }) => this.#serve(of, file))),
      this.#surroundings(names.length),
    ]);
    this.#fixPorts = around.fixPorts;
    this.#feeds = {
      KEEL_FEEDS: [...venues.map(({ feed }) => feed), "deribit:BTC-PERPETUAL", "deribit:options:BTC"].join(),
      KEEL_URL_DERIBIT: around.deribit,
      ...Object.fromEntries(venues.map(({ venue, url }) => [`KEEL_URL_${venue}`, url])),
    };
    await registerModels(join(this.folder, "registry"), CHAMPION, CHALLENGER);
    for (const [at, name] of names.entries()) {
      const parts = name === "full" ? PARTS : PARTS.filter((part) => part === name);
      const environment = { ...this.#common(name, at), ...this.#on(name, parts) };
      this.desks.set(name, new DeskProcess(name, freePort(), environment, launchers[name] ?? []));
    }
    await Promise.all([...this.desks.values()].map((desk) => desk.ready(START_MS)));
  }

  desk(name: DeskName): DeskProcess {
    const desk = this.desks.get(name);
    if (desk === undefined) throw new Error(`no desk ${name}`);
    return desk;
  }

  /** Size of what the journal has written. */
  journalBytes(): number {
    const folder = this.#folderOf("full", "journal");
    return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  }

  /** Ends all of it, at any time. */
  async stop(): Promise<void> {
    for (const desk of this.desks.values()) if (desk.exitCode === null) desk.kill();
    for (const child of this.#children) child.kill("SIGTERM");
    await Promise.all(this.#children.map(({ exited }) => exited));
    await Promise.all([this.#redis?.stop(), this.#kafka?.stop(), this.#receiver.stop(true)]);
    this.#redis?.remove();
    this.#kafka?.remove();
    for (const name of this.desks.keys()) rmSync(join(SHM_DIR, shmName(name)), { force: true });
    rmSync(this.folder, { recursive: true, force: true });
  }

  #common(name: DeskName, at: number): Record<string, string> {
    return {
      ...this.#environment,
      ...this.#feeds,
      KEEL_DEVICE: "cpu",
      KEEL_SEED: String(at + 1),
      KEEL_STATE_DIR: join(this.folder, `state-${name}`),
      KEEL_FIX_HOST: "127.0.0.1",
      KEEL_FIX_PORT: String(this.#fixPorts[at]),
      KEEL_FIX_TARGET_COMP_ID: "PEER",
      KEEL_MODEL: CHAMPION,
    };
  }

  #on(name: DeskName, parts: readonly Part[]): Record<string, string> {
    const environments: Record<Part, Record<string, string>> = {
      journal: { KEEL_JOURNAL_DIR: this.#folderOf(name, "journal") },
      outcomes: {
        KEEL_OUTCOMES_DIR: this.#folderOf(name, "outcomes"),
        KEEL_OUTCOMES_MAX_MB: "512",
        KEEL_DRIFT: "act",
      },
      challenger: {
        KEEL_REGISTRY: join(this.folder, "registry"),
        KEEL_MODEL: "registry:champion",
        KEEL_CHALLENGERS: "1",
      },
      distribution: this.#distribution(name),
      viewer: { KEEL_ALERT_URL: `http://127.0.0.1:${this.#receiver.port}/` },
    };
    return Object.assign({}, ...parts.map((part) => environments[part]));
  }

  #distribution(name: DeskName): Record<string, string> {
    const redis = this.#redis;
    if (redis !== null) writeFileSync(join(this.folder, "redis-password"), redis.password);
    return {
      KEEL_SHM: shmName(name),
      ...(redis === null
        ? {}
        : { KEEL_REDIS_URL: redis.url, KEEL_REDIS_PASSWORD_FILE: join(this.folder, "redis-password") }),
      ...(this.#kafka === null
        ? {}
        : {
            KEEL_KAFKA_BROKERS: `127.0.0.1:${this.#kafka.port}`,
            KEEL_KAFKA_PUBLISH: "top,trades,tickers,predictions,quotes,feed",
          }),
    };
  }

  #folderOf(name: DeskName, part: Part): string {
    return join(this.folder, `${part}-${name}`);
  }

  /** Recordings of a real venue where the data folder is there, a simulated one otherwise. */
  #recordings(): { venue: string; feed: string; file: string }[] {
    const real = RECORDINGS.map((one) => ({ ...one, file: sharedPath("data/binance", one.file) }));
    if (real.every(({ file }) => existsSync(file))) return real;
    const file = join(this.folder, "capture.log");
    writeFileSync(file, simulatedCapture(7, 120));
    return [{ venue: RECORDINGS[0].venue, feed: RECORDINGS[0].feed, file }];
  }

  async #serve(
    of: { readonly venue: string; readonly feed: string },
    file: string,
  ): Promise<{ venue: string; feed: string; url: string }> {
    const line = await this.#firstLine([main, "venue", "--capture", file, "--port", "0", "--loop"]);
    const url = /ws:\/\/\S+:\d+/.exec(line)?.[0];
    if (url === undefined) throw new Error(`keel venue says: ${line}`);
    return { ...of, url };
  }

  async #surroundings(desks: number): Promise<{ deribit: string; fixPorts: number[] }> {
    const line = await this.#firstLine([join(import.meta.dir, "surroundings.ts"), String(desks)]);
    return JSON.parse(line) as { deribit: string; fixPorts: number[] };
  }

  /** Starts a program, whose first line of output says where it is. */
  async #firstLine(args: readonly string[]): Promise<string> {
    const child = Bun.spawn([process.execPath, ...args], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    });
    this.#children.push(child);
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of child.stdout) {
      text += decoder.decode(chunk);
      if (text.includes("\n")) break;
    }
    return text.slice(0, text.indexOf("\n"));
  }
}
