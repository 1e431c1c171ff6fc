import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../src/config.ts";
import { systemClock } from "../../src/core/clock.ts";
import { Logger } from "../../src/core/log.ts";
import { Secret } from "../../src/core/secret.ts";
import type { StreamSnapshot } from "../../src/failover/stream.ts";
import { StreamServer } from "../../src/failover/stream-server.ts";
import { NoGateway } from "../../src/gateway/no-gateway.ts";
import { LiveFailover } from "../../src/live/failover.ts";
import { LeaderFollower } from "../../src/live/failover-follower.ts";
import { snapshotOf } from "../../src/live/failover-snapshot.ts";
import { FollowedLeader } from "../../src/live/followed-leader.ts";
import { LiveDesk } from "../../src/live/live-desk.ts";
import { BOOK_FILE, BookStore } from "../../src/position/book-store.ts";
import type { BookSnapshot, SavedPosition } from "../../src/position/snapshot.ts";
import { Simulation } from "../../src/sim/simulation.ts";
import { EMPTY_SNAPSHOT } from "../failover/empty-snapshot.ts";
import { until } from "../gateway/rfq/fix-client.ts";

const KEY = "binance-usdm:BTCUSDT";
const log = new Logger({ format: "text", level: "error", sink: () => {} });
const folder = mkdtempSync(join(tmpdir(), "keel-positions-"));
let simulation: Simulation;
let hosts = 0;
let live: LiveDesk | null = null;

beforeAll(() => {
  simulation = new Simulation({ seed: 5, clock: systemClock, price: 60_000 });
  simulation.start();
});
afterEach(async () => {
  await live?.stop();
  live = null;
});
afterAll(async () => {
  await simulation.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Books with so many lots of BTCUSDT, a lot being a thousandth; 0 = with nothing. */
function books(lots: number): BookSnapshot {
  const none = { delta: 0, gamma: 0, vega: 0, theta: 0 };
  const held: SavedPosition = {
    ...{ lots, flow: -lots * 50_000, average: 50_000, fees: 0, bought: 0, sold: 0, profit: 0 },
    attribution: { ...none, spread: 0, currency: 0, residual: 0, fees: 0 },
    ...{ markout: [0, 0, 0], adverse: [0, 0, 0] },
    anchor: { ...none, mark: 50_000, forward: 50_000, volatility: null, timeUs: 0, conversion: 1 },
  };
  return { ...EMPTY_SNAPSHOT.books, positions: lots === 0 ? {} : { [KEY]: held } };
}

/** What a leader tells that has BTCUSDT described and holds so many lots of it. */
function leaderWith(lots: number): StreamSnapshot {
  const size = String(lots / 1_000);
  const position = { venue: "binance-usdm", symbol: "BTCUSDT", size, averagePrice: 50_000 } as const;
  return { ...EMPTY_SNAPSHOT, books: books(lots), positions: lots === 0 ? [] : [position] };
}

/** A host whose own books hold so many lots. */
function host(lots: number): string {
  hosts += 1;
  const stateDir = join(folder, String(hosts));
  mkdirSync(stateDir);
  const store = new BookStore(join(stateDir, BOOK_FILE));
  store.saveSync(books(lots));
  store.close();
  return stateDir;
}

/** Its desk stands by and has heard of no instrument yet. */
async function standsBy(stateDir: string): Promise<LiveDesk> {
  const config = loadConfig({
    KEEL_FEEDS: "binance-usdm:BTCUSDT",
    KEEL_URL_BINANCE_USDM: simulation.binance.server.url,
    KEEL_DEVICE: "wasm",
    KEEL_STATE_DIR: stateDir,
    KEEL_SHED: "off",
  });
  const options = { config, log, clock: systemClock, pair: true, gateway: () => new NoGateway() };
  const desk = await LiveDesk.prepare(options);
  live = desk;
  desk.start();
  expect(desk.desk.market.instruments.size).toBe(0);
  return desk;
}

/** What gate and ledger hold, once BTCUSDT is described. */
async function held({ desk }: LiveDesk): Promise<number[]> {
  const find = (): number | undefined => desk.market.instruments.find("binance-usdm", "BTCUSDT")?.id;
  await until("the instrument to be described", () => find() !== undefined);
  const id = find() ?? -1;
  return [desk.gate.positionLots(id), desk.book.ledger.lots[id]];
}

function serverOf(leading: () => boolean, snapshot: StreamSnapshot): StreamServer {
  return new StreamServer({
    ...{ host: "127.0.0.1", port: 0, token: new Secret("a token of the pair's own"), run: "run 1", leading },
    ...{ snapshot: () => snapshot, outgoing: () => 1, onProblem: () => {} },
  });
}

test("a peer that leads soon after it has said that it does not is asked again before the desk is made", async () => {
  const stateDir = host(5);
  let leads = false;
  const server = serverOf(() => leads, leaderWith(70));
  setTimeout(() => {
    leads = true;
  }, 100);
  const token = new Secret("a token of the pair's own");
  const failover = new LiveFailover({
    config: {
      lease: {
        ...{ url: "redis://127.0.0.1:1", name: "test", holder: "b", ttlMs: 800 },
        ...{ username: undefined, password: undefined, ca: undefined },
      },
      peer: {
        ...{ url: `ws://127.0.0.1:${server.port}`, listen: { host: "127.0.0.1", port: 0 }, token },
        ...{ tls: undefined, ca: undefined },
      },
      unfitMs: 0,
    },
    ...{ stateDir, clock: systemClock, log },
  });
  await failover.prepare();
  failover.follows?.leave();
  await server.stop();
  expect(new BookStore(join(stateDir, BOOK_FILE)).load()?.positions[KEY]?.lots).toBe(70);
});

test("what a leader says too late for the start is taken over when the desk runs", async () => {
  const stateDir = host(5);
  const follower = new LeaderFollower({ stateDir, clock: systemClock, log }, () => {});
  await follower.takeOver();
  follower.onSnapshot(leaderWith(70));
  const desk = await standsBy(stateDir);
  follower.start(desk);
  expect(await held(desk)).toEqual([70, 70]);
  expect(follower.counters.adoptions).toBe(1);
});

test("a desk that has just begun gives up what it opened with and the leader does not hold", async () => {
  const desk = await standsBy(host(10));
  new FollowedLeader(desk).adopt(leaderWith(0));
  expect(await held(desk)).toEqual([0, 0]);
});

test("a leader that has just begun tells what its books opened with, and one that has followed for long does not take it for flat", async () => {
  const leader = await standsBy(host(70));
  const told = snapshotOf(leader);
  await leader.stop();
  expect(told.positions).toEqual([]);
  const desk = await standsBy(host(5));
  expect(await held(desk)).toEqual([5, 5]);
  new FollowedLeader(desk).adopt(told);
  expect(await held(desk)).toEqual([70, 70]);
});

test("what a leader waits for an instrument's description with is told, and waits at its follower, too", async () => {
  const leader = await standsBy(host(5));
  leader.adoptLeader(leaderWith(70).positions);
  const told = snapshotOf(leader);
  await leader.stop();
  const desk = await standsBy(host(0));
  new FollowedLeader(desk).adopt(told);
  expect(await held(desk)).toEqual([70, 70]);
});

test("what neither has described is taken over in lots", async () => {
  const leader = await standsBy(host(70));
  const told = snapshotOf(leader);
  await leader.stop();
  const desk = await standsBy(host(5));
  new FollowedLeader(desk).adopt(told);
  expect(await held(desk)).toEqual([70, 70]);
});
