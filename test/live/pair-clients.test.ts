import { expect, test } from "bun:test";
import { writeQuoteResponse } from "../../src/gateway/fix/application/quote.ts";
import { writeQuoteRequest } from "../../src/gateway/fix/application/quote-request.ts";
import { TAG } from "../../src/gateway/fix/tags.ts";
import { TestFixClient, until } from "../gateway/rfq/fix-client.ts";
import { skipUnlessNative } from "../support/native.ts";
import { redisMissing } from "../support/services.ts";
import { type Node, Pair } from "./failover/pair.ts";

const missing = redisMissing();
if (missing !== null) console.log(`skipped: ${missing}`);

const SYMBOL = "BTC-PERPETUAL";
const HIT = { symbol: SYMBOL, exchange: "deribit", side: "buy", clOrdId: "C1" } as const;

test.skipIf(missing !== null || (await skipUnlessNative("a pair with the cpu engine")))(
  "a hit that reaches a leader while it is frozen is no trade when it wakes behind the next one's back",
  async () => {
    const pair = new Pair({
      environment: {
        KEEL_LEASE_TTL_MS: "2000",
        KEEL_RFQ_QUOTE_LIFE_MS: "60000",
        KEEL_RFQ_LAST_LOOK_TOLERANCE: "10",
      },
      clients: "ACME",
    });
    let acme: TestFixClient | null = null;
    try {
      await pair.start();
      const leader = await pair.untilReady();
      const client = new TestFixClient({ port: leader.acceptPort, compId: "ACME" });
      acme = client;
      await until("ACME to be logged on", () => client.session.established);
      const traded = await quoteOf(client, "Q1");
      hit(client, traded);
      expect((await client.next("8", "AI")).type).toBe("8");
      const { quoteId, price } = await quoteOf(client, "Q2");
      const other = pair.other(leader.name);
      const before = await pair.until("the trade to be followed", async () => {
        const [one, two] = await Promise.all([lotsOf(leader), lotsOf(other)]);
        return one !== 0 && one === two ? one : null;
      });
      const atMs = performance.now();
      leader.signal("SIGSTOP");
      await pair.until(
        `${other.name} quotes`,
        async () => pair.wire.leader === other.name && pair.wire.firstQuoteMs > atMs,
      );
      hit(client, { quoteId, price });
      await Bun.sleep(100);
      leader.signal("SIGCONT");
      const answer = await client.next("8", "AI");
      expect([answer.type, answer.tree.text(TAG.text)]).toEqual(["AI", "not quoted at the moment"]);
      await pair.until("the one that woke to follow", async () => {
        const report = await leader.report();
        return report?.role === "passive" && report.following?.synced === true;
      });
      expect([await lotsOf(leader), await lotsOf(other)]).toEqual([before, before]);
    } finally {
      await acme?.close();
      await pair.stop();
    }
  },
  120_000,
);

async function quoteOf(
  client: TestFixClient,
  requestId: string,
): Promise<{ readonly quoteId: string; readonly price: string }> {
  const validUntilUs = Number.NaN;
  const item = { symbol: SYMBOL, exchange: "deribit", side: null, quantity: "10", validUntilUs } as const;
  const request = { requestId, items: [{ ...item, account: undefined, legs: [] }] };
  client.send("R", (builder) => writeQuoteRequest(builder, request, "4.4"));
  const { type, tree } = await client.next("S", "AG");
  expect(type).toBe("S");
  return { quoteId: tree.text(TAG.quoteId) ?? "", price: tree.text(TAG.offerPx) ?? "" };
}

function hit(client: TestFixClient, { quoteId, price }: Awaited<ReturnType<typeof quoteOf>>): void {
  const response = { ...HIT, responseId: `A-${quoteId}`, quoteId, kind: "hit", quantity: undefined, price };
  client.send("AJ", (builder) => writeQuoteResponse(builder, { ...response, kind: "hit" }, 0));
}

/** What a process holds of the perpetual. */
async function lotsOf(node: Node): Promise<number | null> {
  const told = await node.get<{ positions: { symbol: string; lots: number }[] }>("/positions");
  return told === null ? null : (told.positions.find(({ symbol }) => symbol === SYMBOL)?.lots ?? 0);
}
