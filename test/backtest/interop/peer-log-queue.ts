import { type QueueModel, type QueuePlace, queueModel } from "../../../src/backtest/queue.ts";

/**
 * hftbacktest's logarithmic queue as its program computes it (2.4.4, `ProbQueueModel` with `LogProbQueueFunc`), to show where keel's
 * `log` differs from it. There the lots ahead are not held at or above 0: a cancellation larger than the lots ahead leaves them negative,
 * below −1 the logarithm is none, and the minimum of that and the level's size is the level's size. So an order that had come to the
 * front stands behind the whole level again.
 */
export class PeerLogQueue implements QueueModel {
  readonly name = "log";
  /** Times that an order at the front was put behind everybody. */
  lost = 0;
  readonly #own = queueModel("log");

  join(place: QueuePlace, levelLots: number): void {
    this.#own.join(place, levelLots);
  }

  trade(place: QueuePlace, lots: number): number {
    return this.#own.trade(place, lots);
  }

  resize(place: QueuePlace, before: number, after: number): void {
    const change = before - after - place.traded;
    place.traded = 0;
    if (change < 0) {
      place.ahead = Math.min(place.ahead, after);
      return;
    }
    const front = place.ahead;
    const back = before - front;
    const share = Math.log(1 + back) / (Math.log(1 + back) + Math.log(1 + front));
    const behind = Number.isFinite(share) || Number.isNaN(share) ? share : 1;
    const ahead = front - (1 - behind) * change + Math.min(back - behind * change, 0);
    if (Number.isNaN(ahead)) this.lost += 1;
    place.ahead = Number.isNaN(ahead) ? after : Math.min(ahead, after);
  }
}
