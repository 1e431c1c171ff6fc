import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../src/core/clock.ts";
import { Simulation } from "../../../src/sim/simulation.ts";
import { freePort } from "../../support/services.ts";
import { Link } from "../failover/link.ts";
import type { PeerState } from "../failover/pair.ts";
import { Wire } from "../failover/wire.ts";

const main = join(import.meta.dir, "../../../src/main.ts");

/** A keel process of the host, with its own way to the counterparty. */
export class Life {
  readonly name: string;
  readonly fix: Link;
  log = "";
  output = "";
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;

  constructor(
    host: Host,
    name: string,
    args: readonly string[],
    environment: Readonly<Record<string, string>>,
  ) {
    this.name = name;
    this.fix = new Link(() => host.fixPort);
    this.fix.onSent = (bytes) => host.wire.take(name, bytes);
    this.#child = Bun.spawn([process.execPath, main, "run", ...args, "--json"], {
      ...{ stdin: "ignore", stdout: "pipe", stderr: "pipe" },
      env: { ...inherited(), ...host.environment, KEEL_FIX_PORT: String(this.fix.port), ...environment },
    });
    void this.#read(this.#child.stderr, (text) => {
      this.log = (this.log + text).slice(-20_000);
    });
    void this.#read(this.#child.stdout, (text) => {
      this.output += text;
    });
  }

  get pid(): number {
    return this.#child.pid;
  }

  get exited(): Promise<number> {
    return this.#child.exited;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Waits until the log has said it. @throws Error with the log */
  async says(text: string, withinMs = 60_000): Promise<void> {
    const untilMs = performance.now() + withinMs;
    while (!this.log.includes(text)) {
      if (performance.now() > untilMs) throw new Error(`${this.name} has not said "${text}":\n${this.log}`);
      await Bun.sleep(1);
    }
  }

  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    this.signal("SIGCONT");
    this.signal(signal);
    await this.exited;
    this.fix.stop();
  }

  async #read(stream: ReadableStream<Uint8Array>, take: (text: string) => void): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) take(decoder.decode(chunk));
  }
}

/** A host with simulated venues and a FIX counterparty of its own; processes run one after the other on one state directory. */
export class Host {
  readonly folder = mkdtempSync(join(tmpdir(), "keel-host-"));
  readonly journal = join(this.folder, "journal");
  readonly simulation = new Simulation({ seed: 7, clock: systemClock, price: 60_000, speed: 0.5 });
  readonly wire = new Wire();
  readonly httpPort = freePort();
  fixPort = 0;
  #peerHttp = 0;
  #peer: Bun.Subprocess<"ignore", "pipe", "inherit"> | null = null;
  readonly #lives: Life[] = [];
  readonly #more: Readonly<Record<string, string>>;

  constructor(more: Readonly<Record<string, string>> = {}) {
    this.#more = more;
  }

  get environment(): Readonly<Record<string, string>> {
    const { binance, deribit } = this.simulation;
    return {
      KEEL_FEEDS: "binance-usdm:BTCUSDT,deribit:BTC-PERPETUAL,deribit:options:BTC",
      KEEL_URL_BINANCE_USDM: binance.server.url,
      KEEL_URL_DERIBIT: deribit.server.url,
      KEEL_DEVICE: "cpu",
      KEEL_WARM_UP_MS: "0",
      KEEL_SHED: "off",
      KEEL_STATE_DIR: join(this.folder, "state"),
      KEEL_JOURNAL_DIR: this.journal,
      KEEL_HTTP: `127.0.0.1:${this.httpPort}`,
      KEEL_FIX_HOST: "127.0.0.1",
      KEEL_FIX_TARGET_COMP_ID: "PEER",
      KEEL_FIX_HEARTBEAT_SECONDS: "3",
      ...this.#more,
    };
  }

