/**
 * Handovers that are broken off: `bun test/live/handover/drill.ts [times] [seed] [kind,…]`. Each replaces the process that runs by another
 * one, ends or stops one of both at a stage of it, and holds what then happens against what may: somebody quotes again, nobody has
 * sent anything after another one had taken over, no number was used twice, no quote and no fill is left over, and the journals prove
 * themselves.
 */
import { Rng } from "../../../src/core/rng.ts";
import { Host, type Life } from "./host.ts";

export const BREAKS = [
  "none",
  "new-killed-warming",
  "new-killed-taking",
  "new-killed-after",
  "new-frozen-taking",
  "old-killed-warming",
  "old-killed-letting-go",
  "old-frozen-letting-go",
] as const;
export type Break = (typeof BREAKS)[number];

export interface BreakResult {
  /** The process that runs in the end. */
  readonly life: Life;
  /** From the last quote of one to the first of the other one, ms; NaN where nothing changed hands. */
  readonly gapMs: number;
  readonly problems: readonly string[];
}

let started = 0;

/** Replaces `old`, which quotes, and breaks it off. */
export async function broken(host: Host, old: Life, kind: Break, rng: Rng): Promise<BreakResult> {
  for (let trade = 0; trade < 2; trade += 1) await host.trade();
  started += 1;
  const next = host.run(`life ${started}`, ["--handover"]);
  await next.says("prepares to take the place");
  await host.trade();
  let life = next;
  switch (kind) {
    case "none":
      break;
    case "new-killed-warming":
      await Bun.sleep(rng.next() * 60);
      await next.end("SIGKILL");
      life = old;
      break;
    case "new-killed-taking":
      await old.says("lets go");
      await Bun.sleep(rng.next() * 30);
      await next.end("SIGKILL");
      life = old;
      break;
    case "new-killed-after":
      await old.exited;
      await Bun.sleep(rng.next() * 60);
      await next.end("SIGKILL");
      break;
    case "new-frozen-taking":
      await old.says("lets go");
      await Bun.sleep(rng.next() * 20);
      next.signal("SIGSTOP");
      life = old;
      break;
    case "old-killed-warming":
      await Bun.sleep(rng.next() * 60);
      await old.end("SIGKILL");
      break;
    case "old-killed-letting-go":
      await old.says("lets go");
      await Bun.sleep(rng.next() * 40);
      await old.end("SIGKILL");
      break;
    case "old-frozen-letting-go":
      await old.says("lets go");
      old.signal("SIGSTOP");
      await Bun.sleep(200 + rng.next() * 500);
      old.signal("SIGCONT");
  }
  if (!life.running || (life === old && !(await staysAlive(old)))) {
    // Whoever was left is gone, too: the service manager starts another one.
    life = next.running ? next : host.run(`life ${started} again`);
  }
  await host.untilQuoting(life.name);
  const gapMs =
    host.wire.firstQuoteMs - (host.wire.lastQuoteMs.get(life === old ? next.name : old.name) ?? Number.NaN);
  if (kind === "new-frozen-taking" && next.running && life !== next) {
    next.signal("SIGCONT");
    await next.exited;
  }
  if (life !== old && old.running) await old.exited;
  await host.trade();
  const problems = [...host.problems()];
  const { orphans } = await host.peer();
  if (orphans > 0) problems.push(`${orphans} quotes that nobody answers for`);
  problems.push(...(await host.differences()));
  return { life, gapMs, problems };
}

/** The old one goes on, or has ended because the new one had already taken over. */
async function staysAlive(old: Life): Promise<boolean> {
  await Bun.sleep(500);
  return old.running;
}

if (import.meta.main) {
  const times = Number(process.argv[2] ?? "8");
  const rng = new Rng(Number(process.argv[3] ?? "1"));
  const kinds = (process.argv[4]?.split(",") ?? BREAKS) as readonly Break[];
  const host = new Host();
  const gaps: number[] = [];
  let failed = 0;
  try {
    await host.start();
    let life = host.run("life 0");
    await host.untilQuoting("life 0");
    for (let number = 1; number <= times; number += 1) {
      const kind = kinds[(number - 1) % kinds.length] ?? "none";
      const result = await broken(host, life, kind, rng);
      life = result.life;
      if (kind === "none") gaps.push(result.gapMs);
      if (result.problems.length > 0) failed += 1;
      console.log(
        `${number} ${kind}: ${result.gapMs.toFixed(0)} ms without quotes ${result.problems.join("; ")}`,
      );
    }
    await life.end();
    const audit = await host.verb("audit", "verify", "--journal", host.journal);
    if (audit.exitCode !== 0) {
      failed += 1;
      console.log(audit.output);
    }
    gaps.sort((a, b) => a - b);
    const at = (p: number): string => (gaps[Math.floor((gaps.length - 1) * p)] ?? Number.NaN).toFixed(0);
    console.log(
      `${times} handovers, ${failed} failed; unbroken: n ${gaps.length}, without quotes p50 ${at(0.5)} max ${at(1)} ms`,
    );
  } finally {
    await host.stop();
  }
  process.exit(failed === 0 ? 0 : 1);
}
