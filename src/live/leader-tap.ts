import type { StreamRecord } from "../failover/stream.ts";
import type { ExecutionDetail } from "../gateway/gateway.ts";
import type { DeskTap } from "../gateway/tap.ts";
import type { SidesName } from "../quote/target.ts";
import type { KillState } from "../risk/kill-switch.ts";
import type { ReducingState } from "../risk/trading-state.ts";
import { fillRecord } from "./failover-snapshot.ts";
import type { LiveDesk } from "./live-desk.ts";

/** Tells whoever follows this process what happens to it: fills, after the quotes that answer them have left, and operators' words. */
export abstract class LeaderTap implements DeskTap {
  /** The desk that is told of; null until it runs. */
  protected live: LiveDesk | null = null;

  protected abstract tell(record: StreamRecord): void;

  onTrading(kill: KillState, reducing: ReducingState | null): void {
    this.tell({ what: "trading", kill, reducing });
  }

  onSides(symbol: string, sides: SidesName): void {
    this.tell({ what: "sides", symbol, sides });
  }

  onFill(
    executionId: string,
    instrument: number,
    side: number,
    priceTicks: number,
    sizeLots: number,
    detail: ExecutionDetail,
  ): void {
    if (this.live === null) return;
    this.tell(fillRecord(this.live, executionId, instrument, side, priceTicks, sizeLots, detail));
  }

  onQuotes(): void {}
  onCancelAll(): void {}
  onTimer(_timeUs: number): void {}
  close(): void {}
}
