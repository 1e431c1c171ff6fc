import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/core/clock.ts";
import { SIMULATED_KEY } from "../../src/sim/deribit-venue.ts";
import { Simulation } from "../../src/sim/simulation.ts";
import { skipUnlessNative } from "../support/native.ts";
import { freePort } from "../support/services.ts";
import { DeribitPeer, TAKER } from "./failover/counterparty.ts";
import { Link } from "./failover/link.ts";

const MAIN = join(import.meta.dir, "../../src/main.ts");
const skipped = await skipUnlessNative("a handover with the cpu engine");
const folder = mkdtempSync(join(tmpdir(), "keel-deribit-handover-"));
const ends: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
afterAll(async () => {
  for (const end of ends.reverse()) await end();
});

/** Waits until it holds. @throws Error naming it when it does not in time */
async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  for (let attempt = 0; attempt < 1_200; attempt += 1) {
    if (await holds()) return;
    await Bun.sleep(50);
  }
  throw new Error(`not within 60 s: ${what}`);
}

test.skipIf(skipped)(
  "at Deribit a process takes the running one's place without a lease: no fill is lost, no id used twice, no quote left",
  async () => {
    const simulation = new Simulation({
      ...{ seed: 7, clock: systemClock, price: 60_000, strikesPerExpiry: 9 },
      deribitTrading: { clients: [SIMULATED_KEY, TAKER] },
    });
    simulation.start();
    ends.push(() => simulation.stop());
    const peer = new DeribitPeer(simulation, folder);
    const [journal, http] = [join(folder, "journal"), `127.0.0.1:${freePort()}`];
    const run = (name: string, verb: readonly string[]) => {
      const link = new Link(() => peer.port);
      link.onSent = (bytes, connection) => peer.wire.take(name, bytes, connection);
      const { PATH = "", HOME = "" } = process.env;
      const child = Bun.spawn([process.execPath, MAIN, ...verb], {
        ...{ stdin: "ignore", stdout: "pipe", stderr: "pipe" },
        env: {
          ...{ PATH, HOME },
          KEEL_FEEDS: "binance-usdm:BTCUSDT,deribit:BTC-PERPETUAL,deribit:options:BTC",
          KEEL_URL_BINANCE_USDM: simulation.binance.server.url,
          KEEL_URL_DERIBIT: simulation.deribit.server.url,
          ...peer.environment("127.0.0.1", link.port),
          KEEL_DEVICE: "cpu",
          KEEL_WARM_UP_MS: "0",
          KEEL_SHED: "off",
          KEEL_STATE_DIR: join(folder, "state"),
          KEEL_JOURNAL_DIR: journal,
          KEEL_HTTP: http,
        },
      });
      ends.push(async () => {
        child.kill("SIGKILL");
        await child.exited;
        link.stop();
      });
      return child;
    };
    const quotes = (name: string) =>
      until(`${name} quotes`, async () => {
        const { standing } = await peer.peer();
        return peer.wire.leader === name && !Number.isNaN(peer.wire.firstQuoteMs) && standing > 20;
      });
    const trades = async (count: number): Promise<void> => {
      for (let trade = 0; trade < count; trade += 1) {
        await peer.trade();
        await Bun.sleep(30);
      }
    };

    const old = run("old", ["run"]);
    await quotes("old");
    await trades(4);
    const next = run("new", ["run", "--handover"]);
    await trades(20);
    expect(await old.exited).toBe(0);
    await quotes("new");
    await trades(3);
    const { positions } = await peer.peer();
    const agreed = async (): Promise<boolean> => {
      const answer = await fetch(`http://${http}/positions`).then(
        (response) => response.json() as Promise<{ positions: { symbol: string; lots: number }[] }>,
        () => ({ positions: [] }),
      );
      const lots = new Map(answer.positions.map((each) => [`deribit:${each.symbol}`, each.lots]));
      return Object.entries(positions)
        .filter(([key]) => /-[CP]$/.test(key))
        .every(([key, size]) => Math.abs((lots.get(key) ?? 0) * 0.1 - size) < 1e-9);
    };
    await until("its positions are the venue's", agreed);
    expect(Object.keys(positions).length).toBeGreaterThan(3);
    expect({ late: peer.wire.late, reused: peer.wire.reused }).toEqual({ late: [], reused: [] });
    next.kill("SIGTERM");
    expect(await next.exited).toBe(0);
    expect((await peer.peer()).standing).toBe(0);
    const audit = run("audit", ["audit", "verify", "--journal", journal]);
    expect(await audit.exited).toBe(0);
    const replay = run("replay", ["replay", journal, "--verify"]);
    expect(await replay.exited).toBe(0);
  },
  200_000,
);
