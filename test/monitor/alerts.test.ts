import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { grafanaDashboard } from "../../src/command/print/grafana.ts";
import { Histogram } from "../../src/core/histogram.ts";
import { Secret } from "../../src/core/secret.ts";
import { Alerter } from "../../src/monitor/alerts/alerter.ts";
import { type AlertRule, type Condition, promQl } from "../../src/monitor/alerts/rule.ts";
import { ALERT_RULES } from "../../src/monitor/alerts/rules.ts";
import { Webhook } from "../../src/monitor/alerts/webhook.ts";
import { type Labels, MetricRegistry } from "../../src/monitor/metrics.ts";

const root = join(import.meta.dir, "../..");
const SECOND = 1_000_000;

function alerterOn(when: Condition, forSeconds = 0) {
  const values = new Map<string, { labels: Labels; value: number }>();
  const histogram = new Histogram();
  const metrics = new MetricRegistry();
  metrics.add({
    name: when.metric,
    type: when.kind === "gauge" ? "gauge" : when.kind === "increase" ? "counter" : "histogram",
    help: "",
    collect: (emit, emitHistogram) => {
      if (when.kind === "quantile") emitHistogram(histogram, when.labels ?? {});
      for (const { labels, value } of values.values()) emit(value, labels);
    },
  });
  const rule: AlertRule = { name: "KeelTest", severity: "critical", summary: "a test", when, forSeconds };
  const alerter = new Alerter(metrics, [rule]);
  const set = (value: number, labels: Labels = {}) => values.set(JSON.stringify(labels), { labels, value });
  return { alerter, set, histogram, remove: () => values.clear() };
}

const gauge = (is: "above" | "below" | "equal" | "unknown", value = 0): Condition => ({
  kind: "gauge",
  metric: "keel_test",
  is,
  value,
});

describe("a gauge", () => {
  test("fires once it has held for its time, and ends when it holds no more", () => {
    const { alerter, set } = alerterOn(gauge("above", 5), 10);
    set(6);
    expect(alerter.look(0)).toEqual([]);
    expect(alerter.look(9 * SECOND)).toEqual([]);
    expect(alerter.look(10 * SECOND)).toMatchObject([
      { name: "KeelTest", value: 6, startsUs: 10 * SECOND, endsUs: null },
    ]);
    set(5);
    expect(alerter.look(11 * SECOND)).toMatchObject([{ endsUs: 11 * SECOND }]);
    expect(alerter.look(12 * SECOND)).toEqual([]);
    expect(alerter.firing()).toEqual([]);
  });

  test("that falls back in between begins to wait anew", () => {
    const { alerter, set } = alerterOn(gauge("above", 5), 10);
    for (const [second, value] of [
      [0, 6],
      [5, 5],
      [6, 6],
      [15, 6],
    ] as const) {
      set(value);
      expect(alerter.look(second * SECOND)).toEqual([]);
    }
    expect(alerter.look(16 * SECOND)).toHaveLength(1);
  });

  test("is one alert for each of its labels, and ends when its sample is gone", () => {
    const { alerter, set, remove } = alerterOn(gauge("above", 0));
    set(1, { venue: "a" });
    set(1, { venue: "b" });
    expect(alerter.look(0).map(({ labels }) => labels)).toEqual([{ venue: "a" }, { venue: "b" }]);
    remove();
    expect(alerter.look(SECOND).map(({ endsUs }) => endsUs)).toEqual([SECOND, SECOND]);
  });

  test.each([
    ["below", 1, 0.5, 1],
    ["equal", 1, 1, 2],
    ["unknown", 0, Number.NaN, 0],
  ] as const)("%s %d fires on %d, not on %d", (is, value, fires, quiet) => {
    const { alerter, set } = alerterOn(gauge(is, value));
    set(quiet);
    expect(alerter.look(0)).toEqual([]);
    set(fires);
    expect(alerter.look(SECOND)).toHaveLength(1);
  });

  test("a clock that is put back starts the wait anew and does not fire early", () => {
    const { alerter, set } = alerterOn(gauge("above", 0), 10);
    set(1);
    alerter.look(100 * SECOND);
    expect(alerter.look(50 * SECOND)).toEqual([]);
    expect(alerter.look(59 * SECOND)).toEqual([]);
    expect(alerter.look(60 * SECOND)).toHaveLength(1);
  });
});

