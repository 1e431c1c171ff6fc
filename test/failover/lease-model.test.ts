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
  #due: { readonly atMs: number; readonly run: () => void }[] = [];
  readonly #rng: Rng;
  readonly #lossShare: number;

  constructor(seed: number, lossShare: number) {
    this.#rng = new Rng(seed);
    this.#lossShare = lossShare;
  }

  service(timeoutMs: number): LeaseService {
    return {
      name: "model",
      handle: "",
      adopt: () => {},
      acquire: (request) => this.#asked(timeoutMs, () => this.#acquire(request)),
      renew: (token, request) => this.#asked(timeoutMs, () => this.#renew(token, request)),
      release: (token, request) => this.#asked(timeoutMs, () => this.#release(token, request)),
      look: () => Promise.reject(new Error("nobody looks")),
      close: () => {},
    };
  }

  /** The service's clock is put forward: what it keeps until a time is gone. */
  putClock(): void {
    this.#untilMs = Math.min(this.#untilMs, this.nowMs);
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
    const arrivesMs = this.nowMs + this.#rng.next() * timeoutMs * 0.8;
    const answersMs = arrivesMs + this.#rng.next() * timeoutMs * 0.8;
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
    if (this.nowMs < this.#untilMs) {
      return { granted: false, holder: this.#holder, remainingMs: this.#untilMs - this.nowMs };
    }
    this.token += 1;
    this.#holder = `${this.token}:${holder}`;
    this.#untilMs = this.nowMs + ttlMs;
    const before = { outgoing: this.outgoing, startedUs: null };
    const expired = !this.#released;
    this.#released = false;
    this.outgoing = Math.max(this.outgoing, numbers.outgoing) + block;
    return { granted: true, token: this.token, before, expired };
  }

  #renew(token: number, { holder, ttlMs, numbers, block }: LeaseRequest): boolean {
    if (this.nowMs >= this.#untilMs || this.#holder !== `${token}:${holder}`) return false;
    this.#untilMs = this.nowMs + ttlMs;
    this.outgoing = numbers.outgoing + block;
    return true;
  }

  #release(token: number, { holder, numbers }: LeaseRequest): boolean {
    if (this.nowMs >= this.#untilMs || this.#holder !== `${token}:${holder}`) return false;
    this.#untilMs = this.nowMs;
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

test("a service whose clock is put forward does not have two lead", async () => {
  let early = 0;
  for (let seed = 1; seed <= 60; seed += 1) {
    const rng = new Rng(seed);
    const model = new Model(seed, 0);
    const sides = [new Side(model, "a", 1, TTL_MS * 0.04), new Side(model, "b", 1, TTL_MS * 0.04)];
    let highestToken = 0;
    for (let nowMs = 0; nowMs < 12_000; nowMs += 5) {
      await model.to(nowMs);
      if (rng.next() < 0.003) model.putClock();
      for (const side of sides) {
        const sent = side.turn(nowMs);
        if (sent === null) continue;
        expect(sent.token).toBeGreaterThanOrEqual(highestToken);
        highestToken = sent.token;
      }
    }
    early += sides[0].leadership.counters.early + sides[1].leadership.counters.early;
  }
  expect(early).toBeGreaterThan(20);
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
