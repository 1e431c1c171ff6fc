import { invariant } from "../core/invariant.ts";

/** A batch row that moves nothing. As `IDLE` in `shaders/slots.wgsl` and `ffi/tensorrt_shim.h`. */
export const IDLE_ROW = 0xffffffff;
/** Set in a row whose slot starts from the initial state. As `FRESH` there. */
export const FRESH_ROW = 0x80000000;

/**
 * Which slot each row of a batch advances, encoded for engines that keep states on a device. A reset costs the device nothing:
 * the slot's next row says that it starts anew, whatever the device holds, even when the slot was reset in flight.
 */
export class SlotRows {
  /** `[maxBatch]`: a slot, with {@link FRESH_ROW} where it was reset, or {@link IDLE_ROW} beyond the batch. */
  readonly rows: Uint32Array<ArrayBuffer>;
  /** `[slotCount]`: 1 where the slot was reset and has not been in a batch since. */
  readonly #fresh: Uint8Array;

  constructor(slotCount: number, rows: Uint32Array<ArrayBuffer>) {
    this.rows = rows;
    this.#fresh = new Uint8Array(slotCount).fill(1);
  }

  reset(slot: number): void {
    invariant(Number.isInteger(slot) && slot >= 0 && slot < this.#fresh.length, "0 ≤ slot < slotCount");
    this.#fresh[slot] = 1;
  }

  resetAll(): void {
    this.#fresh.fill(1);
  }

  /** Encodes the first `count` slots. Nothing is changed when one of them is out of range. */
  take(slots: Int32Array, count: number): void {
    invariant(Number.isInteger(count) && count >= 1 && count <= this.rows.length, "1 ≤ count ≤ maxBatch");
    for (let row = 0; row < count; row += 1) {
      invariant(slots[row] >= 0 && slots[row] < this.#fresh.length, "0 ≤ slot < slotCount");
    }
    for (let row = 0; row < count; row += 1) {
      const slot = slots[row];
      this.rows[row] = this.#fresh[slot] === 1 ? slot + FRESH_ROW : slot;
      this.#fresh[slot] = 0;
    }
    this.rows.fill(IDLE_ROW, count);
  }
}
