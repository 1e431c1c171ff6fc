import { expect, test } from "bun:test";
import fc from "fast-check";
import { OrderKey } from "../../src/market/order-key.ts";
import { RecentOrders } from "../../src/market/recent-orders.ts";

test("remembers the last so many orders, each once", () => {
  const key = new OrderKey();
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 200 }), (ids) => {
      const recent = new RecentOrders(16, 1);
      let expected: number[] = [];
      for (const id of ids) {
        key.setNumber(id);
        recent.add(key);
        if (!expected.includes(id)) expected = [...expected, id].slice(-16);
      }
      for (let id = 0; id <= 40; id += 1) {
        key.setNumber(id);
        expect(recent.has(key)).toBe(expected.includes(id));
      }
      recent.clear();
      expect(recent.has(key)).toBe(false);
    }),
    { numRuns: 200, seed: 9 },
  );
});
