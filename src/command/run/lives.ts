import type { Config } from "../../config.ts";
import { systemClock } from "../../core/clock.ts";
import type { Logger } from "../../core/log.ts";
import { RunningEndedError } from "../../failover/handover/taker.ts";
import { Session, type SessionSummary } from "../../live/session.ts";
import { stopped } from "../../live/stopped.ts";

export interface Lives {
  readonly config: Config;
  readonly log: Logger;
  readonly shutdown: AbortSignal;
  readonly handover: boolean;
  readonly seconds: number | undefined;
}

/**
 * Runs until it is told to end or another process has taken its place. A handover that fails half-way leaves nobody running: whichever
 * process is left then starts anew, as after any other end.
 */
export async function runUntilEnded({
  config,
  log,
  shutdown,
  handover,
  seconds,
}: Lives): Promise<SessionSummary> {
  let takesOver = handover;
  for (;;) {
    const session = await started({ config, log, shutdown, handover: takesOver });
    takesOver = false;
    const ended = stopped(shutdown, seconds).then(() => true);
    const isLast = await Promise.race([ended, session.replaced.then(() => false)]);
    const summary = await session.stop();
    if (isLast || shutdown.aborted || summary.successor !== null) return summary;
    log.warn("nobody has taken over: starts anew");
  }
}

async function started(options: Pick<Lives, "config" | "log" | "shutdown" | "handover">): Promise<Session> {
  try {
    return await Session.start({ ...options, clock: systemClock });
  } catch (error) {
    if (!(error instanceof RunningEndedError)) throw error;
    options.log.error("the process that was to be replaced has ended: starts as after any other end", {
      error,
    });
    return await Session.start({ ...options, handover: false, clock: systemClock });
  }
}