describe("a counter", () => {
  const when: Condition = { kind: "increase", metric: "keel_test_total", above: 5, windowSeconds: 60 };

  test("fires by what it rose within the window, whatever the counter was before", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3), { minLength: 1, maxLength: 120 }), fc.nat(1_000), (steps, start) => {
        const { alerter, set } = alerterOn(when);
        const totals = [start];
        set(start);
        alerter.look(0);
        for (const [at, step] of steps.entries()) {
          const total = (totals.at(-1) ?? 0) + step;
          totals.push(total);
          set(total);
          const fires = alerter.look((at + 1) * 2 * SECOND).some(({ endsUs }) => endsUs === null);
          const before = totals[Math.max(totals.length - 1 - 30, 0)] ?? 0;
          expect(fires).toBe(total - before > 5);
        }
      }),
      { numRuns: 50, seed: 1 },
    );
  });

  test("whose label was not there before counts from 0", () => {
    const { alerter, set } = alerterOn(when);
    alerter.look(0);
    set(9, { limit: "collar" });
    expect(alerter.look(2 * SECOND)).toMatchObject([{ labels: { limit: "collar" }, value: 9 }]);
  });
});

test("a latency fires when more than its share of the window was beyond it, and not on one slow event among many", () => {
  const when: Condition = {
    kind: "quantile",
    metric: "keel_test_seconds",
    quantile: 0.99,
    aboveSeconds: 1e-3,
    windowSeconds: 60,
    eventsMin: 1_000,
  };
  const { alerter, histogram } = alerterOn(when);
  alerter.look(0);
  // Few events say nothing, however slow.
  const few = alerterOn(when);
  few.alerter.look(0);
  for (let i = 0; i < 100; i += 1) few.histogram.record(2_000_000);
  expect(few.alerter.look(5 * SECOND)).toEqual([]);
  for (let i = 0; i < 1_000; i += 1) histogram.record(i < 9 ? 2_000_000 : 5_000);
  expect(alerter.look(80 * SECOND)).toEqual([]);
  for (let i = 0; i < 100; i += 1) histogram.record(2_000_000);
  expect(alerter.look(90 * SECOND)).toMatchObject([{ endsUs: null }]);
  for (let second = 100; second < 150; second += 10) alerter.look(second * SECOND);
  expect(alerter.look(160 * SECOND).filter(({ endsUs }) => endsUs === null)).toEqual([]);
});

test("the expressions are those that Prometheus understands under these names", () => {
  expect(promQl({ ...gauge("equal", 1), labels: { state: "x" } })).toBe('keel_test{state="x"} == 1');
  expect(promQl(gauge("unknown"))).toBe("keel_test != keel_test");
  expect(promQl({ kind: "increase", metric: "a_total", above: 3, windowSeconds: 60 })).toBe(
    "increase(a_total[60s]) > 3",
  );
});

