import { expect, test } from "bun:test";
import { EVENT, SIDE } from "../../src/market/event-batch.ts";
import { kafka, ShownDesk, until } from "./shown-desk.ts";

test("a ring that is full drops, counts and never blocks; the thread goes on", async () => {
  const desk = new ShownDesk();
  const { distributor } = desk.distributor({
    kafka: kafka("127.0.0.1:1", { publish: ["trades"] }),
    ringBytes: 4_096,
  });
  for (let i = 0; i < 1_000_000 && distributor.dropped <= 100; i += 1) {
    desk.begin(EVENT.trade, i);
    desk.events.level(SIDE.bid, 1_000, 1);
    desk.show(distributor, i);
  }
  expect(distributor.dropped).toBeGreaterThan(100);
  await until(
    "the ring to be emptied",
    () => distributor.counter("kafkaFailed") + distributor.counter("kafkaBacklog") > 0,
  );
  expect(distributor.failure).toBeNull();
  await distributor.ended();
}, 120_000);
