import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { BadInputError } from "../../src/core/errors.ts";
import { CaptureVenue, type CaptureVenueOptions } from "../../src/sim/capture-venue.ts";
import {
  ALL_USDM,
  Client,
  closeOpened,
  DERIBIT,
  get,
  ownFolder,
  PRESENT,
  recorded,
  removeFolder,
  slice,
  USDM,
  until,
  venue,
} from "./capture-venue-bed.ts";

afterAll(removeFolder);
afterEach(closeOpened);

describe.skipIf(!PRESENT)("faults", () => {
  async function served(
    options: Partial<CaptureVenueOptions> = {},
  ): Promise<[CaptureVenue, Client, string[]]> {
    const capture = slice(USDM, 1_500);
    const server = await venue({ capture, ...options });
    const client = await Client.open(`${server.url}/stream`);
    return [server, client, recorded(capture)];
  }

  test("planned drops, duplicates, garbled and half frames hit exactly the frames they are planned for", async () => {
    const [server, client, frames] = await served();
    server.injectAt(10, { kind: "drop", count: 1 });
    server.injectAt(20, { kind: "duplicate", count: 1 });
    server.injectAt(30, { kind: "garble", count: 1 });
    server.injectAt(40, { kind: "half", count: 1 });
    client.subscribe(ALL_USDM);
    await server.end();
    await until("all frames", () => client.messages.at(-1) === frames.at(-1));
    const got = client.messages.slice(1);
    expect(got).toHaveLength(frames.length);
    expect(got[10]).toBe(frames[11] as string);
    expect([got[19], got[20]]).toEqual([frames[20] as string, frames[20] as string]);
    expect(() => JSON.parse(got[30] ?? "")).toThrow();
    expect(got[40]).toBe(frames[40]?.slice(0, (frames[40]?.length ?? 0) >> 1) ?? "");
    expect(server.summary().faults).toMatchObject({ drop: 1, duplicate: 1, garble: 1, half: 1 });
  });

  test("a freeze loses frames and keeps the socket", async () => {
    const [server, client, frames] = await served();
    server.injectAt(100, { kind: "freeze", forMs: 60, control: false });
    client.subscribe(ALL_USDM);
    await server.end();
    await until("the last frame", () => client.messages.at(-1) === frames.at(-1));
    const lost = server.summary().faults.freeze;
    expect(lost).toBeGreaterThan(0);
    expect(client.messages).toHaveLength(1 + frames.length - lost);
    expect(client.closed).toBe(0);
  });

  test("a disconnect cuts everyone off; at full speed the market waits for the client to come back", async () => {
    const [server, client, frames] = await served();
    server.injectAt(200, { kind: "disconnect", code: 1_006, reason: "" });
    client.subscribe(ALL_USDM);
    await until("the cut", () => client.closed !== 0);
    const again = await Client.open(`${server.url}/stream?streams=${ALL_USDM.join("/")}`);
    await server.end();
    await until("the last frame", () => again.messages.at(-1) === frames.at(-1));
    expect(again.messages).toEqual(frames.slice(frames.length - again.messages.length));
    expect(server.summary()).toMatchObject({ clients: 2, faults: { disconnect: 1 } });
  });

  test("requests and connections are refused with Retry-After while it lasts", async () => {
    const [server] = await served();
    server.inject({ kind: "refuse", status: 429, forMs: 60_000, retryAfterSeconds: 3, channel: "/depth" });
    const response = await fetch(`${server.url.replace("ws:", "http:")}/fapi/v1/depth?symbol=BTCUSDT`);
    expect([response.status, response.headers.get("retry-after")]).toEqual([429, "3"]);
    expect(await response.json()).toMatchObject({ code: -1003 });
    expect((await get(server, "/fapi/v1/ping")).status).toBe(200);
    server.inject({ kind: "refuse", status: 503, forMs: 60_000, retryAfterSeconds: 1, channel: "/stream" });
    await expect(Client.open(`${server.url}/stream`)).rejects.toThrow();
    expect(server.summary().faults.refuse).toBe(2);
  });
});

describe("what cannot be served", () => {
  test("an absent file, a capture of another venue", async () => {
    await expect(CaptureVenue.start({ capture: join(ownFolder(), "none") })).rejects.toThrow(BadInputError);
    const other = join(ownFolder(), "other.log");
    writeFileSync(other, 'wss://ws.kraken.com <-> 1618678132.3\n1618678132.8: {"event":"systemStatus"}\n');
    await expect(CaptureVenue.start({ capture: other })).rejects.toThrow(/no market data/);
  });

  test.skipIf(!PRESENT)("a port in use is named", async () => {
    const first = await venue({ capture: DERIBIT });
    await expect(CaptureVenue.start({ capture: DERIBIT, port: first.port })).rejects.toThrow(
      `:${first.port}`,
    );
  });
});
