import { expect, test } from "bun:test";
import fc from "fast-check";
import { OrderList } from "../../src/feed/order-list.ts";

type Entry = readonly [string, string, string];

/** All parts, put together. */
function readAll(
  body: string,
): { readonly bids: unknown[]; readonly asks: unknown[]; readonly parts: number } | null {
  const list = new OrderList(body);
  const all = { bids: [] as unknown[], asks: [] as unknown[], parts: 0 };
  if (list.rest === null) return null;
  do {
    const part = list.next();
    if (part === null || !Array.isArray(part.bids) || !Array.isArray(part.asks)) return null;
    all.bids.push(...part.bids);
    all.asks.push(...part.asks);
    all.parts += 1;
  } while (!list.isRead);
  return all;
}

const entry = fc.tuple(
  fc.stringMatching(/^[0-9]{1,6}\.[0-9]{2}$/),
  fc.stringMatching(/^[0-9]{1,3}\.[0-9]{8}$/),
  fc.uuid(),
);

test("parts are what JSON.parse makes of the whole, wherever the lists stand and however long they are", () => {
  fc.assert(
    fc.property(
      fc.array(entry, { maxLength: 8 }),
      fc.array(entry, { maxLength: 8 }),
      fc.constantFrom(1, 300),
      fc.constantFrom("first", "last", "around"),
      (bids, asks, times, place) => {
        const lists = {
          bids: Array.from({ length: times }, () => bids).flat() as Entry[],
          asks: Array.from({ length: times }, () => asks).flat() as Entry[],
        };
        const answer = {
          first: { ...lists, sequence: 5, auction_mode: false },
          last: { microtimestamp: "7", ...lists },
          around: { timestamp: "1", asks: lists.asks, sequence: 5, bids: lists.bids, time: "now" },
        }[place];
        const all = readAll(JSON.stringify(answer));
        expect(all).toMatchObject(lists);
        expect(readAll(JSON.stringify(answer, null, 1))).toMatchObject({ ...lists, parts: 1 });
      },
    ),
    { numRuns: 60 },
  );
});

test("a long list comes in several parts, none of which is much longer than the others", () => {
  const bids = Array.from({ length: 10_000 }, (_, at) => [`${at}.00`, "1.00000000", crypto.randomUUID()]);
  const all = readAll(JSON.stringify({ bids, asks: [], sequence: 1 }));
  expect(all?.bids).toEqual(bids);
  expect(all?.parts).toBeGreaterThan(8);
});

test("what stands beside the lists is there before they are read", () => {
  const list = new OrderList('{"bids":[["1","2","a"]],"asks":[],"sequence":12}');
  expect(list.rest).toEqual({ bids: [], asks: [], sequence: 12 });
  expect(list.isRead).toBe(false);
});

test.each([
  "",
  "[]",
  "null",
  '{"bids":[[1',
  '{"bids":[["1"],"asks":[]}',
  '{"bids":[["1","2","a"]x]],"asks":[]}',
])("an answer that is no list of orders is refused: %s", (body) => {
  expect(readAll(body)).toBeNull();
});

test("a second list of the same name is not overlooked", () => {
  const body = '{"bids":[["1","2","a"]],"asks":[],"bids":[["3","4","b"]]}';
  expect(readAll(body)?.bids).toEqual(JSON.parse(body).bids);
});

test("any text is answered without a throw", () => {
  const pieces = fc.constantFrom(
    '{"bids":[',
    "]]",
    "],",
    '"asks":[',
    '["1","2","a"]',
    ",",
    "}",
    '"x":1',
    "[",
    "]",
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
      const body = parts.join("");
      const all = readAll(body);
      let whole: unknown = null;
      try {
        whole = JSON.parse(body);
      } catch {}
      if (all !== null && typeof whole === "object" && whole !== null) {
        expect({ bids: all.bids, asks: all.asks }).toEqual({
          bids: (whole as { bids: unknown[] }).bids,
          asks: (whole as { asks: unknown[] }).asks,
        });
      }
    }),
    { numRuns: 2_000 },
  );
});
