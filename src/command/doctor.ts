import { type Config, ConfigError, loadConfig } from "../config.ts";
import { EXIT } from "../core/errors.ts";
import { defineCommand, type Environment, type Output } from "./command.ts";
import type { Check, CheckContext, CheckStatus, Finding } from "./doctor/check.ts";

export const doctor = defineCommand({
  name: "doctor",
  summary: "Check configuration, venues, counterparty, clock, disk, limits, devices and model",
  usage: "[--offline] [--variables]",
  details: `Nothing is changed but for a test file that is written and removed. Exit code 0 when nothing failed (warnings do not
count), 1 when something did, 2 when the configuration is bad.

The result holds \`ok\`, \`failed\`, \`warned\` and \`findings\`: area, subject, status (ok, warn, fail), detail, advice.`,
  options: {
    offline: { type: "boolean", description: "Do not connect to venues, counterparty and signals" },
    variables: {
      type: "boolean",
      description: "Print the table of environment variables, in Markdown, and end",
    },
  },
  environment: false,
  async run({ options, env, out }) {
    if (options.variables) {
      const { variableTable } = await import("../config/table.ts");
      out.line(variableTable());
      return EXIT.ok;
    }
    const config = readConfig(env);
    const found =
      config instanceof ConfigError ? configFindings(config) : await examine({ config, env, ...options });
    report(out, found);
    if (config instanceof ConfigError) return EXIT.badConfiguration;
    return count(found, "fail") === 0 ? EXIT.ok : EXIT.failed;
  },
});

function readConfig(env: Environment): Config | ConfigError {
  try {
    return loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
}

function configFindings({ problems }: ConfigError): Finding[] {
  return problems.map(({ name, found, expected }) => ({
    area: "config",
    subject: name,
    status: "fail",
    detail: `found ${found === null ? "nothing" : JSON.stringify(found)}`,
    advice: `expected ${expected}`,
  }));
}

async function examine(context: CheckContext): Promise<Finding[]> {
  const set = Object.keys(context.env).filter((name) => name.startsWith("KEEL_") && context.env[name] !== "");
  const config: Finding = {
    area: "config",
    subject: "environment",
    status: "ok",
    detail: `${set.length} KEEL_… variables set, all of them good`,
    advice: "",
  };
  const found = await Promise.all((await checks()).map((check) => examineOne(check, context)));
  return [config, ...found.flat()];
}

async function checks(): Promise<readonly Check[]> {
  const { fix, http, signal } = await import("./doctor/network.ts");
  return [
    (await import("./doctor/venues.ts")).venues,
    (await import("./doctor/instruments.ts")).instruments,
    signal,
    fix,
    http,
    (await import("./doctor/failover.ts")).failover,
    (await import("./doctor/kill-switch.ts")).killSwitch,
    (await import("./doctor/kernel-clock.ts")).kernelClock,
    (await import("./doctor/disk.ts")).disk,
    (await import("./doctor/limits.ts")).limits,
    (await import("./doctor/host-latency.ts")).hostLatency,
    (await import("./doctor/devices.ts")).devices,
  ];
}

async function examineOne(check: Check, context: CheckContext): Promise<Finding[]> {
  try {
    return await check.run(context);
  } catch (error) {
    const detail = `the check itself failed: ${error instanceof Error ? error.message : String(error)}`;
    return [{ area: check.area, subject: check.area, status: "fail", detail, advice: "" }];
  }
}

function count(found: readonly Finding[], status: CheckStatus): number {
  return found.filter((finding) => finding.status === status).length;
}

function report(out: Output, found: readonly Finding[]): void {
  const width = Math.max(...found.map(({ subject }) => subject.length));
  for (const { area, subject, status, detail, advice } of found) {
    out.line(`${status.padEnd(4)}  ${area.padEnd(7)} ${subject.padEnd(width)}  ${detail}`);
    if (advice !== "") out.line(`${" ".repeat(width + 15)}→ ${advice}`);
  }
  const failed = count(found, "fail");
  const warned = count(found, "warn");
  out.line();
  out.line(`${found.length - failed - warned} ok, ${warned} warned, ${failed} failed`);
  out.result({ ok: failed === 0, failed, warned, findings: found });
}
