import type { KillState } from "../risk/kill-switch.ts";
import type { SavedState } from "../risk/kill-switch-store.ts";
import { isLeaders, leadersReason } from "../risk/leaders-reason.ts";
import type { ReducingState } from "../risk/trading-state.ts";
import type { LiveDesk } from "./live-desk.ts";

/**
 * The trading state of a pair's leader, on the desk that stands by. The leader's word ends what was its word; a kill or a reduction of this
 * process's own, by an operator or a limit, holds until it is reset here.
 */
export function followTrading(live: LiveDesk, kill: KillState, reducing: ReducingState | null): void {
  const { gate } = live.desk;
  const { tripped, reason } = gate.kill.state;
  if (tripped && !isLeaders(reason)) return;
  const own = gate.reducing !== null && !isLeaders(gate.reducing.reason) ? gate.reducing : null;
  const resumes = gate.reducing !== null && own === null && reducing === null;
  if (!kill.tripped && (tripped || resumes)) {
    live.trading.resetKill();
    if (own !== null) live.trading.reduce(own.reason);
  }
  if (kill.tripped && !gate.kill.tripped) live.trading.kill(leadersReason(kill.reason));
  if (reducing !== null && gate.reducing === null) live.trading.reduce(leadersReason(reducing.reason));
}

/** The trading state of the process of this host whose place this one takes: what is that one's own is this one's own. */
export function succeedTrading(live: LiveDesk, kill: KillState, reducing: ReducingState | null): void {
  const { gate } = live.desk;
  if ((gate.kill.tripped && !kill.tripped) || (gate.reducing !== null && reducing === null))
    live.trading.resetKill();
  if (kill.tripped && !gate.kill.tripped) live.trading.kill(kill.reason);
  if (reducing !== null && gate.reducing === null) live.trading.reduce(reducing.reason);
}

/** What a desk begins with that is to follow a leader: its own where that is tripped or reduces, else the leader's. */
export function followedState(own: SavedState, leader: SavedState): SavedState {
  const isOwn = (reason: string | undefined): boolean => reason !== undefined && !isLeaders(reason);
  const { kill, reducing } = leader;
  const told = kill.tripped ? { ...kill, reason: leadersReason(kill.reason) } : kill;
  const reduces = reducing === null ? null : { ...reducing, reason: leadersReason(reducing.reason) };
  return {
    kill: own.kill.tripped && isOwn(own.kill.reason) ? own.kill : told,
    reducing: isOwn(own.reducing?.reason) ? own.reducing : reduces,
  };
}
