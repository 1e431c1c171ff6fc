import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { ruleFileText } from "../../src/command/print/alerts.ts";
import { grafanaDashboard } from "../../src/command/print/grafana.ts";
import { Webhook } from "../../src/monitor/alerts/webhook.ts";
import { freePort } from "../support/services.ts";

const tools = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "keel-test/monitoring");
const promtool = Bun.which("promtool") ?? join(tools, "promtool");
const alertmanager = join(tools, "prometheus-alertmanager");
/** Shows Alertmanager its templates where it looks for them, in a file system of its own. */
const START_ALERTMANAGER = `
  mount -t tmpfs none /usr/share && mkdir -p /usr/share/prometheus && cp -r "$0/templates" /usr/share/prometheus/alertmanager &&
  exec "$0/prometheus-alertmanager" "$@"`;
const MAIN = join(import.meta.dir, "../../src/main.ts");
const folder = mkdtempSync(join(tmpdir(), "keel-prometheus-"));
afterAll(() => rmSync(folder, { recursive: true }));

for (const tool of [promtool, alertmanager]) {
  if (!existsSync(tool))
    console.warn(`skipped: ${tool} is not there (test/support/install-monitoring.sh fetches it)`);
}

test.skipIf(!existsSync(promtool))("Prometheus takes the rules", () => {
  const path = join(folder, "rules.yml");
  writeFileSync(path, ruleFileText());
  const { exitCode, stdout, stderr } = Bun.spawnSync([promtool, "check", "rules", path]);
  expect([exitCode, stderr.toString()]).toEqual([0, ""]);
  expect(stdout.toString()).toContain("SUCCESS: ");
});

test.skipIf(!existsSync(promtool))("Prometheus understands every question of the Grafana dashboard", () => {
  const expressions: string[] = [];
  JSON.stringify(grafanaDashboard(), (key, value: unknown) => {
    if (key === "expr") expressions.push(String(value));
    return value;
  });
  expect(expressions.length).toBeGreaterThan(40);
  const rules = expressions.map((expression, at) => ({
    record: `keel:panel:${at}`,
    expr: expression.replaceAll("$__rate_interval", "1m").replaceAll("$instance", ".+"),
  }));
  expect(rules.filter(({ expr }) => expr.includes("$"))).toEqual([]);
  const path = join(folder, "panels.yml");
  // JSON is YAML.
  writeFileSync(path, JSON.stringify({ groups: [{ name: "panels", rules }] }));
  const { exitCode, stderr } = Bun.spawnSync([promtool, "check", "rules", path]);
  expect([exitCode, stderr.toString()]).toEqual([0, ""]);
});

test.skipIf(!existsSync(promtool))(
  "Prometheus finds nothing to say against the metrics of a running desk",
  async () => {
    const port = freePort();
    const desk = Bun.spawn([process.execPath, MAIN, "demo", "--seconds", "120"], {
      env: {
        KEEL_STATE_DIR: join(folder, "state"),
        KEEL_JOURNAL_DIR: join(folder, "journal"),
        KEEL_HTTP: `127.0.0.1:${port}`,
      },
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
    try {
      let text = "";
      for (let i = 0; i < 900 && !/keel_quote_sent_total [1-9]/.test(text); i += 1) {
        await Bun.sleep(100);
        text = await fetch(`http://127.0.0.1:${port}/metrics`).then(
          (answer) => answer.text(),
          () => "",
        );
      }
      const { exitCode, stdout, stderr } = Bun.spawnSync([promtool, "check", "metrics"], {
        stdin: Buffer.from(text),
      });
      expect([exitCode, stdout.toString() + stderr.toString()]).toEqual([0, ""]);
      const firing = await fetch(`http://127.0.0.1:${port}/alerts`).then((answer) => answer.json());
      expect(firing).toBeArray();
    } finally {
      desk.kill("SIGTERM");
      await desk.exited;
    }
  },
);

const isConfinable = Bun.spawnSync(["unshare", "-rm", "true"], { stderr: "ignore" }).exitCode === 0;
if (!isConfinable) console.warn("skipped: this host has no user namespaces, which Alertmanager's test needs");
test.skipIf(!existsSync(alertmanager) || !isConfinable)(
  "Alertmanager takes alerts and their end",
  async () => {
    const port = freePort();
    const config = join(folder, "alertmanager.yml");
    writeFileSync(config, "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n");
    const server = Bun.spawn(
      [
        "unshare",
        "-rm",
        "sh",
        "-c",
        START_ALERTMANAGER,
        tools,
        `--config.file=${config}`,
        `--storage.path=${join(folder, "alertmanager")}`,
        `--web.listen-address=127.0.0.1:${port}`,
        "--cluster.listen-address=",
      ],
      { stdin: "ignore", stdout: "ignore", stderr: "ignore" },
    );
    const api = `http://127.0.0.1:${port}/api/v2/alerts`;
    const active = async (): Promise<{ labels: Record<string, string> }[]> =>
      fetch(api).then(
        (answer) => answer.json() as Promise<{ labels: Record<string, string> }[]>,
        () => [],
      );
    const until = async (count: number) => {
      for (let i = 0; i < 900; i += 1) {
        const alerts = await active();
        if (alerts.length === count) return alerts;
        await Bun.sleep(50);
      }
      return active();
    };
    try {
      for (
        let i = 0;
        i < 900 &&
        !(await fetch(api).then(
          (answer) => answer.ok,
          () => false,
        ));
        i += 1
      )
        await Bun.sleep(50);
      const webhook = new Webhook({
        url: api,
        token: undefined,
        instance: "host",
        timeoutMs: 30_000,
        repeatMs: 60_000,
      });
      const nowUs = Date.now() * 1_000;
      const alert = {
        name: "KeelKilled",
        severity: "critical",
        summary: "killed",
        labels: {},
        value: 1,
        startsUs: nowUs,
      } as const;
      webhook.take([{ ...alert, endsUs: null }], nowUs);
      expect((await until(1)).map(({ labels }) => labels)).toEqual([
        { alertname: "KeelKilled", severity: "critical", job: "keel", instance: "host" },
      ]);
      // It is shown there before its answer is here; until then nothing more is sent.
      const answered = async (sent: number) => {
        for (let i = 0; i < 900 && webhook.sent < sent; i += 1) await Bun.sleep(50);
      };
      await answered(1);
      webhook.take([{ ...alert, endsUs: nowUs + 1_000 }], nowUs + 1_000_000);
      expect(await until(0)).toEqual([]);
      await answered(2);
      expect(webhook).toMatchObject({ sent: 2, failed: 0 });
    } finally {
      server.kill();
      await server.exited;
    }
  },
);
