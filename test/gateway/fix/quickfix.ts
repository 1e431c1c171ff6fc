import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { FixVersion } from "../../../src/gateway/fix/tags.ts";

const ROOT = join(import.meta.dir, "../../..");

/** Where `bun run interop:install` puts QuickFIX's Python binding. */
export const QUICKFIX_VENV = join(ROOT, "node_modules/.cache/keel/quickfix");

const PINNED = "quickfix==1.16.0";

/** Unoptimised it compiles in a fraction of the time, and nothing is measured with it. */
const COMPILER_FLAGS = "-O0 -g0";

/**
 * Installs QuickFIX from the Python package index, unless it is there; its C++ sources are compiled, which takes minutes.
 *
 * @returns why it could not be installed; null when it is there
 */
export function installQuickFix(timeoutMs: number): string | null {
  if (isInstalled()) return null;
  const untilMs = Date.now() + timeoutMs;
  const run = (...command: string[]): string | null => {
    if (Bun.which(command[0] ?? "") === null) return `no ${command[0]}`;
    const timeout = Math.max(untilMs - Date.now(), 1);
    const env = { ...process.env, CFLAGS: COMPILER_FLAGS, CXXFLAGS: COMPILER_FLAGS };
    const { exitCode, exitedDueToTimeout, stderr } = Bun.spawnSync(command, {
      stdout: "inherit",
      timeout,
      env,
    });
    if (exitedDueToTimeout === true) return `not done within ${timeoutMs / 1_000} s`;
    if (exitCode === 0) return null;
    return `${command.slice(0, 3).join(" ")}: ${stderr.toString().trim().split("\n").at(-1)}`;
  };
  const why =
    run("python3", "-m", "venv", QUICKFIX_VENV) ??
    run(join(QUICKFIX_VENV, "bin/pip"), "install", "--quiet", "--disable-pip-version-check", PINNED);
  // A half-made environment must not pass for an installation.
  if (why !== null) rmSync(QUICKFIX_VENV, { recursive: true, force: true });
  return why;
}

function isInstalled(): boolean {
  const python = join(QUICKFIX_VENV, "bin/python");
  return existsSync(python) && Bun.spawnSync([python, "-c", "import quickfix"]).exitCode === 0;
}

function dictionary(version: FixVersion): string | undefined {
  const name = `FIX${version.replace(".", "")}.xml`;
  return [join(ROOT, "../shared/vectors", name), join("/usr/share/quickfix", name)].find((path) =>
    existsSync(path),
  );
}

/** Why there is no QuickFIX to speak with here; null when there is one. */
export function whyNoQuickFix(): string | null {
  if (!isInstalled()) return "QuickFIX is not installed (bun run interop:install)";
  return dictionary("4.4") === undefined || dictionary("4.2") === undefined
    ? "no FIX42.xml and FIX44.xml for QuickFIX"
    : null;
}

export interface QuickFixEvent {
  readonly event: string;
  readonly message: string;
}

/** A QuickFIX engine in a process of its own. */
export class QuickFixPeer {
  readonly events: QuickFixEvent[] = [];
  readonly #process: Bun.Subprocess<"pipe", "pipe", "inherit">;

  constructor(role: "initiator" | "acceptor", version: FixVersion, port: number, folder: string) {
    this.#process = Bun.spawn(
      [
        join(QUICKFIX_VENV, "bin/python"),
        join(import.meta.dir, "quickfix-peer.py"),
        ...[role, version, String(port), folder, dictionary(version) ?? ""],
      ],
      { stdin: "pipe", stdout: "pipe", stderr: "inherit" },
    );
    void this.#read();
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of this.#process.stdout) {
      text += decoder.decode(chunk, { stream: true });
      const lines = text.split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) {
        const { event, message = "" } = JSON.parse(line) as { event: string; message?: string };
        this.events.push({ event, message });
      }
    }
  }

  /** Messages of the application, or what the session itself sent or got, that hold all of these fields. */
  find(event: string, ...fields: string[]): string[] {
    return this.events
      .filter(
        (seen) => seen.event === event && fields.every((field) => `|${seen.message}`.includes(`|${field}|`)),
      )
      .map(({ message }) => message);
  }

  /** Sends a message: MsgType and body, fields separated by `|`. */
  send(body: string): void {
    this.#process.stdin.write(`${JSON.stringify({ send: body })}\n`);
    this.#process.stdin.flush();
  }

  async stop(): Promise<void> {
    this.#process.stdin.write(`${JSON.stringify({ stop: true })}\n`);
    this.#process.stdin.flush();
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), 3_000);
    await this.#process.exited;
    clearTimeout(timer);
  }
}

if (import.meta.main) {
  const why = installQuickFix(Number(process.argv[2] ?? 900) * 1_000);
  if (why !== null) {
    console.error(`QuickFIX is not installed, tests with it are skipped: ${why}`);
    process.exit(1);
  }
}