  async start(): Promise<void> {
    this.simulation.start();
    this.#peer = Bun.spawn([process.execPath, join(import.meta.dir, "../failover/peer.ts"), "--replaces"], {
      ...{ stdin: "ignore", stdout: "pipe", stderr: "inherit" },
    });
    const { value } = await this.#peer.stdout.getReader().read();
    const ports = JSON.parse(new TextDecoder().decode(value)) as { fixPort: number; httpPort: number };
    this.fixPort = ports.fixPort;
    this.#peerHttp = ports.httpPort;
  }

  run(name: string, args: readonly string[] = [], environment: Readonly<Record<string, string>> = {}): Life {
    const life = new Life(this, name, args, environment);
    this.#lives.push(life);
    return life;
  }

  async peer(): Promise<PeerState> {
    return (await (await fetch(`http://127.0.0.1:${this.#peerHttp}/`)).json()) as PeerState;
  }

  async trade(): Promise<boolean> {
    const response = await fetch(`http://127.0.0.1:${this.#peerHttp}/trade`, { method: "POST" });
    return ((await response.json()) as { done: boolean }).done;
  }

  async get<T>(path: string, init: RequestInit = {}): Promise<T | null> {
    try {
      const signal = AbortSignal.timeout(1_000);
      return (await (
        await fetch(`http://127.0.0.1:${this.httpPort}${path}`, { ...init, signal })
      ).json()) as T;
    } catch {
      return null;
    }
  }

  /** Waits until the process of that name alone quotes. @throws Error with every log */
  async untilQuoting(name: string, withinMs = 60_000): Promise<void> {
    const untilMs = performance.now() + withinMs;
    for (;;) {
      const { wire } = this;
      if (wire.leader === name && !Number.isNaN(wire.firstQuoteMs) && (await this.peer()).standing > 20)
        return;
      if (performance.now() > untilMs) {
        const logs = this.#lives.map((life) => `--- ${life.name}\n${life.log.slice(-2_000)}`).join("\n");
        throw new Error(`${name} does not quote; ${wire.leader} does\n${logs}`);
      }
      await Bun.sleep(20);
    }
  }

  /** Options' positions that the process which serves HTTP has otherwise than the counterparty, once fills under way have come. */
  async differences(): Promise<string[]> {
    let found: string[] = [];
    for (let attempt = 0; attempt < 400; attempt += 1) {
      const [{ positions }, own] = await Promise.all([
        this.peer(),
        this.get<{ positions: { venue: string; symbol: string; lots: number }[] }>("/positions"),
      ]);
      const lots = new Map((own?.positions ?? []).map((each) => [`${each.venue}:${each.symbol}`, each.lots]));
      found = Object.entries(positions).flatMap(([key, size]) => {
        const had = (lots.get(key) ?? 0) * 0.1;
        const same = /-[CP]$/.test(key) ? Math.abs(had - size) < 1e-9 : Math.sign(had) === Math.sign(size);
        return same ? [] : [`${key}: counterparty ${size}, keel ${had}`];
      });
      if (found.length === 0) break;
      await Bun.sleep(50);
    }
    return found;
  }

  /** What was wrong on the wire since the last call. */
  problems(): string[] {
    const { late, reused } = this.wire;
    return [
      ...late
        .splice(0)
        .map(({ who, type, seq }) => `${who} sent ${type} ${seq} after another one had taken over`),
      ...reused.splice(0).map(({ who, type, seq }) => `${who} used ${seq} again for ${type}`),
    ];
  }

  /** A verb of keel on this host. */
  async verb(...args: readonly string[]): Promise<{ readonly exitCode: number; readonly output: string }> {
    const child = Bun.spawn([process.execPath, main, ...args], {
      ...{ stdin: "ignore", stdout: "pipe", stderr: "pipe", env: { ...inherited(), ...this.environment } },
    });
    const [out, problems, exitCode] = await Promise.all([
      child.stdout.text(),
      child.stderr.text(),
      child.exited,
    ]);
    return { exitCode, output: out + problems };
  }

  async stop(): Promise<void> {
    for (const life of this.#lives) if (life.running) await life.end("SIGKILL");
    for (const { fix } of this.#lives) fix.stop();
    this.#peer?.kill("SIGKILL");
    await this.simulation.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** What finds the compiler and the kernels that it has made. */
function inherited(): Record<string, string> {
  const { PATH = "", HOME = "", XDG_CACHE_HOME = "" } = process.env;
  return { PATH, HOME, ...(XDG_CACHE_HOME === "" ? {} : { XDG_CACHE_HOME }) };
}
