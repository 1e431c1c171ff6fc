import { hostname } from "node:os";
import { tlsOptionsOf } from "../config/server-tls.ts";
import type { Config } from "../config.ts";
import { RegularCollection } from "../core/background.ts";
import type { Clock } from "../core/clock.ts";
import { EXIT } from "../core/errors.ts";
import { invariant } from "../core/invariant.ts";
import type { Logger } from "../core/log.ts";
import { PlacedLoop } from "../core/placed-loop.ts";
import type { Desk } from "../desk/desk.ts";
import { Distributor } from "../distribution/distributor.ts";
import type { MovedTerm, Released } from "../failover/handover/messages.ts";
import { DeribitGateway } from "../gateway/deribit/gateway.ts";
import { FixQuoteGateway } from "../gateway/fix/quote-gateway.ts";
import type { QuoteGateway } from "../gateway/gateway.ts";
import { AlertWatch } from "../monitor/alerts/watch.ts";
import type { WebhookOptions } from "../monitor/alerts/webhook.ts";
import { registerDashboardMetrics } from "../monitor/dashboard/metrics.ts";
import { DiskSpace } from "../monitor/disk-space.ts";
import { HttpServer } from "../monitor/http.ts";
import { registerHttpMetrics } from "../monitor/http-metrics.ts";
import { ServiceNotifier } from "../monitor/service-notifier.ts";
import { removeDeadSocket } from "../monitor/socket-file.ts";
import type { RfqInput } from "../rfq/message.ts";
import type { CounterpartyCounters } from "../sim/counterparty.ts";
import { Peers } from "../sim/peers.ts";
import { sessionOf } from "./counterparty-session.ts";
import { LiveFailover } from "./failover.ts";
import { registerFailoverMetrics } from "./failover-metrics.ts";
import { LiveHandover, leftBy } from "./handover.ts";
import { httpTarget, unfit, unready } from "./http-target.ts";
import { LiveDesk, type LiveSummary } from "./live-desk.ts";
import { liveMetrics } from "./live-metrics.ts";
import { LiveOutcomes } from "./outcomes.ts";
import { RetrainWatch } from "./retrain-watch.ts";
import { RunLock } from "./run-lock.ts";
import { ServiceTap } from "./service-tap.ts";
import { checkNumbers, Succession } from "./succession.ts";
import { configuredTaps } from "./taps.ts";
import { LiveWatch } from "./watch.ts";
import { writtenFolders } from "./written-folders.ts";

const PAPER_COMP_ID = "PAPER";
const DISK_MS = 10_000;
/** How long a process that ends waits for its service manager to be told of the next one. */
const TOLD_MS = 500;
/** A leader that has just taken over tries again soon, while the counterparty still holds the dead one's session. */
const PAIR_RECONNECT_CAP_MS = 1_000;

export interface SessionSummary extends LiveSummary {
  /** `paper` when no counterparty is configured: one on this host took the quotes, over a real socket. */
  readonly counterparty: string;
  /** What the paper counterparty counted; null with a real one. */
  readonly paper: CounterpartyCounters | null;
  /** Process that has taken this one's place; null where none has. */
  readonly successor: number | null;
}

export interface SessionOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly clock: Clock;
  /** Takes the place of the process that runs with the same state directory, where one does. */
  readonly handover?: boolean;
  /** Told to end before the session has started. */
  readonly shutdown?: AbortSignal;
  /** Peers that are there already (the demo's); otherwise a paper counterparty is started where none is configured. */
  readonly peers?: Peers;
}

interface SessionParts {
  readonly lock: RunLock;
  readonly handover: LiveHandover;
  /** What the process left whose place this one took; null where there was none. */
  readonly released: Released | null;
  readonly failover: LiveFailover | null;
  readonly live: LiveDesk;
  readonly http: HttpServer | null;
  readonly peers: Peers | null;
  readonly counterparty: string;
  readonly distributor: Distributor | null;
  readonly placed: PlacedLoop;
  readonly collection: RegularCollection;
  readonly notifier: ServiceNotifier | null;
  readonly alerts: AlertWatch;
  readonly disk: DiskSpace;
  readonly retrain: RetrainWatch;
}

/** A live desk with everything a process puts around it: counterparty, HTTP, signals. */
export class Session {
  readonly live: LiveDesk;
  readonly http: HttpServer | null;
  readonly #parts: SessionParts;
  readonly #diskTimer: ReturnType<typeof setInterval>;
  readonly #onHup: () => void;
  readonly #onUsr1: () => void;
  readonly #onUncaught: (error: unknown) => void;

