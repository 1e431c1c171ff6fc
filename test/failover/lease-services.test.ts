import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RedisClient } from "bun";
import { Secret } from "../../src/core/secret.ts";
import { EtcdLease } from "../../src/failover/etcd-lease.ts";
import { LeaseFence } from "../../src/failover/fence.ts";
import { Leadership } from "../../src/failover/leadership.ts";
import type { LeaseRequest, LeaseService } from "../../src/failover/lease-service.ts";
import { RedisLease } from "../../src/failover/redis-lease.ts";
import { EtcdServer, etcdMissing } from "../support/etcd-server.ts";
import { CLOCK_FIXED, PutClock } from "../support/put-clock.ts";
import { RedisServer, redisMissing } from "../support/services.ts";

const request = (holder: string, outgoing = 1): LeaseRequest => ({
  ...{ holder, ttlMs: 1_000, tokenFloor: 0, block: 100 },
  numbers: { outgoing, startedUs: 5 },
});

/** Outlasts whatever a busy host does between two requests. */
const long = (holder: string, outgoing = 1): LeaseRequest => ({
  ...request(holder, outgoing),
  ttlMs: 60_000,
});

/** A server that has only just come grants nothing for as long as the lease that is asked for lasts. */
async function grants(service: LeaseService): Promise<void> {
  const { token } = await acquired(service, request("nobody"));
  await service.release(token, request("nobody"));
}

async function acquired(service: LeaseService, wanted: LeaseRequest) {
  for (let attempt = 0; attempt < 400; attempt += 1) {
    const answer = await service.acquire(wanted);
    if (answer.granted) return answer;
    await Bun.sleep(20);
  }
  throw new Error("the lease was not granted");
}

/** One that knows no token of its own: of two that contend, the one that has never led. */
class Passive {
  readonly tokens: number[] = [];
  readonly leadership: Leadership;

  constructor(service: LeaseService, ttlMs: number) {
    const monotonicNs = (): number => Bun.nanoseconds();
    this.leadership = new Leadership({
      ...{ service, fence: new LeaseFence(monotonicNs), holder: "passive", ttlMs, monotonicNs },
      tokenFloor: 0,
      onToken: (token) => this.tokens.push(token),
      numbers: () => ({ outgoing: 1, startedUs: null }),
      unfit: () => "",
      onLead: () => {},
      onFollow: () => Promise.resolve(),
      onProblem: () => {},
    });
  }

  async until(met: () => boolean): Promise<void> {
    for (let turn = 0; turn < 4_000 && !met(); turn += 1) {
      this.leadership.onTimer();
      await Bun.sleep(5);
    }
    if (!met()) throw new Error(`not met; it leads: ${this.leadership.role === "leader"}, ${this.tokens}`);
  }
}

/** What every coordination service must do. */
function contract(open: (name: string) => LeaseService): void {
  test("one holder at a time, the next with a higher token and the numbers of the one before", async () => {
    const [one, two] = [open("hold"), open("hold")];
    await grants(one);
    const first = await acquired(one, long("one", 7));
    expect(await two.acquire(request("two"))).toMatchObject({ granted: false });
    expect((await two.look()).holder).toBe("one");
    expect(await one.renew(first.token, long("one", 50))).toBe(true);
    expect(await two.renew(first.token + 1, request("two"))).toBe(false);
    expect(await one.release(first.token, request("one", 60))).toBe(true);
    const second = await acquired(two, request("two"));
    expect(second.token).toBeGreaterThan(first.token);
    expect(second.before).toEqual({ outgoing: 60, startedUs: 5 });
    expect(await one.renew(first.token, request("one"))).toBe(false);
    await two.release(second.token, request("two"));
    one.close();
    two.close();
  });

  test("who holds it no more neither prolongs it nor gives it back, and all it reserved counts as used", async () => {
    const [one, two] = [open("expire"), open("expire")];
    const first = await acquired(one, request("one", 10));
    const second = await acquired(two, long("two"));
    expect(second.before?.outgoing).toBe(110);
    expect(await one.renew(first.token, request("one")).catch(() => false)).toBe(false);
    expect(await one.release(first.token, request("one")).catch(() => false)).toBe(false);
    expect((await two.look()).holder).toBe("two");
    await two.release(second.token, long("two"));
    one.close();
    two.close();
  });

  test("of many that ask at once one gets it", async () => {
    const services = Array.from({ length: 6 }, () => open("race"));
    await grants(services[0]);
    const answers = await Promise.all(services.map((service, i) => service.acquire(long(String(i)))));
    expect(answers.filter(({ granted }) => granted)).toHaveLength(1);
    for (const service of services) service.close();
  });
}

