import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RedisClient } from "bun";
import { systemClock } from "../../../src/core/clock.ts";
import type { FailoverReport } from "../../../src/live/failover.ts";
import { SIMULATED_KEY } from "../../../src/sim/deribit-venue.ts";
import { Simulation } from "../../../src/sim/simulation.ts";
import { EtcdServer } from "../../support/etcd-server.ts";
import { PutClock } from "../../support/put-clock.ts";
import { freePort, RedisServer } from "../../support/services.ts";
import { DeribitPeer, FixPeer, type PairCounterparty, type PeerState, TAKER } from "./counterparty.ts";
import { Link } from "./link.ts";
import { Namespace } from "./namespace.ts";
import type { PairWire } from "./pair-wire.ts";

export type { PeerState } from "./counterparty.ts";

const main = join(import.meta.dir, "../../../src/main.ts");
const TOKEN = "a token of the pair's own";
export const NAMES = ["a", "b"] as const;
export type Name = (typeof NAMES)[number];

/** One of the pair: a keel process and its own ways to everything. */
export class Node {
  readonly links: Readonly<Record<"lease" | "counterparty" | "binance" | "deribit" | "peer", Link>>;
  /** The network of its own that the process is in; null where it is in the host's. */
  readonly network: Namespace | null;
  readonly httpPort = freePort();
  readonly peerPort = freePort();
  /** Where the pair's clients reach this one, if it has any. */
  readonly acceptPort = freePort();
  readonly name: Name;
  log = "";
  readonly #pair: Pair;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #clock: PutClock | null;
  #child: Bun.Subprocess<"ignore", "ignore", "pipe"> | null = null;

  constructor(pair: Pair, name: Name, environment: Readonly<Record<string, string>>) {
    this.#pair = pair;
    this.name = name;
    this.#environment = environment;
    this.#clock = pair.putsClocks ? new PutClock(join(pair.folder, `${name}-clock`)) : null;
    this.network = pair.hasNetworks ? new Namespace() : null;
    const { simulation } = pair;
    const near = this.network?.host;
    const other = (): Node => pair.other(name);
    this.links = {
      lease: new Link(() => pair.lease.port, near),
      counterparty: new Link(() => pair.counterparty.port, near),
      binance: new Link(() => portOf(simulation.binance.server.url), near),
      deribit: new Link(() => portOf(simulation.deribit.server.url), near),
      peer: new Link(
        () => other().peerPort,
        near,
        () => other().address,
      ),
    };
    this.links.counterparty.onSent = (bytes, connection) => pair.wire.take(name, bytes, connection);
  }

  /** Where the process listens. */
  get address(): string {
    return this.network?.inside ?? "127.0.0.1";
  }

  get running(): boolean {
    return this.#child !== null && this.#child.exitCode === null;
  }

  start(): void {
    this.#child = this.#spawn([]);
  }

  /** Another process takes this one's place. @returns the exit code of the one before */
  async handOver(): Promise<number> {
    const before = this.#child;
    this.#child = this.#spawn(["--handover"]);
    return (await before?.exited) ?? -1;
  }

  #spawn(args: readonly string[]): Bun.Subprocess<"ignore", "ignore", "pipe"> {
    const { folder } = this.#pair;
    const near = this.network?.host ?? "127.0.0.1";
    const url = (port: number): string => `http://${near}:${port}`;
    const command = [process.execPath, main, "run", ...args];
    this.#pair.wire.cut(this.name);
    const child = Bun.spawn(this.network?.command(command) ?? command, {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
      env: {
        ...inherited(),
        KEEL_FEEDS: "binance-usdm:BTCUSDT,deribit:BTC-PERPETUAL,deribit:options:BTC",
        KEEL_URL_BINANCE_USDM: url(this.links.binance.port),
        KEEL_URL_DERIBIT: url(this.links.deribit.port),
        KEEL_DEVICE: "cpu",
        KEEL_WARM_UP_MS: "0",
        // Both processes, the venues and the counterparty share what one host has: what is tried is not its load.
        KEEL_SHED: "off",
        KEEL_SILENCE_MS: "1000",
        KEEL_STATE_DIR: join(folder, this.name),
        KEEL_JOURNAL_DIR: join(folder, `${this.name}-journal`),
        KEEL_HTTP: `${this.address}:${this.httpPort}`,
        KEEL_HTTP_TOKEN_FILE: join(folder, "peer-token"),
        ...this.#pair.counterparty.environment(near, this.links.counterparty.port),
        ...this.#pair.leaseEnvironment(near, this.links.lease.port),
        KEEL_LEASE_HOLDER: this.name,
        KEEL_PEER: `ws://${near}:${this.links.peer.port}`,
        KEEL_PEER_LISTEN: `${this.address}:${this.peerPort}`,
        KEEL_PEER_TOKEN_FILE: join(folder, "peer-token"),
        KEEL_FAILOVER_UNFIT_MS: "2000",
        ...this.#clock?.environment,
        ...(this.#pair.clients === "" ? {} : this.#accepts()),
        ...this.#environment,
      },
    });
    void this.#read(child.stderr);
    return child;
  }

