import { KeelError } from "../core/errors.ts";
import { invariant } from "../core/invariant.ts";
import type { LeaseFence } from "./fence.ts";
import type { LeaseRequest, LeaseService, SessionNumbers } from "./lease-service.ts";
import { ServiceClock } from "./service-clock.ts";

export type Role = "passive" | "leader";

/** Shares of the lease's length, counted from when the last granted request was sent. */
const RENEW_AFTER = 0.2;
/** Nothing is quoted any more: what stands is cancelled and the session logged out, while that may still leave. */
const SILENT_AFTER = 0.65;
/** The way to the socket is shut. What remains allows for clocks that run at different rates, and for the way to the peer. */
const SHUT_AFTER = 0.85;
/** How often a passive asks at least, while it has been told that the lease is held. */
const ASK_MS_MAX = 50;
/** Share of the lease's length by which its end may lie later than the service says: less than a holder is silent before it. */
const UNSURE = 0.1;
/** A step of the service's clock that is told. */
const STEP_MS = 20;
/** After an answer that did not come: shorter than the lease, longer than a service that is busy. */
const RETRY_MS = 50;
/** Session numbers that a lease covers beyond those used; renewing covers as many again. */
export const NUMBER_BLOCK = 16_384;

export interface LeadershipOptions {
  readonly service: LeaseService;
  readonly fence: LeaseFence;
  readonly holder: string;
  readonly ttlMs: number;
  readonly monotonicNs: () => number;
  /** Highest token known from earlier runs. */
  readonly tokenFloor: number;
  /** A token higher than any known before, whoever has it: to be kept for later runs. */
  readonly onToken?: (token: number) => void;
  /** The session's numbers as they are now. */
  readonly numbers: () => SessionNumbers;
  /** Why this process should not lead now; empty when nothing speaks against it. Asked before the lease is. */
  readonly unfit: () => string;
  /** The way to the wire is open: take over. `before` is what the holders before left of the session. */
  readonly onLead: (token: number, before: SessionNumbers | null) => void;
  /**
   * Cancel everything and log out. The way to the wire is open for a moment more, unless somebody else has the lease already.
   * Resolves when the session has ended or has been given up.
   */
  readonly onFollow: (reason: string) => Promise<void>;
  readonly onProblem: (text: string) => void;
}

export interface LeadershipCounters {
  terms: number;
  renewals: number;
  failures: number;
  /** Terms that ended because the lease was lost or could not be renewed in time. */
  lost: number;
  /** Times that the lease could be had before the holder's time was over, and was not taken. */
  early: number;
}

/**
 * Who of a pair leads, by a lease. A leader that cannot renew falls silent before the lease ends, by the monotonic clock and
 * counted from when it asked, not from when it was answered. Nothing here waits: to be called every few milliseconds.
 */
export class Leadership {
  readonly counters: LeadershipCounters = { terms: 0, renewals: 0, failures: 0, lost: 0, early: 0 };
  readonly #options: LeadershipOptions;
  #role: Role = "passive";
  #token = 0;
  /** Highest known, of this process or of another one: no token up to it is granted again, even where the service has lost its data. */
  #tokenFloor: number;
  /** When the request was sent that the present term rests on. */
  #grantedNs = Number.NEGATIVE_INFINITY;
  #nextNs = Number.NEGATIVE_INFINITY;
  /** Whoever had the lease may count on it until then, though the service would grant it. */
  #notBeforeNs = Number.NEGATIVE_INFINITY;
  /** The last one that was granted before its time, and left to whoever had the lease until then. */
  #parkedToken = Number.NaN;
  #asking: Promise<void> | null = null;
  #holder = "";
  readonly #serviceClock = new ServiceClock();
  /** When another one was last seen to hold the lease. */
  #seenNs = Number.NEGATIVE_INFINITY;
  #stopped = false;
  #lastProblem = "";
  #lastTransition = "started";
  #silent = false;

  constructor(options: LeadershipOptions) {
    this.#options = options;
    this.#tokenFloor = options.tokenFloor;
  }

  get role(): Role {
    return this.#role;
  }

  /** Of this process's last term; 0 = it has not led. */
  get token(): number {
    return this.#token;
  }

  /** Who held the lease when it was last asked for; empty while not known. */
  get holder(): string {
    return this.#role === "leader" ? this.#options.holder : this.#holder;
  }

  /** When another one was last seen to hold the lease, monotonic ns; -Infinity before. */
  get seenNs(): number {
    return this.#seenNs;
  }

  get lastTransition(): string {
    return this.#lastTransition;
  }

  /** The coordination service's last word was an answer. */
  get serviceUp(): boolean {
    return this.#lastProblem === "";
  }

