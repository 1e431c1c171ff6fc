import { EXIT, type ExitCode } from "../core/errors.ts";
import { defineCommand, UsageError } from "./command.ts";

const ACTIONS = ["status", "switch"] as const;

export const failover = defineCommand({
  name: "failover",
  summary: "Show who of a pair leads, or give the lead to the other one",
  usage: "status | switch --url URL [--force]",
  details: `Of a pair (KEEL_LEASE_URL) one process leads: it alone speaks to the
counterparty. \`status\` tells what the process at --url is, and without
--url who holds the lease. \`switch\` has the leader at --url cancel
everything, log out and give the lease back; it is refused while nobody
follows that has everything and could quote, unless --force is given.
See docs/failover.md.

The result is the process's report, or holds \`holder\`, \`token\`,
\`remainingMs\` and \`numbers\` of the lease. Exit code 1: refused; 3: not
reached.`,
  options: {
    url: {
      type: "string",
      value: "URL",
      description: "A running process's KEEL_HTTP, e.g. http://127.0.0.1:9464 or unix:/path",
    },
    force: { type: "boolean", description: "switch: also where nobody is ready to lead" },
  },
  positionals: ["ACTION"],
  environment: true,
  async run({ options, positionals, config, out }): Promise<ExitCode> {
    const given = positionals[0] ?? "";
    const action = ACTIONS.find((known) => known === given);
    if (action === undefined) {
      throw new UsageError(`failover: found ${JSON.stringify(given)}, expected one of ${ACTIONS.join(", ")}`);
    }
    const { url, force } = options;
    const { lease, report, reportLines, switchLead } = await import("./failover/running.ts");
    const { RunningProcess } = await import("./running-process.ts");
    if (action === "switch") {
      if (url === undefined) throw new UsageError("failover switch: --url of the leader is missing");
      const result = await switchLead(new RunningProcess(url, config), force);
      out.line("the lead has been given up");
      out.result(result);
      return EXIT.ok;
    }
    if (url !== undefined) {
      const found = await report(new RunningProcess(url, config));
      for (const line of reportLines(found)) out.line(line);
      out.result(found);
      return EXIT.ok;
    }
    if (config.failover === undefined) {
      throw new UsageError("failover status: neither --url nor KEEL_LEASE_URL is given");
    }
    const { leaseService } = await import("../failover/service.ts");
    const service = leaseService(config.failover.lease, config.timeouts.requestMs);
    const view = await lease(service);
    out.line(
      view.holder === null
        ? "nobody holds the lease"
        : `${view.holder} holds the lease, for ${view.remainingMs} ms unless renewed`,
    );
    out.line(`term ${view.token}`);
    out.result(view);
    return EXIT.ok;
  },
});