  #accepts(): Record<string, string> {
    const { clients } = this.#pair;
    return { KEEL_FIX_ACCEPT: `${this.address}:${this.acceptPort}`, KEEL_FIX_ACCEPT_CLIENTS: clients };
  }

  /** Puts the process's wall clock, as a step of the host's would. */
  putClock(seconds: number): void {
    this.#clock?.put(seconds);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  async kill(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#child?.exited;
    this.#child = null;
  }

  /** Ends in order. @returns the exit code */
  async end(): Promise<number> {
    this.#child?.kill("SIGTERM");
    return (await this.#child?.exited) ?? 0;
  }

  /** Null while it does not answer. */
  async report(): Promise<FailoverReport | null> {
    return (await this.get<FailoverReport>("/failover")) ?? null;
  }

  async get<T>(path: string, init: RequestInit = {}, withinMs = 1_000): Promise<T | null> {
    try {
      const signal = AbortSignal.timeout(withinMs);
      const headers = { authorization: `Bearer ${TOKEN}` };
      const response = await fetch(`http://${this.address}:${this.httpPort}${path}`, {
        ...{ headers, ...init, signal },
      });
      return (await response.json()) as T;
    } catch {
      return null;
    }
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) this.log = (this.log + decoder.decode(chunk)).slice(-20_000);
  }
}

export interface PairOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** The wall clocks of both processes and of Redis can be put. */
  readonly putsClocks?: boolean;
  readonly by?: "fix" | "deribit";
  /** Each process has a network of its own; see {@link Namespace}. */
  readonly hasNetworks?: boolean;
  readonly service?: "redis" | "etcd";
  /** CompIDs of FIX clients that both take; left out: none. */
  readonly clients?: string;
}

/** Two keel processes, a lease's service, simulated venues and who takes their quotes, with a link for every way between them. */
export class Pair {
  readonly folder = mkdtempSync(join(tmpdir(), "keel-pair-"));
  readonly by: "fix" | "deribit";
  readonly putsClocks: boolean;
  readonly hasNetworks: boolean;
  readonly clients: string;
  readonly redisClock: PutClock | null;
  /** Null where the lease is etcd's. */
  readonly redis: RedisServer | null;
  readonly lease: RedisServer | EtcdServer;
  readonly simulation = new Simulation({
    // At the pace of the host's clock, so that the venues' times are its own; few strikes, so that the host bears it.
    ...{ seed: 7, clock: systemClock, price: 60_000, strikesPerExpiry: 9 },
    deribitTrading: { clients: [SIMULATED_KEY, TAKER] },
  });
  readonly counterparty: PairCounterparty;
  readonly a: Node;
  readonly b: Node;

  constructor(options: PairOptions = {}) {
    const { environment = {}, by = "fix", putsClocks = false, service = "redis" } = options;
    this.by = by;
    this.putsClocks = putsClocks;
    this.hasNetworks = options.hasNetworks ?? false;
    this.clients = options.clients ?? "";
    this.redisClock = putsClocks ? new PutClock(join(this.folder, "redis-clock")) : null;
    this.redis = service === "redis" ? new RedisServer(undefined, this.redisClock) : null;
    this.lease = this.redis ?? new EtcdServer();
    this.counterparty = by === "fix" ? new FixPeer() : new DeribitPeer(this.simulation, this.folder);
    if (this.redis !== null) writeFileSync(join(this.folder, "redis-password"), this.redis.password);
    writeFileSync(join(this.folder, "peer-token"), TOKEN);
    this.a = new Node(this, "a", environment);
    this.b = new Node(this, "b", environment);
  }

  get wire(): PairWire {
    return this.counterparty.wire;
  }

  /** What a process needs to ask for the lease by an address of this host. */
  leaseEnvironment(hostname: string, port: number): Record<string, string> {
    if (this.redis === null) return { KEEL_LEASE_URL: `http://${hostname}:${port}` };
    return {
      KEEL_LEASE_URL: `redis://${hostname}:${port}`,
      KEEL_LEASE_PASSWORD_FILE: join(this.folder, "redis-password"),
    };
  }

  other(name: Name): Node {
    return name === "a" ? this.b : this.a;
  }

  node(name: string): Node {
    return name === "a" ? this.a : this.b;
  }

  async start(): Promise<void> {
    await this.lease.start();
    this.simulation.start();
    await this.counterparty.start();
    this.a.start();
    this.b.start();
  }

  peer(): Promise<PeerState> {
    return this.counterparty.peer();
  }

