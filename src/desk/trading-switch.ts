import { REASON } from "../quote/quote-batch.ts";
import type { Quoter } from "../quote/quoter.ts";
import type { RfqDesk } from "../rfq/rfq-desk.ts";
import type { RiskGate } from "../risk/gate.ts";
import { isLeaders } from "../risk/leaders-reason.ts";
import type { RiskLimits } from "../risk/limits.ts";
import type { DeskOrders } from "./desk-orders.ts";
import type { DeskPort } from "./desk-port.ts";
import type { Publisher } from "./publisher.ts";

export interface TradingSwitchOptions {
  readonly gate: RiskGate;
  readonly quoter: Quoter;
  readonly orders: DeskOrders;
  readonly publisher: Publisher;
  readonly rfq: RfqDesk | null;
  readonly port: Pick<DeskPort, "cancelAll" | "decidedRisk" | "killChanged">;
}

/** Whether the desk trades, reduces only or is halted, and everything that has to happen when that or a limit changes. */
export class TradingSwitch {
  readonly #options: TradingSwitchOptions;
  #killHandled: boolean;
  /** The other one of a pair leads: clients are answered by that. */
  #standby = false;

  constructor(options: TradingSwitchOptions) {
    this.#options = options;
    const { gate, quoter } = options;
    this.#killHandled = gate.kill.tripped;
    if (gate.kill.tripped) quoter.onHalt(REASON.killed);
    quoter.setReducing(gate.reducing !== null);
  }

  /**
   * Other limits hold from this turn on. What stands and breaks one is pulled or cut in it, and the rest stands on; orders at work
   * are cancelled, for the hedger decides them anew.
   */
  setLimits(limits: RiskLimits, timeUs: number): void {
    const { gate, quoter, orders, publisher } = this.#options;
    gate.setLimits(limits, timeUs);
    if (gate.kill.tripped) return;
    publisher.recheck(timeUs);
    orders.cancelAll(timeUs);
    quoter.lookAtAll();
    publisher.requoteAll(timeUs);
  }

  reduce(reason: string, timeUs: number): void {
    const { gate } = this.#options;
    // What was the leader's word is this process's own from now on, and the leader's reset leaves it.
    if (gate.reducing !== null && isLeaders(gate.reducing.reason) && !isLeaders(reason)) gate.resume();
    if (gate.reduce("reduceOnly", reason, timeUs)) this.#reduced(timeUs);
  }

  kill(reason: string, timeUs: number): void {
    const { kill } = this.#options.gate;
    if (isLeaders(kill.state.reason) && !isLeaders(reason)) kill.reset();
    if (kill.trip(reason, timeUs)) this.#killed(timeUs);
  }

  /** @returns false when nothing was halted or reduced. */
  reset(timeUs: number): boolean {
    const { gate, quoter, rfq, publisher } = this.#options;
    const killed = gate.kill.reset();
    const reduced = gate.resume();
    if (!killed && !reduced) return false;
    this.#killHandled = false;
    this.#stateChanged(timeUs);
    quoter.onHalt(0);
    if (!this.#standby) rfq?.resume();
    publisher.requoteAll(timeUs);
    return true;
  }

  /** Of a pair, this process leads no more, or does not yet: clients are answered nothing. Quotes end with the session. */
  standBy(reason: string, timeUs: number): void {
    this.#standby = true;
    this.#options.rfq?.halt(reason, timeUs);
  }

  /** Of a pair, this process leads. */
  lead(): void {
    this.#standby = false;
    const { gate, rfq } = this.#options;
    if (!gate.kill.tripped) rfq?.resume();
  }

  /** Everything is cancelled and nothing is sent any more. */
  shutdown(timeUs: number): void {
    const { quoter, rfq, publisher } = this.#options;
    quoter.onHalt(REASON.shutdown);
    rfq?.halt("shutdown", timeUs);
    this.cancelAll(timeUs);
    publisher.stopping = true;
  }

  /** The gate has judged something: a limit may have tripped the kill switch. */
  afterGate(timeUs: number): void {
    if (this.#options.gate.kill.tripped && !this.#killHandled) this.#killed(timeUs);
  }

  /** The day's result may call for a state that reduces only. */
  onProfit(dayProfit: number, dayPeak: number, timeUs: number): void {
    if (this.#options.gate.onProfit(dayProfit, dayPeak, timeUs)) this.#reduced(timeUs);
    this.afterGate(timeUs);
  }

  cancelAll(timeUs: number): void {
    const { gate, quoter, orders, port } = this.#options;
    port.cancelAll(timeUs);
    gate.onAllCancelled();
    quoter.answers.onAllCancelled(timeUs);
    orders.cancelAll(timeUs);
  }

  #killed(timeUs: number): void {
    const { quoter, rfq } = this.#options;
    this.#killHandled = true;
    quoter.onHalt(REASON.killed);
    this.cancelAll(timeUs);
    rfq?.halt("killed", timeUs);
    this.#stateChanged(timeUs);
  }

  #reduced(timeUs: number): void {
    this.#stateChanged(timeUs);
    this.#pullRefused(timeUs);
  }

  #stateChanged(timeUs: number): void {
    const { gate, quoter, port } = this.#options;
    const { kill, reducing } = gate;
    quoter.setReducing(reducing !== null);
    port.decidedRisk({ decided: "state", kill: kill.state, reducing }, timeUs);
    port.killChanged(kill.state, reducing);
  }

  /** What stands was let through under other limits: everything is cancelled by one message and decided anew. */
  #pullRefused(timeUs: number): void {
    const { gate, publisher } = this.#options;
    if (publisher.sessionUp && !gate.kill.tripped) this.cancelAll(timeUs);
    publisher.requoteAll(timeUs);
  }
}
