import { join } from "node:path";
import type { Logger } from "../core/log.ts";
import { HandoverGiver } from "../failover/handover/giver.ts";
import { type Estate, HANDOVER_SOCKET, type Released } from "../failover/handover/messages.ts";
import type { StreamRecord } from "../failover/stream.ts";
import { FixQuoteGateway } from "../gateway/fix/quote-gateway.ts";
import type { ExecutionDetail } from "../gateway/gateway.ts";
import type { DeskTap } from "../gateway/tap.ts";
import { FEED_STATE } from "../market/event-batch.ts";
import type { ServiceManager } from "../monitor/service-notifier.ts";
import type { SidesName } from "../quote/target.ts";
import type { KillState } from "../risk/kill-switch.ts";
import type { ReducingState } from "../risk/trading-state.ts";
import { fillRecord, snapshotOf } from "./failover-snapshot.ts";
import { ownIdentity } from "./formats.ts";
import type { LiveDesk } from "./live-desk.ts";

const BEAT_US = 100_000;

/**
 * Lets a later version of this process take its place: whoever connects to the socket in the state directory is given what the desk
 * holds and told what happens to it.
 */
export class LiveHandover implements DeskTap {
  readonly #stateDir: string;
  readonly #log: Logger;
  readonly #asked = Promise.withResolvers<void>();
  #giver: HandoverGiver | null = null;
  #live: LiveDesk | null = null;
  #beatUs = Number.NEGATIVE_INFINITY;

  constructor(stateDir: string, log: Logger) {
    this.#stateDir = stateDir;
    this.#log = log;
  }

  /** Fulfilled when a successor is ready and this process is to let go. */
  get asked(): Promise<void> {
    return this.#asked.promise;
  }

  get giver(): HandoverGiver | null {
    return this.#giver;
  }

  /** The desk runs. Where no socket can be served the process runs without, and says so. */
  start(live: LiveDesk, unfit: () => readonly string[], serviceManager: ServiceManager | null): void {
    const log = this.#log;
    this.#live = live;
    try {
      this.#giver = new HandoverGiver({
        path: join(this.#stateDir, HANDOVER_SOCKET),
        identity: ownIdentity(),
        estate: () => estateOf(live, serviceManager),
        fitness: () => ({ unfit: unfit(), live: liveCount(live) }),
        onFollowed: ({ pid, keel }) => log.info("a process prepares to take over", { pid, keel }),
        onReady: () => {
          log.warn("a process is ready to take over: this one lets go", { pid: this.#giver?.successor?.pid });
          this.#asked.resolve();
        },
        onProblem: (problem) => log.warn("handover", { problem }),
      });
    } catch (error) {
      log.warn("this process cannot be replaced while it runs", { error });
    }
  }

  onTrading(kill: KillState, reducing: ReducingState | null): void {
    this.#tell({ what: "trading", kill, reducing });
  }

  onSides(symbol: string, sides: SidesName): void {
    this.#tell({ what: "sides", symbol, sides });
  }

  onFill(
    executionId: string,
    instrument: number,
    side: number,
    priceTicks: number,
    sizeLots: number,
    detail: ExecutionDetail,
  ): void {
    const live = this.#live;
    if (live === null) return;
    this.#tell(fillRecord(live, executionId, instrument, side, priceTicks, sizeLots, detail));
  }

  onPrediction(): void {}
  onQuotes(): void {}
  onCancelAll(): void {}

  /** A wall clock that was put back must not keep a successor waiting. */
  onTimer(timeUs: number): void {
    if (Math.abs(timeUs - this.#beatUs) < BEAT_US) return;
    this.#beatUs = timeUs;
    this.#giver?.beat();
  }

  close(): void {}

  #tell(record: StreamRecord): void {
    this.#giver?.add(record);
  }
}

function estateOf(live: LiveDesk, serviceManager: ServiceManager | null): Estate {
  return {
    state: snapshotOf(live),
    counterparties: live.counterparties,
    journalRun: live.journal?.runId ?? null,
    serviceManager: serviceManager === null ? null : { ...serviceManager },
  };
}

/** What a desk left that was stopped. */
export function leftBy(
  live: LiveDesk,
  { token, journal, lease }: Pick<Released, "token" | "journal" | "lease">,
): Released {
  const store = live.gateway instanceof FixQuoteGateway ? live.gateway.session.store : null;
  return {
    ...{ token, journal, lease },
    state: snapshotOf(live),
    counterparties: live.counterparties,
    session:
      store === null
        ? null
        : {
            outgoing: store.nextOutgoing,
            incoming: store.nextIncoming,
            startedUs: Number.isNaN(store.startedUs) ? null : store.startedUs,
          },
  };
}

/** Instruments whose books are sound. */
export function liveCount({ desk }: LiveDesk): number {
  const { instruments, feedState } = desk.market;
  let count = 0;
  for (let id = 0; id < instruments.size; id += 1) if (feedState[id] === FEED_STATE.live) count += 1;
  return count;
}