  trade(): Promise<boolean> {
    return this.counterparty.trade();
  }

  /** Waits until `condition` gives something. @throws Error naming `what` */
  async until<T>(what: string, condition: () => Promise<T | null | false>, withinMs = 60_000): Promise<T> {
    const deadlineMs = performance.now() + withinMs;
    for (;;) {
      const found = await condition();
      if (found !== null && found !== false) return found;
      if (performance.now() > deadlineMs)
        throw new Error(`not within ${withinMs} ms: ${what}; ${await this.state()}`);
      await Bun.sleep(20);
    }
  }

  /** One leads and quotes, and the other one follows, has everything and could take over. @returns the leader */
  untilReady(): Promise<Node> {
    return this.until(
      "one quotes and the other one is ready",
      async () => {
        const [one, two] = await Promise.all([this.a.report(), this.b.report()]);
        const leader = one?.role === "leader" ? this.a : two?.role === "leader" ? this.b : null;
        const report = leader === this.a ? one : two;
        if (leader === null || report === null || this.wire.leader !== leader.name) return null;
        if (report.unfit.length > 0) return null;
        const ready = report.followers.some(({ behind, unfit }) => behind === 0 && unfit?.length === 0);
        if (!ready || Number.isNaN(this.wire.firstQuoteMs)) return null;
        return (await this.peer()).standing > 20 ? leader : null;
      },
      60_000,
    );
  }

  /** Positions that `node` has otherwise than the counterparty. */
  async differences(node: Node): Promise<string[]> {
    const [{ positions }, own] = await Promise.all([
      this.peer(),
      node.get<{ positions: { venue: string; symbol: string; lots: number }[] }>("/positions"),
    ]);
    const lots = new Map((own?.positions ?? []).map((p) => [`${p.venue}:${p.symbol}`, p.lots]));
    const found: string[] = [];
    for (const [key, size] of Object.entries(positions)) {
      // Lots of the simulated options are tenths of a coin, of the perpetual ten dollars; signs and zeros tell enough of others.
      const lot = key.endsWith("-C") || key.endsWith("-P") ? 0.1 : null;
      const had = lots.get(key) ?? 0;
      if (lot === null ? Math.sign(had) !== Math.sign(size) : Math.abs(had * lot - size) > 1e-9) {
        found.push(`${key}: counterparty ${size}, ${node.name} ${had} lots`);
      }
    }
    return found;
  }

  /** What a server that is short of memory does: the lease's key is gone before its holder knows. */
  async removeLease(): Promise<void> {
    if (this.redis === null) throw new Error("the lease is etcd's");
    const { password, port } = this.redis;
    const client = new RedisClient(`redis://:${encodeURIComponent(password)}@127.0.0.1:${port}`);
    await client.del("keel:{keel}:lease");
    client.close();
  }

  /** Whatever was cut, frozen or killed is there again. */
  mend(): void {
    for (const node of [this.a, this.b]) {
      for (const link of Object.values(node.links)) link.heal();
      node.network?.plug();
      node.signal("SIGCONT");
      if (!node.running) node.start();
    }
  }

  /** Ends one of them in order, and plays its last run's journal again. @returns what `keel replay --verify` says of it */
  async replay(node: Node): Promise<{ readonly exitCode: number; readonly output: string }> {
    await node.end();
    const journal = join(this.folder, `${node.name}-journal`);
    const child = Bun.spawn([process.execPath, main, "replay", journal, "--verify"], {
      ...{ stdin: "ignore", stdout: "pipe", stderr: "pipe", env: inherited() },
    });
    const [output, exitCode] = await Promise.all([child.stdout.text(), child.exited]);
    return { exitCode, output };
  }

  async state(): Promise<string> {
    const [a, b, peer] = await Promise.all([this.a.report(), this.b.report(), this.peer().catch(() => null)]);
    const wire = { leader: this.wire.leader, messages: this.wire.messages };
    return `${JSON.stringify({ a, b, peer: { ...peer, positions: undefined }, wire })}\n${this.a.log.slice(-1_500)}\n--\n${this.b.log.slice(-1_500)}`;
  }

  async stop(): Promise<void> {
    await Promise.all([this.a.kill(), this.b.kill()]);
    this.counterparty.stop();
    for (const node of [this.a, this.b]) for (const link of Object.values(node.links)) link.stop();
    await this.simulation.stop();
    await this.lease.stop();
    this.lease.remove();
    for (const { network } of [this.a, this.b]) network?.remove();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** What finds the compiler and the kernels that it has made. */
function inherited(): Record<string, string> {
  const { PATH = "", HOME = "", XDG_CACHE_HOME = "" } = process.env;
  return { PATH, HOME, ...(XDG_CACHE_HOME === "" ? {} : { XDG_CACHE_HOME }) };
}

function portOf(url: string): number {
  return Number(new URL(url).port);
}
