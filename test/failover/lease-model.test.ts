import { expect, test } from "bun:test";
import fc from "fast-check";
import { Rng } from "../../src/core/rng.ts";
import { LeaseFence } from "../../src/failover/fence.ts";
import { Leadership } from "../../src/failover/leadership.ts";
import type { LeaseAnswer, LeaseRequest, LeaseService } from "../../src/failover/lease-service.ts";

const TTL_MS = 800;

/** A lease as a service keeps it, by its own clock, with requests and answers under way for as long as the network likes. */
class Model {
  nowMs = 0;
  token = 0;
  outgoing = 1;
  #holder = "";
  #untilMs = 0;
  #released = true;
  #clockMs = 0;
  /** The lease was granted after one that had run out. */
  #afterExpired = false;
  /** Who was granted it last, and who had the one that had run out before. */
  #by = "";
  #owed = "";
  #owedAfterExpired = false;
  #parked = 0;
  #due: { readonly atMs: number; readonly run: () => void }[] = [];
  readonly #rng: Rng;
  readonly #lossShare: number;
  readonly #delay: number;

  /** @param delay of what a request may take, the share that each way takes at most */
  constructor(seed: number, lossShare: number, delay = 0.8) {
    this.#rng = new Rng(seed);
    this.#lossShare = lossShare;
    this.#delay = delay;
  }

  service(timeoutMs: number): LeaseService {
    return {
      name: "model",
      handle: "",
      adopt: () => {},
      acquire: (request) => this.#asked(timeoutMs, () => this.#acquire(request)),
      renew: (token, request) => this.#asked(timeoutMs, () => this.#renew(token, request)),
      release: (token, request, owed = false) =>
        this.#asked(timeoutMs, () => this.#release(token, request, owed)),
      look: () => Promise.reject(new Error("nobody looks")),
      close: () => {},
    };
  }

  /** The service's clock is put: what it keeps until a time is gone sooner or later than its holder knows. */
  putClock(byMs: number): void {
    this.#clockMs += byMs;
  }

