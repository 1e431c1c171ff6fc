/**
 * What a page that looks on costs the line: 1,000 simulated options, and the latency of the whole way of an event over ten seconds
 * at a time, by turns without a page and with one that looks at 40 rows 60 times a second. Run it as
 * `bun test/support/dashboard-cost.ts [rounds]`.
 */
import { join } from "node:path";

const root = join(import.meta.dir, "../..");
const rounds = Number(process.argv[2] ?? 3);
const ROWS = 40;
/** A window of the latency section, and a part of it more, so that nothing of the turn before is in it. */
const WINDOW_MS = 13_000;

const probe = Bun.serve({ port: 0, fetch: () => new Response() });
const { port } = probe;
await probe.stop(true);
const seconds = String(Math.ceil((2 * rounds * WINDOW_MS) / 1_000) + 60);
const child = Bun.spawn(
  [process.execPath, join(root, "src/main.ts"), "demo", "--seconds", seconds, "--strikes", "125"],
  {
    env: { ...process.env, KEEL_HTTP: `127.0.0.1:${port}` },
    stdout: "ignore",
    stderr: "ignore",
  },
);
const base = `http://127.0.0.1:${port}`;

interface Total {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

async function total(): Promise<Total> {
  const view = (await (await fetch(`${base}/dashboard/view?sections=latency`)).json()) as {
    sections: { latency: { stages: (Total & { stage: string })[] } };
  };
  const found = view.sections.latency.stages.find(({ stage }) => stage === "total");
  if (found === undefined) throw new Error("no total");
  return found;
}

/** Waits for a window to pass; the view is asked for meanwhile, because windows begin with somebody who looks. */
async function window(): Promise<Total> {
  for (let waitedMs = 0; waitedMs < WINDOW_MS; waitedMs += 1_000) {
    await total();
    await Bun.sleep(1_000);
  }
  return await total();
}

for (let tries = 0; tries < 150; tries += 1) {
  if (
    await fetch(`${base}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    )
  )
    break;
  await Bun.sleep(200);
}
await Bun.sleep(10_000);
const found: { readonly page: string; readonly total: Total }[] = [];
let messages = 0;
let bytes = 0;
for (let round = 0; round < rounds; round += 1) {
  found.push({ page: "without", total: await window() });
  const socket = new WebSocket(`${base.replace("http", "ws")}/dashboard/live`, { headers: { origin: base } });
  socket.onmessage = ({ data }) => {
    messages += 1;
    bytes += String(data).length;
  };
  await new Promise((resolve) => {
    socket.onopen = resolve;
  });
  const rows = Array.from({ length: ROWS }, (_, id) => id);
  const sections = ["pulse", "overview"];
  socket.send(JSON.stringify({ rate: 60, sections, rows, detail: 0, underlying: 0, expiryMs: null }));
  found.push({ page: "with", total: await window() });
  socket.close();
}
for (const { page, total: of } of found) {
  console.log(
    `${page.padEnd(8)} events ${of.count}  p50 ${of.p50} µs  p99 ${of.p99} µs  p99.9 ${of.p999} µs`,
  );
}
console.log(
  `${(messages / ((rounds * WINDOW_MS) / 1_000)).toFixed(1)} updates/s, ${(bytes / messages).toFixed(0)} bytes each`,
);
child.kill("SIGTERM");
await child.exited;