describe("every alert", () => {
  const runbooks = readFileSync(join(root, "docs/runbooks.md"), "utf8");
  const metrics = readFileSync(join(root, "docs/metrics.md"), "utf8");

  test.each(ALERT_RULES.map((rule) => [rule.name, rule] as const))(
    "%s has a runbook of its severity and a metric that exists",
    (name, rule) => {
      expect(runbooks).toContain(`## ${name}\n\n*${rule.severity}.* `);
      expect(metrics).toContain(`| \`${rule.when.metric}\` |`);
    },
  );

  test("stands in the runbooks in the rules' order, and nothing else does", () => {
    const sections = [...runbooks.matchAll(/^## (\w+)$/gm)].map(([, name]) => name);
    expect(sections).toEqual(["KeelDown", ...ALERT_RULES.map(({ name }) => name)]);
  });
});

describe("the receiver", () => {
  async function receiver(answer: () => Response) {
    const bodies: { path: string; authorization: string | null; body: unknown }[] = [];
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: async (request) => {
        const { pathname } = new URL(request.url);
        bodies.push({
          path: pathname,
          authorization: request.headers.get("authorization"),
          body: await request.json(),
        });
        return answer();
      },
    });
    return { bodies, url: `http://127.0.0.1:${server.port}`, stop: () => server.stop(true) };
  }

  const alert = {
    name: "KeelKilled",
    severity: "critical",
    summary: "killed",
    labels: {},
    value: 1,
    startsUs: SECOND,
  } as const;

  async function settled(webhook: Webhook, requests: number): Promise<void> {
    for (const untilMs = performance.now() + 30_000; performance.now() < untilMs; await Bun.sleep(5))
      if (webhook.sent + webhook.failed >= requests) return;
  }

  test("of Alertmanager's webhook gets its format, once, again after the repeat, and the end", async () => {
    const { bodies, url, stop } = await receiver(() => new Response("ok"));
    const webhook = new Webhook({
      url,
      token: new Secret("t0ken"),
      instance: "host",
      timeoutMs: 30_000,
      repeatMs: 60_000,
    });
    webhook.take([{ ...alert, endsUs: null }], 2 * SECOND);
    await settled(webhook, 1);
    webhook.take([{ ...alert, endsUs: null }], 4 * SECOND);
    webhook.take([{ ...alert, endsUs: null }], 62 * SECOND);
    await settled(webhook, 2);
    webhook.take([{ ...alert, endsUs: 63 * SECOND }], 63 * SECOND);
    await settled(webhook, 3);
    stop();
    expect(bodies).toHaveLength(3);
    expect(bodies[0]?.authorization).toBe("Bearer t0ken");
    expect(bodies[0]?.body).toMatchObject({
      version: "4",
      status: "firing",
      alerts: [
        {
          status: "firing",
          labels: { alertname: "KeelKilled", severity: "critical", instance: "host" },
          startsAt: "1970-01-01T00:00:01.000Z",
        },
      ],
    });
    expect(bodies[2]?.body).toMatchObject({
      status: "resolved",
      alerts: [{ status: "resolved", endsAt: "1970-01-01T00:01:03.000Z" }],
    });
  });

  test("that does not take them is asked again, later and later, with the latest state", async () => {
    let isUp = false;
    const { bodies, url, stop } = await receiver(() => new Response("", { status: isUp ? 200 : 503 }));
    const webhook = new Webhook({
      url,
      token: undefined,
      instance: "host",
      timeoutMs: 30_000,
      repeatMs: 60_000,
    });
    webhook.take([{ ...alert, endsUs: null }], 0);
    await settled(webhook, 1);
    expect(webhook).toMatchObject({ failed: 1, problem: "the receiver answered 503" });
    webhook.take([], SECOND / 2);
    expect(bodies).toHaveLength(1);
    isUp = true;
    webhook.take([{ ...alert, endsUs: SECOND }], 2 * SECOND);
    await settled(webhook, 2);
    stop();
    expect(webhook).toMatchObject({ sent: 1, problem: null });
    expect(bodies[1]?.body).toMatchObject({ status: "resolved" });
  });

  test("and is away keeps a thousand waiting: of more, those that have ended are let go first, and counted", async () => {
    let isUp = false;
    const told: unknown[] = [];
    const webhook = new Webhook(
      {
        url: "http://receiver.invalid",
        token: undefined,
        instance: "host",
        timeoutMs: 30_000,
        repeatMs: 60_000,
      },
      (_, { body }) => {
        if (isUp) told.push(...JSON.parse(String(body)).alerts);
        return Promise.resolve(new Response("", { status: isUp ? 200 : 503 }));
      },
    );
    const alerts = Array.from({ length: 1_002 }, (_, number) => ({
      ...alert,
      labels: { number: String(number) },
      endsUs: number === 500 || number === 600 ? SECOND : null,
    }));
    webhook.take(alerts, 0);
    await settled(webhook, 1);
    isUp = true;
    webhook.take([], 2 * SECOND);
    await settled(webhook, 2);
    expect([webhook.dropped, told.length]).toEqual([2, 1_000]);
    expect(told).not.toContainEqual(expect.objectContaining({ status: "resolved" }));
  });
});

test("the dashboard asks for metrics that exist, and no panel covers another", () => {
  const { panels } = grafanaDashboard();
  const known = readFileSync(join(root, "docs/metrics.md"), "utf8");
  const names = new Set(
    [...JSON.stringify(panels).matchAll(/keel_[a-z0-9_]+/g)].map(([name]) => name.replace(/_bucket$/, "")),
  );
  expect([...names].filter((name) => !known.includes(`| \`${name}\` |`))).toEqual([]);
  const cells = new Set<string>();
  for (const { gridPos } of panels as { gridPos: Record<"x" | "y" | "w" | "h", number> }[]) {
    expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
        expect(cells.has(`${x} ${y}`)).toBe(false);
        cells.add(`${x} ${y}`);
      }
    }
  }
});
