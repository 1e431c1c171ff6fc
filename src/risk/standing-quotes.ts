/**
 * Prices of our own quotes that may stand at the counterparty: as approved last, until pulled, cancelled or the session is over.
 * Orders are held against them, so that the desk never trades with itself.
 */
export class StandingQuotes {
  /** −1 where the side is not quoted. */
  readonly bidTicks: Int32Array;
  readonly askTicks: Int32Array;

  constructor(capacity: number) {
    this.bidTicks = new Int32Array(capacity).fill(-1);
    this.askTicks = new Int32Array(capacity).fill(-1);
  }

  set(instrument: number, bidTicks: number, askTicks: number): void {
    this.bidTicks[instrument] = bidTicks;
    this.askTicks[instrument] = askTicks;
  }

  /** Nothing stands any more. */
  clear(): void {
    this.bidTicks.fill(-1);
    this.askTicks.fill(-1);
  }
}
