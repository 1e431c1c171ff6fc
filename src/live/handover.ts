import { join } from "node:path";
import type { Logger } from "../core/log.ts";
import { HandoverGiver } from "../failover/handover/giver.ts";
import { type Estate, HANDOVER_SOCKET, type Released } from "../failover/handover/messages.ts";
import type { StreamRecord } from "../failover/stream.ts";
import { FixQuoteGateway } from "../gateway/fix/quote-gateway.ts";
import { FEED_STATE } from "../market/event-batch.ts";
import type { ServiceManager } from "../monitor/service-notifier.ts";
import { snapshotOf } from "./failover-snapshot.ts";
import { ownIdentity } from "./formats.ts";
import { LeaderTap } from "./leader-tap.ts";
import type { LiveDesk } from "./live-desk.ts";

const BEAT_US = 100_000;

/**
 * Lets a later version of this process take its place: whoever connects to the socket in the state directory is given what the desk
 * holds and told what happens to it.
 */
export class LiveHandover extends LeaderTap {
  readonly #stateDir: string;
  readonly #log: Logger;
  readonly #asked = Promise.withResolvers<void>();
  #giver: HandoverGiver | null = null;
  #beatUs = Number.NEGATIVE_INFINITY;

  constructor(stateDir: string, log: Logger) {
    super();
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
    this.live = live;
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

  /** A wall clock that was put back must not keep a successor waiting. */
  override onTimer(timeUs: number): void {
    if (Math.abs(timeUs - this.#beatUs) < BEAT_US) return;
    this.#beatUs = timeUs;
    this.#giver?.beat();
  }

  protected override tell(record: StreamRecord): void {
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
  const { gateway } = live;
  const store = gateway instanceof FixQuoteGateway && gateway.outlasts ? gateway.session.store : null;
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
