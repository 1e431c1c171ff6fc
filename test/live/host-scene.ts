import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../support/services.ts";

export const MAIN = join(import.meta.dir, "../../src/main.ts");

export interface Running {
  readonly child: Bun.Subprocess<"ignore", "ignore", "pipe">;
  readonly port: number;
  readonly get: (path: string) => Promise<string>;
  readonly metric: (name: string) => Promise<number>;
  /** What the process has logged so far. */
  readonly log: () => string;
  /** Waits until it holds. @throws Error naming it when it does not in time */
  readonly until: (what: string, holds: () => Promise<boolean>) => Promise<void>;
}

/** Faults that are tried at one time: each waits more than it computes. */
const AT_ONCE = 2;
let open = 0;
const waiting: (() => void)[] = [];

/** A folder and the processes of one fault, which end with it. */
export class HostScene implements AsyncDisposable {
  readonly root = mkdtempSync(join(tmpdir(), "keel-host-faults-"));
  /** What is undone at the end, the last first. */
  readonly ends: (() => unknown)[] = [];

  private constructor() {}

  /** Waits until it may begin. */
  static async enter(): Promise<HostScene> {
    while (open >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
    open += 1;
    return new HostScene();
  }

  /** @param prefix what the process is started by, such as a shell that takes file descriptors away */
  start(
    env: Record<string, string>,
    prefix: readonly string[] = [],
    verb: readonly string[] = ["demo", "--seconds", "120"],
  ): Running {
    const port = freePort();
    const child = Bun.spawn([...prefix, process.execPath, MAIN, ...verb], {
      env: {
        PATH: process.env.PATH ?? "",
        KEEL_STATE_DIR: join(this.root, "state"),
        KEEL_HTTP: `127.0.0.1:${port}`,
        KEEL_WARM_UP_MS: "100",
        // A host that is short of processor time is no fault of what is tested.
        KEEL_SHED: "off",
        KEEL_SILENCE_MS: "60000",
        ...env,
      },
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    this.ends.push(async () => {
      child.kill("SIGTERM");
      await child.exited;
    });
    let logged = "";
    void (async () => {
      for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) logged += text;
    })();
    const get = (path: string) =>
      fetch(`http://127.0.0.1:${port}${path}`, { method: path === "/reset" ? "POST" : "GET" }).then(
        (answer) => answer.text(),
        () => "",
      );
    const metric = async (name: string): Promise<number> => {
      const line = (await get("/metrics")).split("\n").find((text) => text.startsWith(`${name} `));
      return line === undefined ? Number.NaN : Number(line.slice(name.length + 1));
    };
    const until = async (what: string, holds: () => Promise<boolean>): Promise<void> => {
      const untilMs = performance.now() + 60_000;
      while (performance.now() < untilMs) {
        if (await holds()) return;
        await Bun.sleep(100);
      }
      throw new Error(`not within 60 s: ${what}\n${logged.slice(-2_000)}`);
    };
    return { child, port, get, metric, log: () => logged, until };
  }

  /** Addresses of simulated venues. */
  async venues(): Promise<Record<string, string>> {
    const child = Bun.spawn([process.execPath, MAIN, "venue", "--simulate", "binance-usdm,deribit"], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "ignore",
    });
    this.ends.push(() => child.kill("SIGTERM"));
    let text = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if (text.split("\n").length > 2) break;
    }
    return Object.fromEntries(
      [...text.matchAll(/^(KEEL_URL_\w+)=(\S+)$/gm)].map(([, name, url]) => [name, url]),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      for (const end of this.ends.reverse()) await end();
      rmSync(this.root, { recursive: true, force: true });
    } finally {
      open -= 1;
      waiting.shift()?.();
    }
  }
}
