import { EXIT } from "../core/errors.ts";
import { defineCommand } from "./command.ts";

export const run = defineCommand({
  name: "run",
  summary: "Quote: take in market data, price, predict, and send quotes until stopped",
  usage: "[--seconds N]",
  details: `Configured by environment only; see the README's table, and \`keel doctor\` to check it. SIGTERM and SIGINT cancel all
quotes, log out and end with exit code 0. When no venue has sent anything by the end of --seconds the exit code is 3. SIGUSR1 trips the kill switch: everything is cancelled and nothing is quoted, also
after a restart, until it is reset by \`POST /reset\` (KEEL_HTTP).

The result holds \`frames\`, \`events\`, \`levelUpdates\`, \`gaps\`, \`crossed\`, \`resyncs\`, \`quotesSent\`, \`quotesAcked\`, \`widened\`,
\`reasons\`, \`latencyUs\` by stage, \`startToFirstQuoteMs\`, \`rssMb\` and more.`,
  options: {
    seconds: { type: "number", value: "N", min: 0.1, description: "Stop after this time" },
  },
  environment: true,
  async run({ options, config, log, out, shutdown }) {
    const { requireFeeds } = await import("../config.ts");
    requireFeeds(config);
    const { systemClock } = await import("../core/clock.ts");
    const { Session } = await import("../live/session.ts");
    const { stopped } = await import("../live/stopped.ts");
    const session = await Session.start({ config, log, clock: systemClock });
    await stopped(shutdown, options.seconds);
    const summary = await session.stop();
    const { summaryLines } = await import("../monitor/summary-text.ts");
    for (const line of summaryLines(summary)) out.line(line);
    out.result(summary);
    if (summary.frames > 0 || shutdown.aborted) return EXIT.ok;
    log.error("no frame came from any venue");
    return EXIT.unreachable;
  },
});