  /** What is left of the time in which this process may quote, ms; 0 for one that does not lead. */
  get remainingMs(): number {
    if (this.#role !== "leader") return 0;
    return Math.max(0, this.#silentNs - this.#options.monotonicNs()) / 1e6;
  }

  get #silentNs(): number {
    return this.#grantedNs + this.#options.ttlMs * 1e6 * SILENT_AFTER;
  }

  onTimer(): void {
    if (this.#stopped) return;
    const { monotonicNs, ttlMs } = this.#options;
    const nowNs = monotonicNs();
    if (this.#role === "leader" && nowNs >= this.#silentNs) {
      this.counters.lost += 1;
      void this.#follow("the lease could not be renewed in time");
      // What is given back while the way is still open could be had by another one at once.
      this.#notBeforeNs = Math.max(this.#notBeforeNs, this.#grantedNs + ttlMs * 1e6 * SHUT_AFTER);
      this.#nextNs = this.#notBeforeNs;
    }
    if (this.#asking !== null || nowNs < this.#nextNs) return;
    if (this.#role === "leader") this.#ask(() => this.#renew());
    else if (this.#options.unfit() === "") this.#ask(() => this.#acquire());
  }

  /** The lease may be free now: it is asked for at the next {@link onTimer}. */
  hurry(): void {
    if (this.#role === "passive" && !this.#silent) this.#nextNs = this.#notBeforeNs;
  }

  /**
   * Gives the lease back, for the other one to take, and does not ask for it for a while.
   *
   * @throws KeelError when this process does not lead
   */
  async resign(reason: string, pauseMs: number): Promise<void> {
    if (this.#role !== "leader") throw new KeelError("not-leader", "this process does not lead");
    this.#silent = true;
    this.#nextNs = Number.POSITIVE_INFINITY;
    await this.#follow(reason);
    this.#options.fence.close();
    await this.#release();
    this.#nextNs = this.#options.monotonicNs() + pauseMs * 1e6;
    this.#silent = false;
  }

  /**
   * Another process of this host had the lease under this token and has let go of it for this one: it is this one's once the service
   * has prolonged it, counted from when this process asked.
   *
   * @param handle the service's own name of the lease
   */
  adopt(token: number, handle: string): void {
    invariant(this.#role === "passive" && this.#asking === null, "a process takes over a term as its first");
    this.#options.service.adopt(handle);
    this.#ask(() => this.#takeOn(token));
  }

  /**
   * Ends for good without giving the lease back: it is another process's to prolong. The session must have been closed before.
   *
   * @returns null where this process does not lead
   */
  async handOver(): Promise<{ token: number; handle: string; numbers: SessionNumbers } | null> {
    await this.#asking;
    const { service, numbers, fence } = this.#options;
    const led = this.#role === "leader";
    this.#stopped = true;
    fence.close();
    this.#role = "passive";
    // The one that takes it on has the whole of its length to do so.
    const held = led && (await service.renew(this.#token, this.#request()).catch(() => false));
    const { handle } = service;
    service.close();
    return held ? { token: this.#token, handle, numbers: numbers() } : null;
  }

  /** Ends for good; the lease is given back once the session has been logged out. */
  async stop(logOut: () => Promise<void>): Promise<void> {
    const led = this.#role === "leader";
    this.#stopped = true;
    await logOut();
    this.#role = "passive";
    if (led) await this.#release();
    this.#options.fence.close();
    this.#options.service.close();
  }

  #ask(question: () => Promise<void>): void {
    this.#asking = question()
      .then(() => {
        this.#lastProblem = "";
      })
      .catch((error: unknown) => {
        this.counters.failures += 1;
        this.#nextNs = this.#options.monotonicNs() + RETRY_MS * 1e6;
        const text = error instanceof Error ? error.message : String(error);
        if (text !== this.#lastProblem) this.#options.onProblem(text);
        this.#lastProblem = text;
      })
      .finally(() => {
        this.#asking = null;
      });
  }

  async #acquire(): Promise<void> {
    const { service, monotonicNs, ttlMs, numbers, onLead } = this.#options;
    const request = this.#request();
    const sentNs = monotonicNs();
    const answer = await service.acquire(request);
    const nowNs = monotonicNs();
    const { putMs, forwardMsMax } =
      answer.clockMs === null
        ? { putMs: 0, forwardMsMax: 0 }
        : this.#serviceClock.look(answer.clockMs, sentNs, nowNs);
    if (Math.abs(putMs) > STEP_MS) {
      this.#options.onProblem(`the coordination service's clock was put by ${Math.round(putMs)} ms`);
    }
    this.#know(answer.token);
    if (!answer.granted) {
      this.#holder = answer.holder;
      this.#seenNs = sentNs;
      // Its holder knows nothing of a step, and counts on the whole of it.
      if (forwardMsMax === Number.POSITIVE_INFINITY) this.#bar(nowNs, ttlMs);
      const waitMs = answer.remainingMs > 0 ? Math.min(answer.remainingMs + 1, ASK_MS_MAX) : ASK_MS_MAX;
      this.#nextNs = nowNs + waitMs * 1e6;
      return;
    }
    this.#grantedNs = sentNs;
    this.#token = answer.token;
    // Nobody else has been granted it since, and the time of whoever had it before has been waited for.
    const waited = answer.token === this.#parkedToken + 1;
    if (answer.expired && !waited && forwardMsMax > ttlMs * UNSURE)
      this.#bar(nowNs, Math.min(forwardMsMax, ttlMs));
    if (answer.expired && nowNs < this.#notBeforeNs) {
      this.counters.early += 1;
      const forMs = Math.ceil((this.#notBeforeNs - nowNs) / 1e6);
      this.#options.onProblem(`the lease is free, but its holder may count on it for ${forMs} ms more`);
      this.#parkedToken = answer.token;
      await this.#giveBack(answer.token, request, answer.before, true);
      this.#nextNs = this.#notBeforeNs;
      return;
    }
    if (this.#stopped || nowNs >= this.#silentNs) {
      // Too late to make anything of it.
      await this.#giveBack(answer.token, request, answer.before, false);
      return;
    }
    const from = Math.max(numbers().outgoing, answer.before?.outgoing ?? 0);
    this.#options.fence.open(answer.token, sentNs + ttlMs * 1e6 * SHUT_AFTER, from + NUMBER_BLOCK);
    this.#role = "leader";
    this.counters.terms += 1;
    this.#lastTransition = "took the lead";
    this.#nextNs = sentNs + ttlMs * 1e6 * RENEW_AFTER;
    onLead(answer.token, answer.before);
  }

  #know(token: number): void {
    if (token <= this.#tokenFloor) return;
    this.#tokenFloor = token;
    this.#options.onToken?.(token);
  }

  /** Whoever had the lease may count on it for so long, though the service would grant it. */
  #bar(nowNs: number, forMs: number): void {
    this.#notBeforeNs = Math.max(this.#notBeforeNs, nowNs + forMs * 1e6);
  }

  /**
   * What was granted and is not made use of. Numbers of the holders before count as used all the same.
   *
   * @param owed whoever had it before may still count on it
   */
  async #giveBack(
    token: number,
    request: LeaseRequest,
    before: SessionNumbers | null,
    owed: boolean,
  ): Promise<void> {
    const { numbers } = request;
    const outgoing = Math.max(numbers.outgoing, before?.outgoing ?? 0);
    const startedUs = Math.max(numbers.startedUs ?? 0, before?.startedUs ?? 0);
    const left = { outgoing, startedUs: startedUs === 0 ? null : startedUs };
    await this.#options.service.release(token, { ...request, numbers: left }, owed).catch(() => false);
  }

  async #takeOn(token: number): Promise<void> {
    const { service, fence, monotonicNs, ttlMs, onLead } = this.#options;
    this.#know(token);
    const request = this.#request();
    const sentNs = monotonicNs();
    const held = await service.renew(token, request);
    if (!held || this.#stopped) return;
    this.#grantedNs = sentNs;
    if (monotonicNs() >= this.#silentNs) return;
    this.#token = token;
    fence.open(token, sentNs + ttlMs * 1e6 * SHUT_AFTER, request.numbers.outgoing + NUMBER_BLOCK);
    this.#role = "leader";
    this.counters.terms += 1;
    this.#lastTransition = "took the lead on from the process before it";
    this.#nextNs = sentNs + ttlMs * 1e6 * RENEW_AFTER;
    onLead(token, null);
  }

  async #renew(): Promise<void> {
    const { service, monotonicNs, ttlMs } = this.#options;
    const token = this.#token;
    const request = this.#request();
    const sentNs = monotonicNs();
    const held = await service.renew(token, request);
    if (this.#role !== "leader" || this.#token !== token) return;
    if (!held) {
      this.counters.lost += 1;
      this.#options.fence.close();
      void this.#follow("the lease is another's");
      return;
    }
    this.#grantedNs = sentNs;
    this.counters.renewals += 1;
    this.#options.fence.open(
      token,
      sentNs + ttlMs * 1e6 * SHUT_AFTER,
      request.numbers.outgoing + NUMBER_BLOCK,
    );
    this.#nextNs = sentNs + ttlMs * 1e6 * RENEW_AFTER;
  }

  /** Whatever the answer, the lease ends by itself soon. */
  async #release(): Promise<void> {
    await this.#asking;
    try {
      await this.#options.service.release(this.#token, this.#request());
    } catch (error) {
      this.#options.onProblem(error instanceof Error ? error.message : String(error));
    }
  }

  #follow(reason: string): Promise<void> {
    invariant(this.#role === "leader", "only a leader ceases to lead");
    this.#role = "passive";
    this.#lastTransition = reason;
    return this.#options.onFollow(reason);
  }

  #request(): LeaseRequest {
    const { holder, ttlMs, numbers } = this.#options;
    return { holder, ttlMs, tokenFloor: this.#tokenFloor, numbers: numbers(), block: NUMBER_BLOCK };
  }
}
