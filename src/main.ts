import { runCommandLine } from "./command/cli.ts";
import { endStream } from "./command/output.ts";

const shutdown = new AbortController();
let installed = false;

/** Signals are taken over only when a command looks at them; until then they end the process as usual. */
function takeSignals(): AbortSignal {
  if (!installed) {
    installed = true;
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.on(signal, () => {
        if (shutdown.signal.aborted) process.exit(1);
        shutdown.abort(signal);
      });
    }
  }
  return shutdown.signal;
}

// A reader that has gone away (`keel … | head`) is no failure of keel.
process.stdout.on("error", () => process.exit(0));

const exitCode = await runCommandLine(process.argv.slice(2), {
  env: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
  get shutdown() {
    return takeSignals();
  },
});
await endStream(process.stdout);
await endStream(process.stderr);
process.exit(exitCode);
