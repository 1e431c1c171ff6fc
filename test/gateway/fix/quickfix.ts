import { existsSync } from "node:fs";
import { join } from "node:path";
import type { FixVersion } from "../../../src/gateway/fix/tags.ts";

const ROOT = join(import.meta.dir, "../../..");

/** Where `bun run interop:install` puts QuickFIX's Python binding. */
export const QUICKFIX_VENV = join(ROOT, "node_modules/.cache/keel/quickfix");

const PINNED = "quickfix==1.16.0";

/** Installs QuickFIX from the Python package index; its C++ sources are compiled, which takes some minutes. */
export function installQuickFix(): void {
  const run = (...command: string[]): void => {
    const { exitCode, stderr } = Bun.spawnSync(command, { stdout: "inherit" });
    if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr.toString()}`);
  };
  run("python3", "-m", "venv", QUICKFIX_VENV);
  run(join(QUICKFIX_VENV, "bin/pip"), "install", "--quiet", PINNED);
}

function dictionary(version: FixVersion): string | undefined {
  const name = `FIX${version.replace(".", "")}.xml`;
  return [join(ROOT, "../shared/vectors", name), join("/usr/share/quickfix", name)].find((path) =>
    existsSync(path),
  );
}

/** Why there is no QuickFIX to speak with here; null when there is one. */
export function whyNoQuickFix(): string | null {
  const python = join(QUICKFIX_VENV, "bin/python");
  if (!existsSync(python)) return "QuickFIX is not installed (bun run interop:install)";
  if (Bun.spawnSync([python, "-c", "import quickfix"]).exitCode !== 0) return "QuickFIX cannot be loaded";
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

if (import.meta.main) installQuickFix();