const noRedis = redisMissing();
if (noRedis !== null) console.log(`skipped: ${noRedis}`);
else if (CLOCK_FIXED !== null) console.log(`skipped: ${CLOCK_FIXED}`);

describe.skipIf(noRedis !== null)("Redis", () => {
  const clocks = mkdtempSync(join(tmpdir(), "keel-lease-clock-"));
  const clock = CLOCK_FIXED === null ? new PutClock(clocks) : null;
  const server = new RedisServer(undefined, clock);
  const open = (name: string, port = server.port, timeoutMs = 2_000): RedisLease =>
    new RedisLease({
      ...{ url: `redis://127.0.0.1:${port}`, username: undefined, password: new Secret(server.password) },
      ...{ ca: undefined, name, timeoutMs },
    });
  beforeAll(() => server.start());
  afterAll(async () => {
    await server.stop();
    server.remove();
    rmSync(clocks, { recursive: true, force: true });
  });
  contract(open);

  test("a server that has lost everything grants nothing for as long as a lease lasts, then a higher token", async () => {
    const service = open("loss");
    const { token } = await acquired(service, request("one"));
    await server.stop();
    await server.start();
    const startedMs = performance.now();
    expect(await service.renew(token, request("one")).catch(() => false)).toBe(false);
    expect(await service.acquire(request("two"))).toMatchObject({ granted: false });
    const next = await acquired(service, { ...request("two"), tokenFloor: token });
    expect(next.token).toBeGreaterThan(token);
    expect(performance.now() - startedMs).toBeGreaterThan(950);
    service.close();
  });

  test("one that was only ever refused is granted a token above its leader's by a server that has lost everything", async () => {
    const [one, two] = [open("count"), open("count")];
    await grants(one);
    const { token } = await acquired(one, { ...long("one"), tokenFloor: 8 });
    expect(token).toBe(9);
    const passive = new Passive(two, 300);
    await passive.until(() => passive.tokens.length > 0);
    await server.stop();
    await server.start();
    await passive.until(() => passive.leadership.role === "leader");
    expect(passive.tokens).toEqual([9, 10]);
    expect(passive.leadership.token).toBe(10);
    await passive.leadership.stop(() => Promise.resolve());
    one.close();
  });

  test("a lease whose key was removed is its holder's until it ends, and prolonged", async () => {
    const [one, two] = [open("removed"), open("removed")];
    const client = new RedisClient(
      `redis://:${encodeURIComponent(server.password)}@127.0.0.1:${server.port}`,
    );
    await grants(one);
    const { token } = await acquired(one, long("one"));
    await client.del("keel:{removed}:lease");
    expect(await two.acquire(request("two"))).toMatchObject({ granted: false });
    expect(await one.renew(token, long("one"))).toBe(true);
    expect((await two.look()).holder).toBe("one");
    const startedMs = performance.now();
    expect(await one.renew(token, request("one"))).toBe(true);
    await client.del("keel:{removed}:lease");
    expect(await acquired(two, request("two"))).toMatchObject({ expired: true });
    expect(performance.now() - startedMs).toBeGreaterThan(500);
    expect(await one.renew(token, request("one"))).toBe(false);
    client.close();
    one.close();
    two.close();
  });

  test("one whose grant did not reach its process is granted to it again, and to no other under its name", async () => {
    const [one, two] = [open("unheard"), open("unheard")];
    await grants(one);
    const first = await acquired(one, long("one", 7));
    // As if the answer had been lost.
    const again = await one.acquire(long("one", 7));
    expect(again).toMatchObject({ granted: true, expired: false, before: { outgoing: 107 } });
    if (!again.granted) return;
    expect(again.token).toBeGreaterThan(first.token);
    expect(await two.acquire(long("one"))).toMatchObject({ granted: false });
    expect(await one.renew(first.token, long("one"))).toBe(false);
    expect(await one.renew(again.token, long("one"))).toBe(true);
    one.close();
    two.close();
  });

  test("one that came free too early goes to its holder or to the one that waits, and to no third", async () => {
    const [one, two, three] = [open("early"), open("early"), open("early")];
    const short = { ...request("one", 7), ttlMs: 200 };
    const first = await acquired(one, short);
    expect(await one.renew(first.token, short)).toBe(true);
    const early = await acquired(two, long("two"));
    expect(early).toMatchObject({ expired: true, before: { outgoing: 107 } });
    expect(await two.release(early.token, long("two", 107), true)).toBe(true);
    expect(await three.acquire(long("three"))).toMatchObject({ granted: false, token: early.token });
    const again = await two.acquire(long("two"));
    expect(again).toMatchObject({ granted: true, expired: true, token: early.token + 1 });
    expect(await two.release(early.token + 1, long("two", 107), true)).toBe(true);
    const back = await one.acquire(long("one", 7));
    expect(back).toMatchObject({ granted: true, expired: false, before: { outgoing: 107 } });
    expect(await two.acquire(long("two"))).toMatchObject({ granted: false });
    expect(await three.acquire(long("three"))).toMatchObject({ granted: false });
    for (const service of [one, two, three]) service.close();
  });

  test("one that ran out is its own holder's again at once: nobody else can count on it", async () => {
    const service = open("again");
    const short = { ...request("one"), ttlMs: 200 };
    const { token } = await acquired(service, short);
    expect(await service.renew(token, short)).toBe(true);
    while ((await service.look()).holder !== null) await Bun.sleep(20);
    expect(await service.acquire(long("one"))).toMatchObject({
      granted: true,
      expired: false,
      token: token + 1,
    });
    service.close();
  });

  test("one that came free too early twice does not go at once to a process that has not led", async () => {
    const [one, two, three] = [open("twice"), open("twice"), open("twice")];
    const short = { ...request("one"), ttlMs: 200 };
    const first = await acquired(one, short);
    expect(await one.renew(first.token, short)).toBe(true);
    // Its answer is not heard.
    expect(await acquired(two, { ...short, holder: "two" })).toMatchObject({ expired: true });
    const early = await acquired(three, long("three"));
    expect(await three.release(early.token, long("three"), true)).toBe(true);
    expect(await two.acquire(long("two"))).toMatchObject({ granted: true, expired: true });
    for (const service of [one, two, three]) service.close();
  });

  test("one that was given back stays so when its key is asked for", async () => {
    const service = open("back");
    const { token } = await acquired(service, request("one"));
    await service.release(token, request("one"));
    expect(await service.renew(token, request("one"))).toBe(false);
    expect(await service.acquire(request("two"))).toMatchObject({ granted: true, expired: false });
    service.close();
  });

  test.skipIf(CLOCK_FIXED !== null)("answers carry its clock", async () => {
    const [service, other] = [open("clock"), open("clock")];
    const { clockMs } = await acquired(service, request("one"));
    expect(Math.abs((clockMs ?? 0) - Date.now())).toBeLessThan(5_000);
    clock?.put(3_600);
    const later = await acquired(other, request("two"));
    expect(later).toMatchObject({ granted: true, expired: true });
    expect(Math.abs((later.clockMs ?? 0) - Date.now() - 3_600_000)).toBeLessThan(5_000);
    clock?.put(0);
    service.close();
    other.close();
  });

  test("a server that does not answer is an error in time", async () => {
    const silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const service = open("silent", silent.port, 100);
    const startedMs = performance.now();
    expect(service.acquire(request("one"))).rejects.toThrow();
    await service.acquire(request("one")).catch(() => {});
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    service.close();
    silent.stop(true);
  });
});

