import type { FailoverConfig } from "../config/failover.ts";
import { tlsOptionsOf } from "../config/server-tls.ts";
import type { Clock } from "../core/clock.ts";
import { KeelError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import { LeaseFence } from "../failover/fence.ts";
import type { MovedTerm } from "../failover/handover/messages.ts";
import { Leadership, NUMBER_BLOCK } from "../failover/leadership.ts";
import type { LeaseService } from "../failover/lease-service.ts";
import { leaseService } from "../failover/service.ts";
import type { StreamRecord } from "../failover/stream.ts";
import { StreamClient } from "../failover/stream-client.ts";
import { type FollowerState, StreamServer } from "../failover/stream-server.ts";
import type { SessionWord } from "../gateway/fix/followed-store.ts";
import { FixQuoteGateway } from "../gateway/fix/quote-gateway.ts";
import type { SessionNumbers } from "../gateway/gateway.ts";
import { LeaderFollower } from "./failover-follower.ts";
import { snapshotOf } from "./failover-snapshot.ts";
import { TokenFile } from "./failover-token.ts";
import { GivingWay } from "./giving-way.ts";
import { inHours } from "./in-hours.ts";
import { LeaderTap } from "./leader-tap.ts";
import type { LiveDesk } from "./live-desk.ts";
import { Takeover, type TakeoverStages } from "./takeover.ts";

const TIMER_MS = 5;
const BEAT_MS = 100;
/** After giving way the lease is not asked for so long, so that the other one gets it. */
const PAUSE_MS = 2_000;
/** For so long a switch waits for the other one to have everything. */
const READY_MS = 1_000;
/** A request to the coordination service that takes a larger share of the lease's length has failed. */
const TIMEOUT_SHARE = 0.4;

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
  /** How this process's last takeover went. */
  readonly takeover: TakeoverStages;
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
export class LiveFailover extends LeaderTap {
  readonly fence: LeaseFence;
  readonly follower: LeaderFollower;
  readonly takeover: Takeover;
  readonly #options: LiveFailoverOptions;
  readonly #service: LeaseService;
  readonly #token: TokenFile;
  readonly #client: StreamClient | null;
  #server: StreamServer | null = null;
  #leadership: Leadership | null = null;
  /** Why the desk could not quote, apart from the session. */
  #unfit: () => readonly string[] = () => ["starting"];
  #interval: ReturnType<typeof setInterval> | undefined;
  #beatNs = 0;
  readonly #givingWay: GivingWay;
  /** What this process is called in the coordination service. */
  #holder: string;

  constructor(options: LiveFailoverOptions) {
    super();
    this.#options = options;
    const { config, stateDir, clock, log } = options;
    this.#holder = config.lease.holder;
    this.#givingWay = new GivingWay(config.unfitMs);
    this.#token = new TokenFile(stateDir, log);
    this.follower = new LeaderFollower(options, () => this.#leadership?.hurry());
    this.fence = new LeaseFence(clock.monotonicNs);
    this.takeover = new Takeover(clock.monotonicNs, ({ leaseMs, sessionMs, quoteMs }) =>
      log.info("this process quotes as the leader", { leaseMs, sessionMs, quoteMs }),
    );
    this.#service = leaseService(config.lease, Math.round(config.lease.ttlMs * TIMEOUT_SHARE));
    const { peer } = config;
    this.#client =
      peer === undefined
        ? null
        : new StreamClient({
            ...{ url: peer.url, token: peer.token, ca: peer.ca, certificate: peer.tls },
            holder: config.lease.holder,
            monotonicNs: clock.monotonicNs,
            onSnapshot: (snapshot) => {
              this.follower.onSnapshot(snapshot);
              // Somebody leads: whatever pause this one has made for that is over.
              this.#leadership?.hurry();
            },
            onRecord: (record) => this.follower.onRecord(record),
            onLost: () => this.#leadership?.hurry(),
            onProblem: (text) => log.warn("the leader cannot be followed", { problem: text }),
          });
  }

  /**
   * To be called before the desk is made: where the other one leads, this one begins with its books ({@link LeaderFollower.takeOver}).
   * Returns when it has answered, or soon when it does not.
   */
  async prepare(): Promise<void> {
    const client = this.#client;
    if (client === null) return;
    const taken = this.follower.takeOver();
    client.follow();
    const retries = setInterval(() => client.onTimer(), TIMER_MS);
    await taken;
    clearInterval(retries);
  }

  /** What the FIX session tells of itself. */
  readonly onSessionWord = (word: SessionWord): void => this.tell({ what: "session", word });

  /**
   * The desk runs.
   *
   * @param unfit why it could not quote if the session were up
   * @param moved the term of the process whose place this one takes; it is this one's once the service has prolonged it
   */
  start(live: LiveDesk, unfit: () => readonly string[], moved: MovedTerm | null = null): void {
    const { config, clock, log } = this.#options;
    this.live = live;
    this.#unfit = unfit;
    if (moved !== null) this.#holder = moved.holder;
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
      ...{ service: this.#service, fence: this.fence, holder: this.#holder },
      ttlMs: config.lease.ttlMs,
      monotonicNs: clock.monotonicNs,
      tokenFloor: this.#token.read(),
      onToken: (token) => this.#token.write(token),
      numbers,
      unfit: () => "",
      onLead: (token, before) => {
        log.warn("this process leads", { term: token });
        this.takeover.begin(leadership.seenNs);
        this.#givingWay.begin();
        this.#client?.leave();
        const floor = this.#client?.outgoing ?? 1;
        const outgoing = Math.max(before?.outgoing ?? 1, floor);
        live.lead(token, { outgoing, startedUs: before?.startedUs ?? null });
      },
      onFollow: (reason) => {
        log.warn("this process leads no more", { reason });
        this.takeover.end();
        const ended = live.standBy(reason);
        this.#client?.follow();
        return ended;
      },
      onProblem: (text) => log.error("trouble with the coordination service", { problem: text }),
    });
    this.#leadership = leadership;
    if (moved !== null) leadership.adopt(moved.token, moved.handle);
    const { peer } = config;
    if (peer !== undefined) {
      this.#server = new StreamServer({
        ...{ host: peer.listen.host, port: peer.listen.port, token: peer.token },
        ...(peer.tls === undefined ? {} : { tls: tlsOptionsOf(peer.tls) }),
        run: `${this.#holder} ${clock.wallUs()}`,
        leading: () => leadership.role === "leader" && clock.monotonicNs() < this.fence.untilNs,
        snapshot: () => snapshotOf(live),
        outgoing: () => numbers().outgoing + NUMBER_BLOCK,
        onProblem: (text) => log.warn("a follower was turned away", { problem: text }),
      });
    }
    this.follower.start(live);
    this.#client?.follow();
    this.#interval = setInterval(() => this.#onTimer(), TIMER_MS);
  }

  /** What this process is of the pair, for people and scripts. */
  report(): FailoverReport {
    const leadership = this.#leadership;
    const number = this.#server?.number ?? 0;
    const followers = this.#server?.followers() ?? [];
    const leads = leadership?.role === "leader";
    return {
      role: leadership?.role ?? "passive",
      holder: this.#holder,
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
      takeover: this.takeover.stages,
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
    this.tell({ what: "released" });
  }

  /**
   * For a process whose place another one of this host takes, when its session has been closed: the lease is not given back but moves.
   *
   * @returns null where this process does not lead
   */
  async handOver(): Promise<MovedTerm | null> {
    this.#client?.leave();
    const moved = (await this.#leadership?.handOver()) ?? null;
    clearInterval(this.#interval);
    await this.#server?.stop();
    return moved === null ? null : { ...moved, holder: this.#holder };
  }

  async stop(): Promise<void> {
    clearInterval(this.#interval);
    this.#client?.leave();
    await this.#leadership?.stop(async () => {
      // Clients, too, are answered nothing any more: once the lease is given back they are the other one's.
      await this.live?.standBy("the process ends");
    });
    this.tell({ what: "released" });
    await this.#server?.stop();
  }

  #onTimer(): void {
    this.#leadership?.onTimer();
    this.#client?.onTimer();
    this.takeover.onTimer(this.live?.gateway.ready === true);
    const nowNs = this.#options.clock.monotonicNs();
    if (nowNs - this.#beatNs < BEAT_MS * 1e6) return;
    this.#beatNs = nowNs;
    const unfit = this.#unfit();
    this.#server?.beat();
    this.#client?.tell(unfit);
    const gateway = this.live?.gateway;
    if (gateway instanceof FixQuoteGateway) gateway.followOutgoing(this.#client?.outgoing ?? 1);
    this.follower.settleWaiting();
    this.#giveWay(unfit, nowNs);
  }

  /** A leader that cannot quote, beside a passive one that could, is of no use. */
  #giveWay(unfit: readonly string[], nowNs: number): void {
    const live = this.live;
    if (this.#leadership?.role !== "leader" || live === null) return;
    const standing = { unfit, sessionUp: live.gateway.ready, inHours: inHours(live) };
    const why = this.#givingWay.why(standing, nowNs);
    if (why === null || this.#ready() === null) return;
    this.#givingWay.gave();
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

  override onQuotes(): void {
    this.takeover.onQuotes();
  }

  protected override tell(record: StreamRecord): void {
    if (!this.follower.applying) this.#server?.add(record);
  }
}