  /** The service's own time. */
  get #time(): number {
    return 1e12 + this.nowMs + this.#clockMs;
  }

  async to(nowMs: number): Promise<void> {
    this.nowMs = nowMs;
    const due = this.#due.filter(({ atMs }) => atMs <= nowMs).toSorted((a, b) => a.atMs - b.atMs);
    this.#due = this.#due.filter(({ atMs }) => atMs > nowMs);
    for (const { run } of due) run();
    for (let turn = 0; turn < 12; turn += 1) await Promise.resolve();
  }

  #asked<T>(timeoutMs: number, handle: () => T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const arrivesMs = this.nowMs + this.#rng.next() * timeoutMs * this.#delay;
    const answersMs = arrivesMs + this.#rng.next() * timeoutMs * this.#delay;
    const lost = this.#rng.next();
    if (lost > this.#lossShare / 2) {
      this.#at(arrivesMs, () => {
        const answer = handle();
        if (lost > this.#lossShare) this.#at(answersMs, () => resolve(answer));
      });
    }
    this.#at(this.nowMs + timeoutMs, () => reject(new Error("no answer")));
    return promise;
  }

  #at(atMs: number, run: () => void): void {
    this.#due.push({ atMs, run });
  }

  #acquire({ holder, ttlMs, numbers, block }: LeaseRequest): LeaseAnswer {
    const clockMs = Math.floor(this.#time);
    // What the same process was granted last it is granted again: it has not had the answer, or leads no more.
    const own = this.#by === holder;
    const reclaims = !own && this.#parked === this.token && this.#owed === holder;
    if (this.#time < this.#untilMs && !own && !reclaims) {
      const remainingMs = Math.round(this.#untilMs - this.#time);
      return { granted: false, holder: this.#holder, token: this.token, remainingMs, clockMs };
    }
    this.token += 1;
    this.#holder = `${this.token}:${holder}`;
    this.#untilMs = this.#time + ttlMs;
    const before = { outgoing: this.outgoing, startedUs: null };
    const after = own ? this.#afterExpired : !reclaims || this.#owedAfterExpired;
    const expired = after && !this.#released;
    if (!own) {
      this.#owed = expired ? this.#by : "";
      this.#owedAfterExpired = this.#afterExpired;
    }
    this.#by = holder;
    this.#afterExpired = expired;
    this.#released = false;
    this.outgoing = Math.max(this.outgoing, numbers.outgoing) + block;
    return { granted: true, token: this.token, before, expired, clockMs };
  }

  #renew(token: number, { holder, ttlMs, numbers, block }: LeaseRequest): boolean {
    if (this.#time >= this.#untilMs || this.#holder !== `${token}:${holder}`) return false;
    this.#untilMs = this.#time + ttlMs;
    this.#afterExpired = false;
    this.outgoing = numbers.outgoing + block;
    return true;
  }

  #release(token: number, { holder, numbers }: LeaseRequest, owed: boolean): boolean {
    if (this.#time >= this.#untilMs || this.#holder !== `${token}:${holder}`) return false;
    if (owed) {
      this.#parked = token;
      this.outgoing = numbers.outgoing;
      return true;
    }
    this.#untilMs = this.#time;
    this.#released = true;
    this.outgoing = numbers.outgoing;
    return true;
  }
}

/** One of a pair, on a clock that runs at its own rate, that stands still at times and sends whenever it may. */
class Side {
  readonly fence: LeaseFence;
  readonly leadership: Leadership;
  next = 1;
  stoppedUntilMs = 0;
  terms = 0;
  #nowMs = 0;
  readonly #rate: number;

  constructor(model: Model, name: string, rate: number, timeoutMs = TTL_MS * 0.4) {
    this.#rate = rate;
    const monotonicNs = (): number => this.#nowMs * this.#rate * 1e6;
    this.fence = new LeaseFence(monotonicNs);
    this.fence.watch(() => this.next);
    this.leadership = new Leadership({
      ...{
        service: model.service(timeoutMs),
        fence: this.fence,
        holder: name,
        ttlMs: TTL_MS,
        monotonicNs,
      },
      tokenFloor: 0,
      numbers: () => ({ outgoing: this.next, startedUs: null }),
      unfit: () => "",
      onLead: (_token, before) => {
        this.terms += 1;
        this.next = Math.max(this.next, before?.outgoing ?? 1);
      },
      onFollow: () => Promise.resolve(),
      onProblem: () => {},
    });
  }

  /** @returns the token and number of the message that left; null when none did */
  turn(nowMs: number): { readonly token: number; readonly number: number } | null {
    this.#nowMs = nowMs;
    if (nowMs < this.stoppedUntilMs) return null;
    // A process that wakes sends before its timer has run.
    const token = this.fence.token;
    const number = this.next;
    if (token > 0 && this.fence.permits(token)) {
      this.next += 1;
      this.leadership.onTimer();
      return { token, number };
    }
    this.leadership.onTimer();
    return null;
  }
}

test("never two on the wire, tokens only rise and no number is used twice, whatever the network and the clocks do", async () => {
  let terms = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 2 ** 31 }),
      fc.double({ min: 0, max: 0.6, noNaN: true }),
      fc.double({ min: 0.97, max: 1.03, noNaN: true }),
      async (seed, lossShare, rate) => {
        const rng = new Rng(seed);
        const model = new Model(seed, lossShare);
        const sides = [new Side(model, "a", rate), new Side(model, "b", 1)];
        let highestToken = 0;
        let highestNumber = 0;
        for (let nowMs = 0; nowMs < 12_000; nowMs += 5) {
          await model.to(nowMs);
          for (const side of sides) {
            if (rng.next() < 0.001) side.stoppedUntilMs = nowMs + rng.next() * 3_000;
            if (rng.next() < 0.0005 && side.leadership.role === "leader")
              side.leadership.resign("asked", 300).catch(() => {});
            const sent = side.turn(nowMs);
            if (sent === null) continue;
            expect(sent.token).toBeGreaterThanOrEqual(highestToken);
            expect(sent.number).toBeGreaterThan(highestNumber);
            highestToken = sent.token;
            highestNumber = sent.number;
          }
        }
        terms += sides[0].terms + sides[1].terms;
      },
    ),
    { numRuns: 60 },
  );
  expect(terms).toBeGreaterThan(100);
}, 120_000);

