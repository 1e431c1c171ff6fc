import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { LatencySection } from "../../../src/monitor/dashboard/protocol.ts";
import type { RunSummary } from "../../../src/monitor/summary.ts";

const main = join(import.meta.dir, "../../../src/main.ts");
const ANSWER_MS = 5_000;
const LOG_CHARACTERS = 20_000;

/** What a process keeps, as the kernel tells it. */
export interface Memory {
  readonly residentBytes: number;
  /** Of these, what stands for no file: heaps, stacks, buffers. */
  readonly anonymousBytes: number;
  /** Shared memory that the desk publishes in: it is filled once, then written over. */
  readonly sharedBytes: number;
  readonly threads: number;
  readonly descriptors: number;
}

/** Samples of `/metrics` by name with labels, as they are written there. */
export class Samples {
  readonly #values = new Map<string, number>();

  constructor(exposition: string) {
    for (const line of exposition.split("\n")) {
      if (line === "" || line.startsWith("#")) continue;
      const space = line.lastIndexOf(" ");
      this.#values.set(line.slice(0, space), Number(line.slice(space + 1)));
    }
  }

  /** The sum over the samples of a family whose labels hold `part`; 0 when there are none. */
  sum(family: string, part = ""): number {
    let sum = 0;
    for (const [name, value] of this.#values) {
      const isOfFamily = name === family || name.startsWith(`${family}{`);
      if (isOfFamily && name.includes(part)) sum += value;
    }
    return sum;
  }

  /** The greatest sample of a family; NaN when there is none. */
  max(family: string): number {
    let max = Number.NaN;
    for (const [name, value] of this.#values) {
      if (name.startsWith(`${family}{`) && !(max >= value)) max = value;
    }
    return max;
  }

  has(family: string): boolean {
    return [...this.#values.keys()].some((name) => name === family || name.startsWith(`${family}{`));
  }
}

/** A `keel run` of its own. */
export class DeskProcess {
  readonly name: string;
  /** The end of what it wrote to standard error. */
  log = "";
  readonly #httpPort: number;
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #stdout: Promise<string>;

  constructor(
    name: string,
    httpPort: number,
    environment: Readonly<Record<string, string>>,
    launcher: readonly string[],
  ) {
    this.name = name;
    this.#httpPort = httpPort;
    const inherited = Object.entries(process.env).filter(([variable]) => !variable.startsWith("KEEL_"));
    this.#child = Bun.spawn([...launcher, process.execPath, main, "run", "--json"], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...Object.fromEntries(inherited), ...environment, KEEL_HTTP: `127.0.0.1:${httpPort}` },
    });
    this.#stdout = new Response(this.#child.stdout).text();
    void this.#read(this.#child.stderr);
  }

  get base(): string {
    return `http://127.0.0.1:${this.#httpPort}`;
  }

  get exitCode(): number | null {
    return this.#child.exitCode;
  }

  /** Waits until it quotes. @throws Error with the end of its log when it ends or does not come so far */
  async ready(withinMs: number): Promise<void> {
    const deadlineMs = performance.now() + withinMs;
    let waiting = "";
    for (;;) {
      if (this.exitCode !== null)
        throw new Error(`${this.name} ended with exit code ${this.exitCode}: ${this.log}`);
      try {
        const response = await fetch(`${this.base}/readyz`, { signal: AbortSignal.timeout(ANSWER_MS) });
        if (response.ok) return;
        waiting = await response.text();
      } catch {
        waiting = "does not answer";
      }
      if (performance.now() > deadlineMs)
        throw new Error(`${this.name} is not ready: ${waiting}\n${this.log}`);
      await Bun.sleep(100);
    }
  }

  async get<T>(path: string): Promise<T> {
    const response = await fetch(this.base + path, { signal: AbortSignal.timeout(ANSWER_MS) });
    return (await response.json()) as T;
  }

  async samples(): Promise<Samples> {
    const response = await fetch(`${this.base}/metrics`, { signal: AbortSignal.timeout(ANSWER_MS) });
    return new Samples(await response.text());
  }

  /** Latencies by stage of the last ten seconds, where this is called every two seconds at least. */
  async latency(): Promise<LatencySection> {
    const { sections } = await this.get<{ sections: { latency: LatencySection } }>(
      "/dashboard/view?sections=latency",
    );
    return sections.latency;
  }

  memory(): Memory {
    const folder = `/proc/${this.#child.pid}`;
    const rollup = readFileSync(`${folder}/smaps_rollup`, "utf8");
    const status = readFileSync(`${folder}/status`, "utf8");
    const bytes = (name: string): number =>
      1_024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(rollup)?.[1] ?? Number.NaN);
    return {
      residentBytes: bytes("Rss"),
      anonymousBytes: bytes("Anonymous"),
      sharedBytes: bytes("Pss_Shmem"),
      threads: Number(/^Threads:\s+(\d+)/m.exec(status)?.[1]),
      descriptors: readdirSync(`${folder}/fd`).length,
    };
  }

  /** Ends it in order. @returns what it told of its run */
  async stop(): Promise<RunSummary> {
    this.#child.kill("SIGTERM");
    const last = (await this.#stdout).trimEnd().split("\n").at(-1) ?? "";
    const code = await this.#child.exited;
    if (code !== 0) throw new Error(`${this.name} ended with exit code ${code}: ${this.log}`);
    return JSON.parse(last) as RunSummary;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) this.log = (this.log + decoder.decode(chunk)).slice(-LOG_CHARACTERS);
  }
}
