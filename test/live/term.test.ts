import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../src/config.ts";
import { systemClock } from "../../src/core/clock.ts";
import { Logger } from "../../src/core/log.ts";
import { LeaseFence } from "../../src/failover/fence.ts";
import { Leadership } from "../../src/failover/leadership.ts";
import { NoGateway } from "../../src/gateway/no-gateway.ts";
import { LiveDesk } from "../../src/live/live-desk.ts";
import type { RfqAction, RfqOrder, RfqRequest, RfqResponse } from "../../src/rfq/message.ts";
import { DEFAULT_RFQ_PARAMETERS } from "../../src/rfq/parameters.ts";
import { Simulation } from "../../src/sim/simulation.ts";
import { until } from "../gateway/rfq/fix-client.ts";

const ACME = { channel: "fix", client: "ACME" } as const;
const SIZE = "0.01";
const LAST_LOOK_MS = 400;
const TTL_MS = 800;

/** A desk that leads under a lease that nobody renews, on a clock of the lease's own; its timers belong to the desk alone. */
class Leader {
  readonly live: LiveDesk;
  readonly answers: RfqAction[];
  readonly #leadership: Leadership;
  readonly #lease: { nowNs: number };

  static async start(simulation: Simulation, folder: string, lastLookMs: number): Promise<Leader> {
    const lease = { nowNs: 0 };
    const monotonicNs = (): number => lease.nowNs;
    const answers: RfqAction[] = [];
    const config = loadConfig({
      KEEL_FEEDS: "binance-usdm:BTCUSDT",
      KEEL_URL_BINANCE_USDM: simulation.binance.server.url,
      KEEL_DEVICE: "wasm",
      KEEL_WARM_UP_MS: "0",
      KEEL_STATE_DIR: join(folder, `state-${lastLookMs}`),
      KEEL_SHED: "off",
    });
    const parameters = { ...DEFAULT_RFQ_PARAMETERS, lastLookMs, lastLookTolerance: 10, quoteLifeMs: 60_000 };
    const live = await LiveDesk.prepare({
      config: { ...config, rfq: parameters },
      log: new Logger({ format: "text", level: "error", sink: () => {} }),
      clock: systemClock,
      pair: true,
      checkTerm: () => leadership.onTimer(),
      gateway: () => new NoGateway(),
      taps: () => [
        {
          onQuotes: () => {},
          onCancelAll: () => {},
          onTimer: () => {},
          close: () => {},
          onAnswer: (action) => answers.push(action),
        },
      ],
    });
    const leadership = new Leadership({
      service: {
        name: "once",
        handle: "",
        adopt: () => {},
        acquire: async () => ({ granted: true, token: 7, before: null, expired: false, clockMs: null }),
        renew: () => Promise.reject(new Error("no answer")),
        release: async () => true,
        look: () => Promise.reject(new Error("nobody looks")),
        close: () => {},
      },
      fence: new LeaseFence(monotonicNs),
      ...{ holder: "a", ttlMs: TTL_MS, monotonicNs, tokenFloor: 0 },
      numbers: () => ({ outgoing: 1, startedUs: null }),
      unfit: () => "",
      onLead: (token, before) => live.lead(token, before),
      onFollow: (reason) => live.standBy(reason),
      onProblem: () => {},
    });
    live.start();
    return new Leader(live, answers, leadership, lease);
  }

  private constructor(
    live: LiveDesk,
    answers: RfqAction[],
    leadership: Leadership,
    lease: { nowNs: number },
  ) {
    this.live = live;
    this.answers = answers;
    this.#leadership = leadership;
    this.#lease = lease;
  }

  /** Leads, and has a market that it answers on. */
  async leads(): Promise<void> {
    this.#leadership.onTimer();
    await until("the desk to lead", () => !this.live.standsBy);
    await until("requests to be quoted", () => {
      this.live.takeRfq(request(`try-${this.answers.length}`));
      return this.answers.at(-1)?.do === "quote";
    });
  }

  /** The lease runs out while no timer looks. */
  runOut(): void {
    this.#lease.nowNs = TTL_MS * 1e6;
  }

  get position(): number {
    const { gate, market } = this.live.desk;
    return market.instruments.all().reduce((lots, { id }) => lots + gate.positionLots(id), 0);
  }

  /** The quote that was given last. */
  get quoted(): { readonly quoteId: string; readonly price: string | null } {
    const quote = this.answers.findLast((action) => action.do === "quote");
    if (quote?.do !== "quote") throw new Error("nothing was quoted");
    return { quoteId: quote.quoteId, price: quote.offer };
  }

  count(what: RfqAction["do"]): number {
    return this.answers.filter((action) => action.do === what).length;
  }
}

function request(requestId: string): RfqRequest {
  const leg = { symbol: "BTCUSDT", venue: null, side: "buy", ratio: "1" } as const;
  const open = { side: null, quantity: SIZE, validUntilUs: null, tiedPrice: null };
  return { on: "request", ...ACME, requestId, ...open, legs: [leg] };
}

function hit({ quoteId, price }: Leader["quoted"]): RfqResponse {
  const whole = { side: "buy", quantity: SIZE, price } as const;
  return {
    on: "response",
    ...ACME,
    responseId: `hit ${quoteId}`,
    orderId: null,
    quoteId,
    kind: "hit",
    ...whole,
  };
}

function order(orderId: string): RfqOrder {
  const any = { side: "buy", quantity: SIZE, limit: "90000" } as const;
  return { on: "order", ...ACME, orderId, symbol: "BTCUSDT", venue: null, ...any };
}

const folder = mkdtempSync(join(tmpdir(), "keel-term-"));
let simulation: Simulation;
let leader: Leader;

beforeAll(() => {
  simulation = new Simulation({ seed: 5, clock: systemClock, price: 60_000 });
  simulation.start();
});
afterEach(async () => {
  await leader.live.stop();
});
afterAll(async () => {
  await simulation.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("a hit or an order that comes in after the term, before any timer, is no trade", async () => {
  leader = await Leader.start(simulation, folder, 0);
  await leader.leads();
  leader.live.takeRfq(order("O1"));
  expect([leader.count("trade"), leader.position < 0]).toEqual([1, true]);
  const before = leader.position;
  const { quoted } = leader;
  leader.runOut();
  leader.live.takeRfq(hit(quoted));
  expect(leader.answers.at(-1)).toMatchObject({ do: "status", quoteId: quoted.quoteId, status: "removed" });
  leader.live.takeRfq(order("O2"));
  expect(leader.answers.at(-1)).toMatchObject({ do: "order-reject", orderId: "O2", reason: "no-market" });
  expect([leader.count("trade"), leader.position]).toEqual([1, before]);
  expect(leader.live.standsBy).toBe(true);
});

test("a hit that was held for its last look when the term ended is refused", async () => {
  leader = await Leader.start(simulation, folder, LAST_LOOK_MS);
  await leader.leads();
  const { quoted } = leader;
  leader.live.takeRfq(hit(quoted));
  expect(leader.answers.at(-1)).toMatchObject({ do: "status", status: "pending" });
  leader.runOut();
  await until("the hit to be decided", () =>
    leader.answers.some(
      (action) => action.do === "trade" || (action.do === "status" && action.status === "rejected"),
    ),
  );
  expect([leader.count("trade"), leader.position]).toEqual([0, 0]);
});
