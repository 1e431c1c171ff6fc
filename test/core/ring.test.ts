import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { InvariantError } from "../../src/core/invariant.ts";
import { RING_NONE, RingConsumer, RingProducer, ringMemory } from "../../src/core/ring.ts";

const CAPACITY = 1_024;

function push(ring: RingProducer, reserve: number, record: Uint8Array): boolean {
  const at = ring.reserve(reserve);
  if (at === RING_NONE) return false;
  ring.bytes.set(record, at);
  ring.commit(record.length);
  return true;
}

function pop(ring: RingConsumer): Uint8Array | null {
  const at = ring.peek();
  if (at === RING_NONE) return null;
  const record = Uint8Array.from(ring.bytes.subarray(at, at + ring.length));
  ring.release();
  return record;
}

describe("ring", () => {
  test("records come out as they went in, whatever the sizes and whoever is ahead", () => {
    const step = fc.oneof(
      fc.record({ push: fc.integer({ min: 0, max: 600 }), spare: fc.integer({ min: 0, max: 100 }) }),
      fc.record({ pop: fc.integer({ min: 1, max: 8 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const memory = ringMemory(CAPACITY);
        const producer = new RingProducer(memory);
        const consumer = new RingConsumer(memory);
        const model: Uint8Array[] = [];
        let made = 0;
        for (const action of steps) {
          if ("push" in action) {
            const record = new Uint8Array(action.push).fill(++made & 0xff);
            if (push(producer, action.push + action.spare, record)) model.push(record);
          } else {
            for (let i = 0; i < action.pop; i += 1) expect(pop(consumer)).toEqual(model.shift() ?? null);
          }
          expect(producer.used).toBeLessThanOrEqual(CAPACITY);
        }
        for (const record of model) expect(pop(consumer)).toEqual(record);
        expect(pop(consumer)).toBeNull();
        expect(producer.used).toBe(0);
      }),
      { seed: 7, numRuns: 300 },
    );
  });

  test("a record of up to half the capacity always fits into an empty ring", () => {
    const memory = ringMemory(CAPACITY);
    const producer = new RingProducer(memory);
    const consumer = new RingConsumer(memory);
    const record = new Uint8Array(CAPACITY / 2 - 8).fill(5);
    for (let i = 0; i < 200; i += 1) {
      expect(push(producer, i % 40, new Uint8Array(i % 40))).toBe(true);
      pop(consumer);
      expect(push(producer, record.length, record)).toBe(true);
      expect(pop(consumer)).toEqual(record);
    }
  });

  test("a full ring refuses and takes again once there is room", () => {
    const memory = ringMemory(CAPACITY);
    const producer = new RingProducer(memory);
    const consumer = new RingConsumer(memory);
    let taken = 0;
    while (push(producer, 56, new Uint8Array(56))) taken += 1;
    expect(taken).toBe(CAPACITY / 64);
    expect(producer.used).toBe(CAPACITY);
    pop(consumer);
    expect(push(producer, 56, new Uint8Array(56))).toBe(true);
    expect(push(producer, 56, new Uint8Array(56))).toBe(false);
  });

  test("a reservation that is not committed is seen by no one", () => {
    const memory = ringMemory(CAPACITY);
    const producer = new RingProducer(memory);
    producer.reserve(100);
    expect(new RingConsumer(memory).peek()).toBe(RING_NONE);
    expect(push(producer, 3, new Uint8Array([1, 2, 3]))).toBe(true);
    expect(pop(new RingConsumer(memory))).toEqual(new Uint8Array([1, 2, 3]));
  });

  test("positions run past 2^32 without harm", () => {
    const memory = ringMemory(CAPACITY);
    new Int32Array(memory)[0] = -512;
    new Int32Array(memory)[16] = -512;
    const producer = new RingProducer(memory);
    const consumer = new RingConsumer(memory);
    for (let i = 0; i < 100; i += 1) {
      const record = new Uint8Array(120).fill(i);
      expect(push(producer, 120, record)).toBe(true);
      expect(pop(consumer)).toEqual(record);
    }
    expect(new Int32Array(memory)[16]).toBeGreaterThan(0);
  });

  test("committing more than was reserved is a bug that is caught", () => {
    const producer = new RingProducer(ringMemory(CAPACITY));
    producer.reserve(8);
    expect(() => producer.commit(9)).toThrow(InvariantError);
    expect(() => ringMemory(1_000)).toThrow(InvariantError);
  });
});
