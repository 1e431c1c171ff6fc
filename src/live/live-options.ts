import type { Config } from "../config.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";
import type { Desk } from "../desk/desk.ts";
import type { QuoteGateway } from "../gateway/gateway.ts";
import type { DeskTap } from "../gateway/tap.ts";
import type { StepModel } from "../inference/step-model.ts";
import type { JournalSummary } from "../journal/writer.ts";
import type { LoadSummary, RunSummary } from "../monitor/summary.ts";
import type { SidesName } from "../quote/target.ts";
import type { KillState } from "../risk/kill-switch.ts";
import type { ReducingState } from "../risk/trading-state.ts";
import type { LeftBehind } from "./live-start.ts";

/** Instruments a process may hold; Deribit's chains of BTC and ETH have about 2,500. */
export const INSTRUMENT_CAPACITY = 8_192;

export interface LiveDeskOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly clock: Clock;
  /** Makes the gateway; it is given the desk's instruments once they exist. */
  readonly gateway: (desk: Desk) => QuoteGateway;
  /** Makes those who follow the desk's decisions. */
  readonly taps?: (desk: Desk, model: StepModel, gateway: QuoteGateway) => readonly DeskTap[];
  /** One of a pair, which does not lead before {@link LiveDesk.lead}. */
  readonly pair?: boolean;
  /**
   * Of a pair: looks at the clock and has this one {@link LiveDesk.standBy} at once where its term is over. Called before clients are
   * dealt with, because a process that stood still may hear of them before any timer.
   */
  readonly checkTerm?: () => void;
  /** Takes the place of a process that still runs: writes nothing and speaks to nobody before {@link LiveDesk.takePlace}. */
  readonly successor?: {
    /** What the running process holds. */
    readonly left: LeftBehind;
    /** The run that it journals; null where it keeps no journal. */
    readonly journalRun: string | null;
    /** The gateway to come can be asked what the counterparty holds. */
    readonly reconciles: boolean;
  };
  /** Told of every change of the kill switch and of reducing. */
  readonly onTrading?: (kill: KillState, reducing: ReducingState | null) => void;
  /** Told of what operators say of sides; an empty symbol is every instrument. */
  readonly onSides?: (symbol: string, sides: SidesName) => void;
}

export interface LiveSummary extends RunSummary {
  readonly engine: string;
  readonly model: string;
  readonly seconds: number;
  /** From the start of the process's desk to the first quotes handed over; null when none were. */
  readonly startToFirstQuoteMs: number | null;
  readonly journal: JournalSummary | null;
  /** Null where nothing is shed. */
  readonly load: LoadSummary | null;
}
