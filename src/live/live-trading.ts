import { type Config, loadConfig } from "../config.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";
import type { Desk } from "../desk/desk.ts";
import type { QuoteGateway } from "../gateway/gateway.ts";
import { RECORD } from "../journal/record.ts";
import type { SidesCommand } from "../journal/replay.ts";
import { SIDES, type SidesName } from "../quote/target.ts";
import type { RiskLimits } from "../risk/limits.ts";
import { HedgeRefusals } from "./hedge-refusals.ts";
import type { LiveInputs } from "./live-inputs.ts";

export interface LiveTradingOptions {
  readonly config: Config;
  readonly desk: Desk;
  readonly gateway: () => QuoteGateway;
  readonly inputs: LiveInputs;
  /** Told of other sides that are quoted, to be kept; an empty symbol is every instrument. */
  readonly onSides: (symbol: string, sides: SidesName) => void;
  /** The journal can write no more. */
  readonly journalFailed: () => boolean;
  /** How many of the journal's records were lost so far. */
  readonly recordsLost: () => number;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Whether, on which sides and within which limits the desk trades, as operators and a lost journal have it. Each change is an input of the desk. */
export class LiveTrading {
  /** Times that risk limits were read anew, and that they could not be. */
  limitReloads = 0;
  limitReloadFailures = 0;
  readonly #options: LiveTradingOptions;
  readonly #hedgeRefusals: HedgeRefusals;
  #reducedForJournal = false;
  /** Records that were lost before the last reset: the desk may trade again in spite of them. */
  #lossesPassed = 0;
  #limits: RiskLimits;

  constructor(options: LiveTradingOptions) {
    this.#options = options;
    this.#limits = options.config.risk;
    this.#hedgeRefusals = new HedgeRefusals(options.desk.hedger, options.clock, options.log);
  }

  /** Cancels everything and quotes no more until {@link resetKill}. */
  kill(reason: string): void {
    const { desk, inputs } = this.#options;
    desk.kill(reason, inputs.control("kill", reason));
  }

  /** Only what reduces a position is quoted until {@link resetKill}. */
  reduce(reason: string): void {
    const { desk, inputs } = this.#options;
    desk.reduce(reason, inputs.control("reduce", reason));
  }

  /**
   * Trades again: the kill switch is reset, and the venue's market-maker protection where it is on.
   *
   * @returns false when there was nothing to reset
   */
  resetKill(): boolean {
    const { desk, inputs, gateway, clock, recordsLost } = this.#options;
    this.#reducedForJournal = false;
    this.#lossesPassed = recordsLost();
    const thaws = gateway().resetProtection?.(clock.wallUs()) === true;
    return desk.resetKill(inputs.control("reset", "")) || thaws;
  }

  /** An operator asks for {@link resetKill}. @returns what it does, or why the desk must not trade */
  askReset(): boolean | string {
    const { config, journalFailed } = this.#options;
    return config.journal?.lost === "reduce" && journalFailed()
      ? "the journal can write no more, and KEEL_JOURNAL_LOST is reduce: see to its disk, restart, then reset"
      : this.resetKill();
  }

  /**
   * Which sides are quoted from now on, also after a restart.
   *
   * @param symbol of an instrument; empty for every one, also those that are listed later
   * @returns how many instruments it concerns; 0 when none of that name is quoted
   */
  setSides(symbol: string, sides: SidesName): number {
    const { desk, inputs, onSides, log } = this.#options;
    const named = desk.market.instruments.all().find((instrument) => instrument.symbol === symbol);
    if (symbol !== "" && (named === undefined || !desk.quoter.quotes(named.id))) return 0;
    const command: SidesCommand = { command: "sides", instrument: named?.id ?? -1, sides };
    const timeUs = inputs.take(RECORD.control, 0, JSON.stringify(command));
    const concerned = desk.setSides(command.instrument, SIDES[sides], timeUs);
    onSides(symbol, sides);
    log.warn("other sides are quoted", { instrument: symbol === "" ? "all" : symbol, sides });
    return concerned;
  }

  /** Reads the risk limits anew. Where anything is wrong with the configuration the limits in force stay so. */
  reloadLimits(environment: Readonly<Record<string, string | undefined>>): void {
    try {
      this.setLimits(loadConfig(environment).risk);
    } catch (error) {
      this.limitReloadFailures += 1;
      this.#options.log.error("risk limits cannot be read anew; the old ones stay in force", { error });
    }
  }

  /** Other risk limits from now on. */
  setLimits(limits: RiskLimits): void {
    const { desk, inputs, log } = this.#options;
    desk.setLimits(limits, inputs.take(RECORD.limits, 0, JSON.stringify(limits)));
    this.limitReloads += 1;
    log.info("risk limits are in force anew", { changed: changesOf(this.#limits, limits) });
    this.#limits = limits;
  }

  /**
   * Says which limit keeps hedges from going out. A desk that must not trade without a record reduces from the first one that is lost,
   * after a reset from the next.
   */
  onTimer(): void {
    const { config, desk, journalFailed, recordsLost } = this.#options;
    this.#hedgeRefusals.onTimer();
    if (config.journal?.lost !== "reduce" || !(journalFailed() || recordsLost() > this.#lossesPassed)) return;
    if (this.#reducedForJournal && desk.gate.tradingState !== "active") return;
    this.#reducedForJournal = true;
    this.reduce("records of the journal are lost");
  }
}

/** What differs between two sets of limits, for the log: `was → is` by name. */
function changesOf(was: RiskLimits, is: RiskLimits): Readonly<Record<string, string>> {
  const changed = Object.entries(is).flatMap(([name, value]) => {
    const before: unknown = Reflect.get(was, name);
    return before === value ? [] : [[name, `${String(before)} → ${String(value)}`] as const];
  });
  return Object.fromEntries(changed);
}
