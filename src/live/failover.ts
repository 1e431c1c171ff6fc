import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { FailoverConfig } from "../config/failover.ts";
import { tlsOptionsOf } from "../config/server-tls.ts";
import type { Clock } from "../core/clock.ts";
import { stepsToDecimal } from "../core/decimal.ts";
import { KeelError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import { LeaseFence } from "../failover/fence.ts";
import { Leadership, NUMBER_BLOCK } from "../failover/leadership.ts";
import type { LeaseService } from "../failover/lease-service.ts";
import { leaseService } from "../failover/service.ts";
import type { StreamRecord, StreamSnapshot } from "../failover/stream.ts";
import { StreamClient } from "../failover/stream-client.ts";
import { type FollowerState, StreamServer } from "../failover/stream-server.ts";
import type { SessionWord } from "../gateway/fix/followed-store.ts";
import { FixQuoteGateway } from "../gateway/fix/quote-gateway.ts";
import type { ExecutionDetail, SessionNumbers } from "../gateway/gateway.ts";
import type { DeskTap } from "../gateway/tap.ts";
import { BOOK_FILE, BookStore } from "../position/book-store.ts";
import type { KillState } from "../risk/kill-switch.ts";
import { KILL_SWITCH_FILE, KillSwitchStore } from "../risk/kill-switch-store.ts";
import type { ReducingState } from "../risk/trading-state.ts";
import type { LiveDesk } from "./live-desk.ts";

/** Highest token that this host knows of, beside the state of the desk. */
const TOKEN_FILE = "lease-token.json";
const TIMER_MS = 5;
const BEAT_MS = 100;
/** How long a start waits for the other one to say whether it leads. */
const FIRST_MS = 1_500;
/** After giving way the lease is not asked for so long, so that the other one gets it. */
const PAUSE_MS = 2_000;
/** For so long a switch waits for the other one to have everything. */
const READY_MS = 1_000;
/** A request to the coordination service that takes a larger share of the lease's length has failed. */
const TIMEOUT_SHARE = 0.4;
/** Fills of instruments that no feed has described yet. */
const WAITING_MAX = 65_536;

export interface FailoverReport {
  readonly role: "leader" | "passive";
  readonly holder: string;
  /** The last term of this process. */
  readonly token: number;
  readonly remainingMs: number;
  /** Who holds the lease, as it was last asked for. */
  readonly leader: string;
  readonly service: string;
  readonly serviceUp: boolean;
  readonly since: string;
  /** Of a leader: those that follow it. */
  readonly followers: readonly (FollowerState & { readonly behind: number })[];
  /** Of a passive one: it has everything that the leader has told. */
  readonly following: { readonly synced: boolean; readonly behind: number } | null;
  /** Why this process could not quote if it led. */
  readonly unfit: readonly string[];
}

export interface LiveFailoverOptions {
  readonly config: FailoverConfig;
  readonly stateDir: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * One of a pair: who leads is a lease's matter; the one that does not follows the other's fills, session and kill switch, runs on
 * the same feeds, and connects to the counterparty when it is given the lease.
 */
export class LiveFailover implements DeskTap {
  readonly fence: LeaseFence;
  readonly #options: LiveFailoverOptions;
  readonly #service: LeaseService;
  readonly #client: StreamClient | null;
  #server: StreamServer | null = null;
  #leadership: Leadership | null = null;
  #live: LiveDesk | null = null;
  /** Why the desk could not quote, apart from the session. */
  #unfit: () => readonly string[] = () => ["starting"];
  #interval: ReturnType<typeof setInterval> | undefined;
  #beatNs = 0;
  /** Since when a leader could not quote, monotonic ns; NaN while it can. */
  #unfitNs = Number.NaN;
  #first: ((snapshot: StreamSnapshot | null) => void) | null = null;
  /** What came of the leader before the desk was there. */
  #early: StreamRecord[] = [];
  #waiting: Extract<StreamRecord, { readonly what: "fill" }>[] = [];
  /** The leader's own word is being applied: it is not told again. */
  #applying = false;
  adoptions = 0;
  fillsFollowed = 0;
  fillsLost = 0;

  constructor(options: LiveFailoverOptions) {
    this.#options = options;
    const { config, clock, log } = options;
    this.fence = new LeaseFence(clock.monotonicNs);
    this.#service = leaseService(config.lease, Math.round(config.lease.ttlMs * TIMEOUT_SHARE));
    const { peer } = config;
    this.#client =
      peer === undefined
        ? null
        : new StreamClient({
            ...{ url: peer.url, token: peer.token, ca: peer.ca, holder: config.lease.holder },
            monotonicNs: clock.monotonicNs,
            onSnapshot: (snapshot) => this.#onSnapshot(snapshot),
            onRecord: (record) => this.#onRecord(record),
            onLost: () => this.#leadership?.hurry(),
            onProblem: (text) => log.warn("the leader cannot be followed", { problem: text }),
          });
  }

  /**
   * To be called before the desk is made: where the other one leads, its books and its kill switch replace this host's own. Returns when
   * it has answered, or soon when it does not.
   */
  async prepare(): Promise<void> {
    if (this.#client === null) return;
    const { promise, resolve } = Promise.withResolvers<StreamSnapshot | null>();
    this.#first = resolve;
    this.#client.follow();
    const timer = setTimeout(() => resolve(null), FIRST_MS);
    const snapshot = await promise;
    clearTimeout(timer);
    this.#first = null;
    if (snapshot === null) return;
    const { stateDir, log } = this.#options;
    mkdirSync(stateDir, { recursive: true });
    const books = new BookStore(join(stateDir, BOOK_FILE));
    books.load();
    books.saveSync(snapshot.books);
    books.close();
    new KillSwitchStore(join(stateDir, KILL_SWITCH_FILE)).save(snapshot.kill, snapshot.reducing);
    this.#early.unshift(...sessionRecords(snapshot));
    log.info("the leader's books are taken over", { positions: snapshot.positions.length });
  }

  /** What the FIX session tells of itself. */
  readonly follower = (word: SessionWord): void => this.#tell({ what: "session", word });

  onTrading(kill: KillState, reducing: ReducingState | null): void {
    if (!this.#applying) this.#tell({ what: "trading", kill, reducing });
  }

  /** The desk runs. @param unfit why it could not quote if the session were up */
  start(live: LiveDesk, unfit: () => readonly string[]): void {
    const { config, clock, log, stateDir } = this.#options;
    this.#live = live;
    this.#unfit = unfit;
    const numbers = (): SessionNumbers => {
      const store = live.gateway instanceof FixQuoteGateway ? live.gateway.session.store : null;
      const startedUs = store?.startedUs ?? Number.NaN;
      return {
        outgoing: Math.max(store?.nextOutgoing ?? 1, this.#client?.outgoing ?? 1),
        startedUs: Number.isNaN(startedUs) ? null : startedUs,
      };
    };
    const { gateway } = live;
    if (gateway instanceof FixQuoteGateway) this.fence.watch(() => gateway.session.store.nextOutgoing);
    const leadership = new Leadership({
      ...{ service: this.#service, fence: this.fence, holder: config.lease.holder },
      ttlMs: config.lease.ttlMs,
      monotonicNs: clock.monotonicNs,
      tokenFloor: readToken(join(stateDir, TOKEN_FILE)),
      numbers,
      unfit: () => "",
      onLead: (token, before) => {
        writeToken(join(stateDir, TOKEN_FILE), token, log);
        log.warn("this process leads", { term: token });
        this.#client?.leave();
        const floor = this.#client?.outgoing ?? 1;
        const outgoing = Math.max(before?.outgoing ?? 1, floor);
        live.lead(token, { outgoing, startedUs: before?.startedUs ?? null });
      },
      onFollow: (reason) => {
        log.warn("this process leads no more", { reason });
        this.#unfitNs = Number.NaN;
        const ended = live.standBy(reason);
        this.#client?.follow();
        return ended;
      },
      onProblem: (text) => log.error("the coordination service cannot be asked", { problem: text }),
    });
    this.#leadership = leadership;
    const { peer } = config;
    if (peer !== undefined) {
      this.#server = new StreamServer({
        ...{ host: peer.listen.host, port: peer.listen.port, token: peer.token },
        ...(peer.tls === undefined ? {} : { tls: tlsOptionsOf(peer.tls) }),
        run: `${config.lease.holder} ${clock.wallUs()}`,
        leading: () => leadership.role === "leader" && clock.monotonicNs() < this.fence.untilNs,
        snapshot: () => snapshotOf(live),
        outgoing: () => numbers().outgoing + NUMBER_BLOCK,
        onProblem: (text) => log.warn("a follower was turned away", { problem: text }),
      });
    }
    const early = this.#early;
    this.#early = [];
    for (const record of early) this.#apply(record, live);
    this.#interval = setInterval(() => this.#onTimer(), TIMER_MS);
  }

  /** What this process is of the pair, for people and scripts. */
  report(): FailoverReport {
    const leadership = this.#leadership;
    const { config } = this.#options;
    const number = this.#server?.number ?? 0;
    const followers = this.#server?.followers() ?? [];
    const leads = leadership?.role === "leader";
    return {
      role: leadership?.role ?? "passive",
      holder: config.lease.holder,
      token: leadership?.token ?? 0,
      remainingMs: Math.round(leadership?.remainingMs ?? 0),
      leader: leadership?.holder ?? "",
      service: this.#service.name,
      serviceUp: leadership?.serviceUp ?? false,
      since: leadership?.lastTransition ?? "starting",
      followers: followers.map((follower) => ({ ...follower, behind: number - follower.number })),
      following:
        leads || this.#client === null ? null : { synced: this.#client.synced, behind: this.#client.behind },
      unfit: this.#unfit(),
    };
  }

  get leadership(): Leadership | null {
    return this.#leadership;
  }

  get follows(): StreamClient | null {
    return this.#client;
  }

  get server(): StreamServer | null {
    return this.#server;
  }

  /**
   * Gives the lead to the other one: cancels everything, logs out, gives the lease back.
   *
   * @param force also where nobody is ready to take it
   * @throws KeelError when this process does not lead, or nobody is ready
   */
  async switch(reason: string, force: boolean): Promise<void> {
    const leadership = this.#leadership;
    if (leadership?.role !== "leader") throw new KeelError("not-leader", "this process does not lead");
    const { monotonicNs } = this.#options.clock;
    const untilNs = monotonicNs() + READY_MS * 1e6;
    while (!force && this.#ready() === null) {
      if (monotonicNs() > untilNs) {
        throw new KeelError("nobody-ready", "nobody follows that has everything and could quote");
      }
      await Bun.sleep(TIMER_MS);
    }
    await leadership.resign(reason, PAUSE_MS);
    this.#tell({ what: "released" });
  }

  async stop(): Promise<void> {
    clearInterval(this.#interval);
    this.#client?.leave();
    await this.#leadership?.stop(async () => {
      await this.#live?.gateway.follow?.("the process ends", this.#options.clock.wallUs());
    });
    this.#tell({ what: "released" });
    await this.#server?.stop();
  }

  // A tap of the desk: fills are told after the quotes that answer them have left.

  onFill(
    executionId: string,
    instrument: number,
    side: number,
    priceTicks: number,
    sizeLots: number,
    detail: ExecutionDetail,
  ): void {
    const live = this.#live;
    if (live === null || this.#applying) return;
    const { venue, symbol } = live.desk.market.instruments.get(instrument);
    const fill = { executionId, venue, symbol, side: side === 0 ? 0 : 1, priceTicks, sizeLots } as const;
    this.#tell({ what: "fill", ...fill, detail: { ...detail } });
  }

  onPrediction(): void {}
  onQuotes(): void {}
  onCancelAll(): void {}
  onTimer(): void {}
  close(): void {}

  #onTimer(): void {
    this.#leadership?.onTimer();
    this.#client?.onTimer();
    const nowNs = this.#options.clock.monotonicNs();
    if (nowNs - this.#beatNs < BEAT_MS * 1e6) return;
    this.#beatNs = nowNs;
    const unfit = this.#unfit();
    this.#server?.beat();
    this.#client?.tell(unfit);
    this.#settleWaiting();
    this.#giveWay(unfit, nowNs);
  }

  /** A leader that cannot quote, beside a passive one that could, is of no use. */
  #giveWay(unfit: readonly string[], nowNs: number): void {
    const { unfitMs } = this.#options.config;
    const live = this.#live;
    if (this.#leadership?.role !== "leader" || live === null || unfitMs === 0) return;
    if (unfit.length === 0 && live.gateway.ready) {
      this.#unfitNs = Number.NaN;
      return;
    }
    if (Number.isNaN(this.#unfitNs)) this.#unfitNs = nowNs;
    if (nowNs - this.#unfitNs < unfitMs * 1e6 || this.#ready() === null) return;
    this.#unfitNs = Number.NaN;
    const why = unfit[0] ?? "the counterparty's session is down";
    this.switch(`cannot quote: ${why}`, true).catch((error: unknown) => {
      this.#options.log.error("the lead cannot be given up", { error });
    });
  }

  /** A follower that has everything and could quote. */
  #ready(): FollowerState | null {
    const number = this.#server?.number ?? 0;
    const followers = this.#server?.followers() ?? [];
    return followers.find(({ unfit, number: had }) => unfit?.length === 0 && had === number) ?? null;
  }

  #tell(record: StreamRecord): void {
    if (!this.#applying) this.#server?.add(record);
  }

  #onSnapshot(snapshot: StreamSnapshot): void {
    if (this.#first !== null) {
      this.#first(snapshot);
      return;
    }
    const live = this.#live;
    if (live === null) return;
    const { log } = this.#options;
    this.adoptions += 1;
    log.warn("the leader's positions are taken over as a whole");
    const named = new Set(snapshot.positions.map(({ venue, symbol }) => `${venue}:${symbol}`));
    const flat = positionsOf(live).filter(({ venue, symbol }) => !named.has(`${venue}:${symbol}`));
    this.#waiting = [];
    live.adoptLeader([
      ...snapshot.positions,
      ...flat.map((position) => ({ ...position, size: "0", averagePrice: null })),
    ]);
    this.#apply({ what: "trading", kill: snapshot.kill, reducing: snapshot.reducing }, live);
    for (const record of sessionRecords(snapshot)) this.#apply(record, live);
  }

  #onRecord(record: StreamRecord): void {
    if (this.#live === null) this.#early.push(record);
    else this.#apply(record, this.#live);
  }

  #apply(record: StreamRecord, live: LiveDesk): void {
    if (record.what === "released") {
      this.#leadership?.hurry();
      return;
    }
    this.#applying = true;
    try {
      if (record.what === "fill") this.#fill(record, live);
      else if (record.what === "session") {
        if (live.gateway instanceof FixQuoteGateway) live.gateway.followSession(record.word);
      } else follow(record.kill, record.reducing, live);
    } finally {
      this.#applying = false;
    }
  }

  #fill(fill: Extract<StreamRecord, { readonly what: "fill" }>, live: LiveDesk): void {
    const instrument = live.desk.market.instruments.find(fill.venue, fill.symbol);
    if (instrument === undefined) {
      if (this.#waiting.length < WAITING_MAX) this.#waiting.push(fill);
      else this.fillsLost += 1;
      return;
    }
    this.fillsFollowed += 1;
    const { executionId, side, priceTicks, sizeLots } = fill;
    const detail: ExecutionDetail = Object.fromEntries(
      Object.entries(fill.detail).filter(([, value]) => value !== undefined),
    );
    const timeUs = this.#options.clock.wallUs();
    live.leaderEvents.onExecution(executionId, instrument.id, side, priceTicks, sizeLots, timeUs, detail);
  }

  #settleWaiting(): void {
    const live = this.#live;
    if (this.#waiting.length === 0 || live === null) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#applying = true;
    for (const fill of waiting) this.#fill(fill, live);
    this.#applying = false;
  }
}

/** The leader's trading state, on the desk that stands by. */
function follow(kill: KillState, reducing: ReducingState | null, live: LiveDesk): void {
  const { gate } = live.desk;
  if ((gate.kill.tripped && !kill.tripped) || (gate.reducing !== null && reducing === null)) live.resetKill();
  if (kill.tripped && !gate.kill.tripped) live.kill(kill.reason);
  if (reducing !== null && gate.reducing === null) live.reduce(reducing.reason);
}

function sessionRecords({ session }: StreamSnapshot): StreamRecord[] {
  if (session === null) return [];
  const { startedUs, nextIncoming } = session;
  const incoming = { what: "session", word: { said: "incoming", next: nextIncoming } } as const;
  if (startedUs === null) return [incoming];
  return [{ what: "session", word: { said: "reset", timeUs: startedUs } }, incoming];
}

function positionsOf({ desk }: LiveDesk): StreamSnapshot["positions"] {
  const { instruments } = desk.market;
  const positions: StreamSnapshot["positions"] = [];
  for (const { id, venue, symbol, lot } of instruments.all()) {
    const lots = desk.gate.positionLots(id);
    if (lots !== 0) positions.push({ venue, symbol, size: stepsToDecimal(lots, lot), averagePrice: null });
  }
  const averages = new Map(desk.book.view().map((view) => [`${view.venue}:${view.symbol}`, view.average]));
  return positions.map((position) => ({
    ...position,
    averagePrice: averages.get(`${position.venue}:${position.symbol}`) ?? null,
  }));
}

function snapshotOf(live: LiveDesk): StreamSnapshot {
  const { desk, gateway } = live;
  const store = gateway instanceof FixQuoteGateway ? gateway.session.store : null;
  return {
    books: desk.book.snapshot(),
    positions: positionsOf(live),
    kill: desk.gate.kill.state,
    reducing: desk.gate.reducing,
    session:
      store === null
        ? null
        : {
            nextIncoming: store.nextIncoming,
            startedUs: Number.isNaN(store.startedUs) ? null : store.startedUs,
          },
  };
}

/** @returns 0 where there is none; what cannot be read counts as none, for the service knows the token, too */
function readToken(path: string): number {
  try {
    const { token } = JSON.parse(readFileSync(path, "utf8")) as { readonly token?: unknown };
    return typeof token === "number" && Number.isSafeInteger(token) && token > 0 ? token : 0;
  } catch {
    return 0;
  }
}

function writeToken(path: string, token: number, log: Logger): void {
  try {
    writeFileSync(`${path}.new`, `${JSON.stringify({ token })}\n`, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  } catch (error) {
    log.error("the lease's token cannot be written", { error });
  }
}