test.each([
  ["two", "ab"],
  ["three", "abc"],
])(
  "a service whose clock is put does not have two of %s lead, by little or by much, forward or back",
  async (_many, names) => {
    let early = 0;
    for (let seed = 1; seed <= 120; seed += 1) {
      const rng = new Rng(seed);
      const model = new Model(seed, 0);
      const sides = [...names].map((name) => new Side(model, name, 1, TTL_MS * 0.04));
      let highestToken = 0;
      for (let nowMs = 0; nowMs < 12_000; nowMs += 5) {
        await model.to(nowMs);
        if (rng.next() < 0.003) model.putClock((rng.next() - 0.3) * [100, 1_000, 3_600_000][seed % 3]);
        for (const side of sides) {
          // One that could not look for a while knows less of the other one's lease.
          if (rng.next() < 0.0005) side.stoppedUntilMs = nowMs + rng.next() * 1_500;
          const sent = side.turn(nowMs);
          if (sent === null) continue;
          expect({ seed, nowMs, rises: sent.token >= highestToken }).toEqual({ seed, nowMs, rises: true });
          highestToken = sent.token;
        }
      }
      for (const { leadership } of sides) early += leadership.counters.early;
    }
    expect(early).toBeGreaterThan(20);
  },
  120_000,
);

/**
 * A leads and ends, while B stands still for longer than a lease lasts.
 *
 * @param putMs by how much the service's clock is put meanwhile
 * @returns from when B runs again to when it leads
 */
async function starvedMs(seed: number, putMs: number): Promise<number> {
  const rng = new Rng(seed);
  const model = new Model(seed, 0, 0.1);
  const [a, b] = [new Side(model, "a", 1.0004), new Side(model, "b", 1)];
  const stopsMs = 3_000 + Math.floor(rng.next() * 40) * 5;
  const diesMs = stopsMs + 100 + Math.floor(rng.next() * 40) * 5;
  const wakesMs = diesMs + TTL_MS + 100;
  for (let nowMs = 0; nowMs < 8_000; nowMs += 5) {
    await model.to(nowMs);
    if (nowMs === diesMs) model.putClock(putMs);
    if (nowMs < diesMs) a.turn(nowMs);
    if (nowMs === stopsMs) b.stoppedUntilMs = wakesMs;
    if (nowMs > 100) b.turn(nowMs);
    if (b.leadership.role === "leader") return nowMs - wakesMs;
  }
  return Number.POSITIVE_INFINITY;
}

test("one that could not look while the lease ran out takes it when it can, and does not wait for its length once more", async () => {
  for (let seed = 1; seed <= 40; seed += 1) expect(await starvedMs(seed, 0)).toBeWithin(0, 250);
});

test("where the service's clock was put meanwhile, it waits for the lease's length: its holder may know nothing of that", async () => {
  for (let seed = 1; seed <= 10; seed += 1) {
    expect(await starvedMs(seed, 5_000)).toBeWithin(TTL_MS, TTL_MS + 250);
  }
});

test("a leader that gets no answer falls silent before the lease ends, and the way is shut before, too", async () => {
  const model = new Model(1, 0);
  const side = new Side(model, "a", 1);
  let nowMs = 0;
  for (; side.leadership.role !== "leader"; nowMs += 5) {
    await model.to(nowMs);
    side.turn(nowMs);
  }
  const cutMs = nowMs;
  // The service hears nothing any more.
  for (; side.leadership.role === "leader"; nowMs += 5) side.turn(nowMs);
  expect(nowMs - cutMs).toBeLessThan(TTL_MS * 0.7);
  for (; side.fence.permits(side.fence.token); nowMs += 5) side.turn(nowMs);
  expect(nowMs - cutMs).toBeLessThan(TTL_MS * 0.9);
});