  /** @throws KeelError naming what is missing, RunningEndedError when the process ended whose place this one was to take. */
  static async start(options: SessionOptions): Promise<Session> {
    const { config, log } = options;
    const succession = options.handover === true ? await Succession.begin(config.stateDir, log) : null;
    if (succession === null && options.handover === true) {
      log.warn("no process runs with this state directory: starts as usual");
    }
    const lock = succession === null ? RunLock.take(config.stateDir, log) : null;
    try {
      return await Session.#begin(options, succession, lock);
    } catch (error) {
      lock?.release();
      succession?.taker.close();
      throw error;
    }
  }

  static async #begin(
    options: SessionOptions,
    succession: Succession | null,
    owned: RunLock | null,
  ): Promise<Session> {
    const { config, log, clock } = options;
    const isPaper = config.fix === undefined && config.deribit === undefined;
    const peers =
      options.peers ??
      (isPaper
        ? await Peers.start({
            seed: config.seed,
            counterparty: { senderCompId: PAPER_COMP_ID, targetCompId: "KEEL", meanTradeIntervalMs: null },
          })
        : null);
    if (isPaper && options.peers === undefined) {
      log.warn("KEEL_FIX_HOST is not set: quotes go to a paper counterparty on this host");
    }
    if (config.feeds.every(({ venue }) => venue === "binance-spot")) {
      log.warn("spot instruments are predicted on, not quoted: with these feeds no quote is sent");
    }
    const failover =
      config.failover === undefined
        ? null
        : new LiveFailover({ config: config.failover, stateDir: config.stateDir, clock, log });
    if (succession === null) await failover?.prepare();
    const handover = new LiveHandover(config.stateDir, log);
    const serviceManager = config.serviceManager ?? succession?.taker.estate.serviceManager ?? null;
    const notifier = serviceManager === null ? null : new ServiceNotifier(serviceManager);
    let prepared: LiveDesk | null = null;
    let distributor: Distributor | null = null;
    const live = await LiveDesk.prepare({
      config,
      log,
      clock,
      pair: failover !== null,
      ...(failover === null ? {} : { checkTerm: () => failover.leadership?.onTimer() }),
      ...(succession === null ? {} : { successor: succession.successor(config) }),
      onTrading: (kill, reducing) => {
        failover?.onTrading(kill, reducing);
        handover.onTrading(kill, reducing);
      },
      onSides: (symbol, sides) => {
        failover?.onSides(symbol, sides);
        handover.onSides(symbol, sides);
      },
      gateway: (desk) =>
        gateway(options, desk, isPaper ? peers : null, failover, {
          onSignal: (frame) => prepared?.takeSignal(frame),
          onRfq: (input) => prepared?.takeRfq(input),
        }),
      taps: (desk, model, gateway) => {
        const taps = configuredTaps(config, desk, model, {
          clock,
          log,
          onRfq: (input) => prepared?.takeRfq(input),
          counterpartyUp: () => prepared?.gateway.ready ?? false,
          onSignal: (frame) => prepared?.takeSignal(frame),
          onDrift: (change) => prepared?.takeDrift(change),
          onCalibration: (slot, head, platt) => prepared?.takeCalibration(slot, head, platt),
        });
        if (gateway instanceof DeribitGateway && gateway.blockRfqs !== null) taps.push(gateway.blockRfqs);
        distributor = taps.find((tap) => tap instanceof Distributor) ?? null;
        const service =
          notifier === null
            ? []
            : [new ServiceTap(notifier, () => (prepared === null ? "" : standing(prepared, failover)))];
        return [...taps, ...service, ...(failover === null ? [] : [failover]), handover];
      },
    });
    prepared = live;
    const taken = succession === null ? null : await takePlace(succession, live, options, failover === null);
    const lock = owned ?? taken?.lock;
    invariant(lock !== undefined, "a session that took nobody's place has the state directory already");
    const told = taken === null ? null : succession?.taker.taken(taken.lock.token);
    const disk = new DiskSpace(writtenFolders(config), () => clock.monotonicNs());
    const metrics = liveMetrics(live, distributor, disk);
    if (failover !== null) registerFailoverMetrics(metrics, failover);
    const retrain = new RetrainWatch(config.stateDir, metrics);
    const alerts = new AlertWatch({ metrics, clock, log, webhook: webhookOf(config) });
    if (config.http?.unix !== undefined) await removeDeadSocket(config.http.unix);
    const http =
      config.http === undefined
        ? null
        : new HttpServer(
            {
              hostname: config.http.hostname,
              port: config.http.port,
              token: config.http.token?.reveal() ?? null,
              viewToken: config.http.viewToken?.reveal() ?? null,
              tls: config.http.tls === undefined ? undefined : tlsOptionsOf(config.http.tls),
              unix: config.http.unix,
              onFault: (error) => log.error("a request over HTTP could not be answered", { error }),
            },
            httpTarget(live, metrics, alerts, failover),
          );
    if (http?.dashboard != null) registerDashboardMetrics(metrics, http.dashboard);
    if (http !== null) {
      registerHttpMetrics(metrics, http);
      const unix = config.http?.unix;
      log.info(
        "HTTP is served",
        unix === undefined ? { hostname: config.http?.hostname, port: http.port } : { unix },
      );
    }
    const counterparty =
      config.deribit === undefined ? (config.fix?.targetCompId ?? "paper") : new URL(config.deribit.url).host;
    const placed = new PlacedLoop(config.placement);
    const collection = new RegularCollection(config.collectSeconds);
    await told;
    return new Session({
      ...{ lock, handover, released: taken?.released ?? null },
      failover,
      live,
      http,
      peers,
      counterparty,
      distributor,
      placed,
      collection,
      notifier,
      alerts,
      disk,
      retrain,
    });
  }

  private constructor(parts: SessionParts) {
    const { live, notifier, failover } = parts;
    this.#parts = parts;
    this.live = live;
    this.http = parts.http;
    this.#onUsr1 = () => live.trading.kill("signal");
    // No trust, no quote: what happens after an error nobody foresaw cannot be known, so everything is cancelled first.
    this.#onUncaught = (error) => {
      live.log.error("uncaught error: quotes are cancelled and the process ends", { error });
      try {
        live.abandon();
        notifier?.stopping("ends after an error that nobody foresaw; quotes are cancelled");
      } finally {
        process.exit(EXIT.failed);
      }
    };
    this.#onHup = () => {
      notifier?.reloading(live.clock.monotonicNs() / 1_000);
      live.trading.reloadLimits(process.env);
      notifier?.ready(standing(live, failover));
    };
    process.on("SIGHUP", this.#onHup);
    process.on("SIGUSR1", this.#onUsr1);
    process.on("uncaughtException", this.#onUncaught);
    process.on("unhandledRejection", this.#onUncaught);
    void parts.disk.refresh();
    this.#diskTimer = setInterval(() => void parts.disk.refresh(), DISK_MS);
    this.#diskTimer.unref();
    const { released, handover } = parts;
    if (released === null) live.start();
    failover?.start(live, () => unfit(live), released?.lease ?? null);
    handover.start(live, () => unfit(live), notifier?.manager ?? null);
    if (released !== null) notifier?.mainProcess(process.pid);
    notifier?.ready(standing(live, failover));
  }

  /** Fulfilled when another process is ready to take this one's place: it is to be stopped. */
  get replaced(): Promise<void> {
    return this.#parts.handover.asked;
  }

  /** Ends in order; where another process takes this one's place, gives it everything that is to go on. */
  async stop(): Promise<SessionSummary> {
    const { lock, handover, failover, peers, counterparty, distributor, placed, notifier, alerts } =
      this.#parts;
    const { giver } = handover;
    const successor = giver?.releasing === true ? giver.successor : null;
    // A successor has the same processor: two loops that never sleep would hold each other up.
    placed.stop();
    this.#parts.collection.stop();
    alerts.stop();
    clearInterval(this.#diskTimer);
    this.#parts.retrain.stop();
    let summary: LiveSummary;
    let lease: MovedTerm | null = null;
    if (successor === null) {
      notifier?.stopping("cancels all quotes and logs out");
      giver?.stop();
      await failover?.stop();
      summary = await this.live.stop();
    } else {
      notifier?.status(`process ${successor.pid} takes over`);
      summary = await this.live.stop();
      lease = (await failover?.handOver()) ?? null;
      giver?.stop();
    }
    process.off("SIGHUP", this.#onHup);
    process.off("SIGUSR1", this.#onUsr1);
    process.off("uncaughtException", this.#onUncaught);
    process.off("unhandledRejection", this.#onUncaught);
    await this.http?.stop();
    lock.release();
    const taken = successor !== null && (await this.#letGo(successor.pid, summary, lease));
    await distributor?.ended();
    for (const tap of this.live.taps) {
      if (tap instanceof LiveOutcomes || tap instanceof LiveWatch) await tap.ended();
    }
    await this.live.models?.ended();
    const counters = (await peers?.stop()) ?? null;
    notifier?.close();
    return { ...summary, counterparty, paper: counters, successor: taken ? (successor?.pid ?? null) : null };
  }

  /** @returns whether the successor has this process's place now; otherwise nobody has it */
  async #letGo(pid: number, { journal }: LiveSummary, lease: MovedTerm | null): Promise<boolean> {
    const { lock, handover, notifier } = this.#parts;
    const { log } = this.live;
    const end = journal?.digest == null ? null : { runId: journal.runId, digest: journal.digest };
    const left = leftBy(this.live, { token: lock.token, journal: end, lease });
    const taken = (await handover.giver?.release(left)) === true;
    if (!taken) {
      handover.giver?.abandon();
      log.error("the process that was to take over has not done so", { pid });
      return false;
    }
    notifier?.mainProcess(pid);
    await notifier?.told(TOLD_MS);
    handover.giver?.succeed();
    log.info("another process has taken over", { pid });
    return true;
  }
}

/** Has the running process let go and takes what it leaves. @param alone no lease says who leads */
async function takePlace(
  succession: Succession,
  live: LiveDesk,
  { config, log, shutdown }: SessionOptions,
  alone: boolean,
): Promise<{ readonly lock: RunLock; readonly released: Released }> {
  let lock: RunLock | null = null;
  try {
    live.start();
    const released = await succession.take(live, () => unfit(live), config.timeouts.handoverMs, shutdown);
    lock = RunLock.take(config.stateDir, log);
    live.takePlace(released.journal, alone ? lock.token : null);
    if (released.state.trades !== undefined) live.gateway.adoptTrades?.(released.state.trades);
    checkNumbers(live, released);
    return { lock, released };
  } catch (error) {
    await live.stop();
    lock?.release();
    throw error;
  }
}

function gateway(
  { config, log, clock }: SessionOptions,
  desk: Desk,
  paper: Peers | null,
  failover: LiveFailover | null,
  { onSignal, onRfq }: { onSignal: (frame: string) => void; onRfq: (input: RfqInput) => void },
): QuoteGateway {
  if (config.deribit !== undefined) {
    return new DeribitGateway({
      ...config.deribit,
      instruments: desk.market.instruments,
      levels: config.quote.levels,
      seed: config.seed,
      clock,
      onProblem: (text) => log.warn("deribit", { problem: text }),
      ...(config.deribit.blockRfqs ? { onRfq } : {}),
      ...(failover === null
        ? {}
        : { pair: { fence: failover.fence }, reconnectCapMs: PAIR_RECONNECT_CAP_MS }),
    });
  }
  const common = {
    instruments: desk.market.instruments,
    seed: config.seed,
    levels: config.quote.levels,
    clock,
    onProblem: (text: string) => log.warn("counterparty", { problem: text }),
    ...(desk.signals === null ? {} : { onSignal }),
  } as const;
  if (paper !== null) {
    return new FixQuoteGateway({
      ...common,
      version: "4.4",
      host: "127.0.0.1",
      port: paper.address.counterpartyPort,
      senderCompId: "KEEL",
      targetCompId: PAPER_COMP_ID,
      heartbeatSeconds: 30,
      resetOnLogon: true,
      storeDir: null,
    });
  }
  invariant(config.fix !== undefined, "a desk without a paper counterparty has a configured one");
  const pair =
    failover === null
      ? {}
      : {
          pair: { fence: failover.fence, follower: failover.onSessionWord },
          reconnectCapMs: PAIR_RECONNECT_CAP_MS,
        };
  return new FixQuoteGateway({ ...common, ...sessionOf(config.fix), ...pair });
}

function webhookOf({ alerts }: Config): WebhookOptions | null {
  return alerts === undefined ? null : { ...alerts, instance: hostname() };
}

/** What the process is doing, in one sentence for the service manager. */
function standing(live: LiveDesk, failover: LiveFailover | null): string {
  const waiting = unready(live, failover);
  return waiting.length === 0 ? "quoting" : `not quoting: ${waiting.join("; ")}`;
}
