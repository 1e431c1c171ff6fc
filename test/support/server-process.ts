import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A server of a test's own: a folder, and a process that ends at once when it is stopped. Its folder outlives a restart. */
export abstract class ServerProcess {
  protected readonly folder: string;
  #child: Bun.Subprocess | null = null;

  constructor(name: string) {
    this.folder = mkdtempSync(join(tmpdir(), `keel-${name}-`));
  }

  /** Starts it, and waits until it answers. @throws Error when it does not */
  abstract start(): Promise<void>;

  /** Starts it where it does not run: a test that runs out of time has the processes ended that were begun before it. */
  async up(): Promise<void> {
    if (this.#child === null || this.#child.exitCode !== null || this.#child.signalCode !== null)
      await this.start();
  }

  async stop(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#child?.exited;
    this.#child = null;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** @param logFile takes what it writes to its standard output */
  protected spawn(
    command: readonly string[],
    { logFile, env }: { readonly logFile?: string; readonly env?: Record<string, string | undefined> } = {},
  ): Bun.Subprocess {
    const child = Bun.spawn([...command], {
      stdout: logFile === undefined ? "ignore" : Bun.file(logFile),
      stderr: "ignore",
      ...(env === undefined ? {} : { env }),
    });
    this.#child = child;
    return child;
  }
}
