import { EXIT } from "../core/errors.ts";
import { defineCommand, UsageError } from "./command.ts";

export const run = defineCommand({
  name: "run",
  summary: "Quote: take in market data, price, predict, and send quotes until stopped",
  usage: "[--seconds N] [--handover [--detach]]",
  details: `Configured by environment only; see the README's table, and \`keel doctor\` to check it. SIGTERM and SIGINT cancel all
quotes, log out and end with exit code 0. When no venue has sent anything by the end of --seconds the exit code is 3. SIGUSR1 trips the kill switch: everything is cancelled and nothing is quoted, also
after a restart, until it is reset by \`POST /reset\` (KEEL_HTTP).

--handover takes the place of the process that runs with the same
KEEL_STATE_DIR: it warms up beside it, and when it could quote the running
one cancels its quotes, logs out and ends with exit code 0. Where this one
is not ready within KEEL_HANDOVER_WAIT_MS, or is an earlier version, it
ends with exit code 1 and the running one goes on. --detach leaves the new
process behind and ends when it has taken over, for a service manager's
reload. See docs/upgrades.md.

The result holds \`frames\`, \`events\`, \`levelUpdates\`, \`gaps\`, \`crossed\`, \`resyncs\`, \`quotesSent\`, \`quotesAcked\`, \`widened\`,
\`reasons\`, \`latencyUs\` by stage, \`load\` by stage, \`startToFirstQuoteMs\`, \`rssMb\` and more.`,
  options: {
    seconds: { type: "number", value: "N", min: 0.1, description: "Stop after this time" },
    handover: { type: "boolean", description: "Take the place of the running process" },
    detach: { type: "boolean", description: "With --handover: end when a process of its own has taken over" },
  },
  environment: true,
  async run({ options, config, log, out, shutdown }) {
    const { requireFeeds } = await import("../config.ts");
    requireFeeds(config);
    if (options.detach) {
      if (!options.handover) throw new UsageError("run: --detach is for --handover");
      const { detached } = await import("./run/detached.ts");
      return detached(config.stateDir, shutdown);
    }
    const { runUntilEnded } = await import("./run/lives.ts");
    const summary = await runUntilEnded({ ...options, config, log, shutdown });
    const { summaryLines } = await import("../monitor/summary-text.ts");
    for (const line of summaryLines(summary)) out.line(line);
    out.result(summary);
    if (summary.frames > 0 || shutdown.aborted) return EXIT.ok;
    log.error("no frame came from any venue");
    return EXIT.unreachable;
  },
});
