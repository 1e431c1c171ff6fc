import { beforeEach, expect, test } from "bun:test";
import { FieldTree } from "../../../../src/gateway/fix/application/field-tree.ts";
import type { MarketDataLevel } from "../../../../src/gateway/fix/application/market-data.ts";
import { MarketDataPublisher } from "../../../../src/gateway/fix/application/market-data-publisher.ts";
import type { FixMessage } from "../../../../src/gateway/fix/message.ts";
import { SessionHarness } from "../session-harness.ts";

const X = { symbol: "X", exchange: "deribit" };
let book: MarketDataLevel[] = [];
let publisher: MarketDataPublisher;
let us: SessionHarness;

class Subscriber extends SessionHarness {
  override onMessage(message: FixMessage): boolean {
    publisher.onRequest(this.session, FieldTree.read(message, "4.4"), this.timeUs);
    return true;
  }
}

beforeEach(() => {
  book = [
    { type: "bid", price: "10", size: "1" },
    { type: "offer", price: "11", size: "2" },
  ];
  const find = ({ symbol }: { symbol: string }) => (symbol === "X" ? X : undefined);
  publisher = new MarketDataPublisher({ find, levels: () => book }, 2);
  us = new Subscriber().logon();
});

const subscribe = (id: string, incremental: boolean, symbol = "X") =>
  us.receive(`35=V|262=${id}|263=1|264=1|265=${incremental ? 1 : 0}|267=2|269=0|269=1|146=1|55=${symbol}`);
const update = () => publisher.publish(X, us.timeUs);

test("a subscription begins with a snapshot and goes on with what changes", () => {
  subscribe("M", true);
  book = [{ type: "bid", price: "10", size: "3" }];
  update();
  update();
  expect(us.sent()).toEqual([
    "35=W|34=2|262=M|55=X|207=deribit|268=2|269=0|270=10|271=1|269=1|270=11|271=2",
    "35=X|34=3|262=M|268=2|279=2|269=1|55=X|207=deribit|270=11|279=1|269=0|55=X|207=deribit|270=10|271=3",
  ]);
});

test("a subscriber without increments gets whole snapshots, and one that does not read none until it does", () => {
  subscribe("M", false);
  us.sent();
  book = [];
  us.pendingBytes = 1;
  update();
  expect(us.sent()).toEqual([]);
  us.pendingBytes = 0;
  update();
  expect(us.sent()).toEqual(["35=W|34=3|262=M|55=X|207=deribit|268=0"]);
});

test("subscriptions end with their session, or when they are ended, and are bounded", () => {
  subscribe("M", true);
  subscribe("M", true);
  subscribe("N", true);
  subscribe("O", true);
  subscribe("P", true, "UNKNOWN");
  expect(us.sent().filter((text) => text.startsWith("35=Y"))).toEqual([
    "35=Y|34=3|262=M|281=1|58=MDReqID (262) is in use",
    "35=Y|34=5|262=O|281=4|58=at most 2 subscriptions",
    "35=Y|34=6|262=P|281=0|58=unknown Symbol (55) UNKNOWN",
  ]);
  us.receive("35=V|262=M|263=2|264=1|267=1|269=0|146=1|55=X");
  expect(publisher.size).toBe(1);
  publisher.onLogout(us.session);
  expect(publisher.size).toBe(0);
  book = [];
  update();
  expect(us.sent()).toEqual([]);
});
