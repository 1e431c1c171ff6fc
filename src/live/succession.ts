import { join } from "node:path";
import type { Config } from "../config.ts";
import { KeelError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import { HANDOVER_SOCKET, type Released } from "../failover/handover/messages.ts";
import { HandoverTaker } from "../failover/handover/taker.ts";
import { FixQuoteGateway } from "../gateway/fix/quote-gateway.ts";
import { positionsOf } from "./failover-snapshot.ts";
import { FollowedLeader } from "./followed-leader.ts";
import { succeedTrading } from "./followed-trading.ts";
import { ownIdentity } from "./formats.ts";
import { liveCount } from "./handover.ts";
import type { LiveDesk } from "./live-desk.ts";
import type { LiveDeskOptions } from "./live-options.ts";

const LOOK_MS = 50;

/** Takes the place of the process that runs with the same state directory. */
export class Succession {
  readonly taker: HandoverTaker;
  readonly #log: Logger;

  private constructor(taker: HandoverTaker, log: Logger) {
    this.taker = taker;
    this.#log = log;
  }

  /** @returns null when no process runs with this state directory @throws KeelError saying why this one may not take its place */
  static async begin(stateDir: string, log: Logger): Promise<Succession | null> {
    const taker = await HandoverTaker.connect(join(stateDir, HANDOVER_SOCKET), ownIdentity());
    if (taker === null) return null;
    const { keel, pid } = taker.running;
    log.info("prepares to take the place of the running process", { pid, keel });
    return new Succession(taker, log);
  }

  /** What the desk begins with. */
  successor(config: Config): NonNullable<LiveDeskOptions["successor"]> {
    const { state, counterparties, journalRun } = this.taker.estate;
    const { books, kill, reducing, sides } = state;
    return {
      left: {
        ...{ kill, reducing, sides },
        opening: books,
        ...(counterparties.length === 0 ? {} : { rfqCounterparties: counterparties }),
      },
      journalRun,
      reconciles: config.deribit !== undefined,
    };
  }

  /**
   * Follows the running process until this one could quote as well as it does, and has it let go.
   *
   * @param unfit why this process could not quote
   * @throws KeelError when it is not ready in time, is told to end, or the running process ends or is silent
   */
  async take(
    live: LiveDesk,
    unfit: () => readonly string[],
    waitMs: number,
    shutdown: AbortSignal | undefined,
  ): Promise<Released> {
    const { taker } = this;
    const followed = new FollowedLeader(live, succeedTrading);
    taker.follow((record) => followed.apply(record));
    const untilMs = performance.now() + waitMs;
    for (;;) {
      if (shutdown?.aborted === true)
        throw new KeelError("handover-given-up", "told to end before it took over");
      taker.check();
      followed.settle();
      const lacking = taker.lacking(unfit(), liveCount(live));
      if (followed.waiting > 0) lacking.push(`${followed.waiting} fills wait for their instruments' prices`);
      if (lacking.length === 0) break;
      if (performance.now() > untilMs) {
        throw new KeelError(
          "handover-not-ready",
          `not ready to take over within ${waitMs} ms: ${lacking.join("; ")}`,
        );
      }
      await Bun.sleep(LOOK_MS);
    }
    const { pid } = taker.running;
    this.#log.info("ready: the running process is asked to let go", { pid });
    const released = await taker.take();
    followed.settle();
    this.#settle(live, followed, released);
    return released;
  }

  /** What was followed is held against what the running process ended with. */
  #settle(live: LiveDesk, followed: FollowedLeader, { state }: Released): void {
    const { instruments } = live.desk.market;
    const described = state.positions.filter(
      ({ venue, symbol }) => instruments.find(venue, symbol) !== undefined,
    );
    const [own, theirs] = [sizes(positionsOf(live)), sizes(described)];
    if (own !== theirs) {
      this.#log.error("positions are not those of the process before: they are taken over", { own, theirs });
      followed.adopt(state);
    } else if (described.length < state.positions.length) followed.begin(state);
    else followed.adoptOrders(state);
  }
}

/** Held against what the store holds once it is open. @throws KeelError when the session's numbers are behind what was told */
export function checkNumbers(live: LiveDesk, { session }: Released): void {
  if (session === null || !(live.gateway instanceof FixQuoteGateway)) return;
  const { nextOutgoing, nextIncoming } = live.gateway.session.store;
  if (nextOutgoing >= session.outgoing && nextIncoming === session.incoming) return;
  throw new KeelError(
    "handover-numbers",
    `FIX session store: found next numbers ${nextOutgoing} out and ${nextIncoming} in, the process before ended with ${session.outgoing} and ${session.incoming}`,
  );
}

function sizes(
  positions: readonly { readonly venue: string; readonly symbol: string; readonly size: string }[],
): string {
  return positions
    .map(({ venue, symbol, size }) => `${venue}:${symbol} ${size}`)
    .sort()
    .join(", ");
}
