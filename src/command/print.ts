import packageJson from "../../package.json";
import { EXIT } from "../core/errors.ts";
import { BUILD } from "../core/executable.ts";
import { defineCommand, UsageError } from "./command.ts";

/** Where a binary that is not running is expected. */
const INSTALLED = "/usr/local/bin/keel";

export const print = defineCommand({
  name: "print",
  summary: "Print what others build on: schemas, units, alert rules, a dashboard, the manual",
  usage: "WHAT [NAME] [options]",
  details: `api          what clients of the JSON gateway may send (\`client\`) and are sent (\`server\`), as JSON Schema
unit [NAME]  a systemd unit: keel.service (default), keel-retrain.service, keel-retrain.timer or keel-retrain.path;
             or handover.conf for keel.service.d: \`systemctl reload keel\` then replaces the running version
alerts       rules for Prometheus: \`rule_files\` of its configuration; docs/runbooks.md tells what to do about each
grafana      a dashboard for Grafana, as it imports it
man          the manual page: \`keel print man > /usr/local/share/man/man1/keel.1\`

The schema is of draft 2020-12 and made from the definitions that check the messages. A unit is made for this executable and the
KEEL_… variables of the environment: secret files become credentials, folders become writable.`,
  options: {
    binary: {
      type: "string",
      value: "PATH",
      description: "unit: where the executable is; default: this one",
    },
    gpu: { type: "boolean", description: "unit: leave the graphics devices within reach" },
  },
  positionals: ["WHAT", "NAME?"],
  environment: false,
  async run({
    positionals: [what, name],
    options: { gpu, binary = BUILD === undefined ? INSTALLED : process.execPath },
    env,
    out,
  }) {
    switch (what) {
      case "api": {
        const { apiSchema } = await import("../gateway/json/messages.ts");
        const schema = apiSchema();
        out.line(JSON.stringify(schema, null, 2));
        out.result(schema);
        return EXIT.ok;
      }
      case "unit": {
        const { unit, UNITS, UNIT_NAMES } = await import("./print/unit.ts");
        const found = UNIT_NAMES.find((known) => known === (name ?? UNITS[0]));
        if (found === undefined) {
          throw new UsageError(
            `print unit: found ${JSON.stringify(name)}, expected one of ${UNIT_NAMES.join(", ")}`,
          );
        }
        const text = unit(found, { binary, env, gpu });
        out.raw(text);
        out.result({ name: found, text });
        return EXIT.ok;
      }
      case "alerts": {
        const { ruleFile, ruleFileText } = await import("./print/alerts.ts");
        out.raw(ruleFileText());
        out.result(ruleFile());
        return EXIT.ok;
      }
      case "grafana": {
        const { grafanaDashboard } = await import("./print/grafana.ts");
        const dashboard = grafanaDashboard();
        out.line(JSON.stringify(dashboard, null, 2));
        out.result(dashboard);
        return EXIT.ok;
      }
      case "man": {
        const text = await manual();
        out.raw(text);
        out.result({ text });
        return EXIT.ok;
      }
      default:
        throw new UsageError(
          `print: found ${JSON.stringify(what)}, expected api, unit, alerts, grafana or man`,
        );
    }
  },
});

async function manual(): Promise<string> {
  const { manPage } = await import("./print/man.ts");
  const { VERBS } = await import("./verbs.ts");
  const commands = await Promise.all(Object.values(VERBS).map((load) => load()));
  return manPage({ version: packageJson.version, date: BUILD?.date?.slice(0, 10) ?? "", commands });
}