const noEtcd = etcdMissing();
if (noEtcd !== null) console.log(`skipped: ${noEtcd}`);

describe.skipIf(noEtcd !== null)("etcd", () => {
  const server = new EtcdServer();
  beforeAll(() => server.start(), 120_000);
  afterAll(async () => {
    await server.stop();
    server.remove();
  });
  const open = (name: string, url = server.url): EtcdLease =>
    new EtcdLease({
      ...{ url, username: undefined, password: undefined },
      ...{ ca: undefined, name, timeoutMs: 5_000 },
    });
  contract(open);

  test("an etcd made anew grants nothing for as long as a lease lasts, then tokens above all that are known", async () => {
    const TOKEN = 1_000_000;
    const [one, two, fresh] = [open("anew"), open("anew"), open("anew")];
    const startedMs = performance.now();
    const known = { ...request("one", 7), tokenFloor: TOKEN };
    expect(await one.acquire(known)).toMatchObject({
      granted: false,
      holder: expect.stringContaining("lost"),
    });
    expect(await two.acquire(request("two"))).toMatchObject({ granted: false });
    const first = await acquired(one, { ...known, ttlMs: 60_000 });
    expect(performance.now() - startedMs).toBeGreaterThan(950);
    expect(first.token).toBeGreaterThan(TOKEN);
    expect(await fresh.look()).toMatchObject({ holder: "one", token: first.token });
    const passive = new Passive(two, 1_000);
    await passive.until(() => passive.tokens.length > 0);
    expect(passive.tokens).toEqual([first.token]);
    expect(await one.renew(first.token, known)).toBe(true);
    expect(await one.release(first.token, known)).toBe(true);
    expect((await acquired(fresh, request("fresh"))).token).toBeGreaterThan(first.token);
    for (const service of [one, two, fresh]) service.close();
  });

  test("a lease that moves to another process of its host is prolonged by it", async () => {
    const [one, next, other] = [open("moves"), open("moves"), open("moves")];
    const { token } = await acquired(one, long("one"));
    next.adopt(one.handle);
    expect(await next.renew(token, long("one", 9))).toBe(true);
    expect(await other.look()).toMatchObject({ holder: "one", token, numbers: { outgoing: 109 } });
    other.adopt("4711");
    expect(await other.renew(token, long("one")).catch(() => false)).toBe(false);
    expect(await next.release(token, long("one"))).toBe(true);
    for (const service of [one, next, other]) service.close();
  });

  test("one whose grant did not reach its process does not keep it waiting", async () => {
    let loses = false;
    const proxy = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: async (asked) => {
        const { pathname } = new URL(asked.url);
        const body = await asked.text();
        const answer = await fetch(`${server.url}${pathname}`, { method: "POST", body });
        const lost = loses && body.includes("request_put");
        if (lost) loses = false;
        return lost ? new Response("lost", { status: 503 }) : new Response(await answer.text());
      },
    });
    const [one, two] = [open("unheard", `http://127.0.0.1:${proxy.port}`), open("unheard")];
    loses = true;
    const unheard = await one.acquire(long("one")).catch((error: Error) => error.message);
    expect(unheard).toContain("503");
    expect((await two.look()).holder).toBe("one");
    const again = await one.acquire(long("one"));
    const held = await two.acquire(long("two"));
    expect([again.granted, held.granted, (await two.look()).holder]).toEqual([true, false, "one"]);
    await proxy.stop(true);
  });
});
