import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { CaptureVenue } from "../../src/sim/capture-venue.ts";
import {
  Client,
  closeOpened,
  DATA,
  DERIBIT,
  get,
  PRESENT,
  recorded,
  removeFolder,
  slice,
  until,
  venue,
} from "./capture-venue-bed.ts";

afterAll(removeFolder);
afterEach(closeOpened);

describe.skipIf(!PRESENT)("Deribit", () => {
  const channels = PRESENT
    ? [...new Set(recorded(DERIBIT).map((text) => JSON.parse(text).params.channel as string))]
    : [];
  const answer = (client: Client, id: number): Record<string, unknown> | undefined => {
    return client.messages.map((text) => JSON.parse(text)).find((message) => message.id === id);
  };
  async function call(
    client: Client,
    id: number,
    method: string,
    params: object,
  ): Promise<Record<string, unknown>> {
    client.send({ jsonrpc: "2.0", id, method, params });
    await until(`the answer to ${method}`, () => answer(client, id) !== undefined);
    return answer(client, id) ?? {};
  }

  test("subscribed channels are served byte for byte; others are left out of the answer", async () => {
    const served = await venue({ capture: DERIBIT });
    const client = await Client.open(`${served.url}/ws/api/v2`);
    const { result } = await call(client, 5, "public/subscribe", {
      channels: [...channels, "book.NOPE-1.raw"],
    });
    expect(result).toEqual(channels);
    await served.end();
    const frames = recorded(DERIBIT);
    await until("all frames", () => client.frames.length === frames.length);
    expect(client.frames).toEqual(frames);
  });

  test("channels of events that did not happen are granted and stay quiet", async () => {
    const served = await venue({ capture: DERIBIT });
    const client = await Client.open(`${served.url}/ws/api/v2`);
    const asked = ["trades.ETH-30JUL21-2800-C.raw", "trades.BTC-1JAN30-1-C.raw"];
    expect((await call(client, 1, "public/subscribe", { channels: asked })).result).toEqual(
      asked.slice(0, 1),
    );
    expect((await call(client, 2, "public/unsubscribe", { channels: asked })).result).toEqual(
      asked.slice(0, 1),
    );
  });

  test("a book subscribed in the middle begins with a snapshot that the next change continues", async () => {
    const served = await venue({ capture: DERIBIT });
    const channel = "book.BTC-24SEP21-8000-P.raw";
    const whole = await Client.open(`${served.url}/ws/api/v2`);
    served.at(40, () => served.pause());
    await call(whole, 1, "public/subscribe", { channels });
    await until("a change", () =>
      whole.frames.some((text) => text.includes(channel) && text.includes('"change"')),
    );
    const late = await Client.open(`${served.url}/ws/api/v2`);
    await call(late, 1, "public/subscribe", { channels: [channel] });
    await until("the snapshot", () => late.frames.length > 0);
    served.resume();
    await served.end();
    await until(
      "the end",
      () => late.frames.at(-1) === whole.frames.filter((text) => text.includes(channel)).at(-1),
    );
    const [first, ...changes] = late.frames.map((text) => JSON.parse(text).params.data);
    expect(first.type).toBe("snapshot");
    expect(changes.length).toBeGreaterThan(2);
    let id = first.change_id;
    for (const change of changes) {
      expect(change.prev_change_id).toBe(id);
      id = change.change_id;
    }
    expect(served.summary().snapshotsServed).toBe(1);
    const { result } = await call(late, 2, "public/unsubscribe", { channels: [channel] });
    expect(result).toEqual([channel]);
  });

  test("a channel's other interval is served under its own name", async () => {
    const served = await venue({ capture: DERIBIT });
    const client = await Client.open(`${served.url}/ws/api/v2`);
    const asked = "ticker.BTC-24SEP21-8000-P.100ms";
    expect((await call(client, 1, "public/subscribe", { channels: [asked] })).result).toEqual([asked]);
    await served.end();
    await until("frames", () => client.frames.length > 3);
    expect(new Set(client.frames.map((text) => JSON.parse(text).params.channel))).toEqual(new Set([asked]));
  });

  test("instruments of the capture are described, by currency, kind and name, on both transports", async () => {
    const served = await venue({ capture: DERIBIT });
    const client = await Client.open(`${served.url}/ws/api/v2`);
    const { result } = await call(client, 1, "public/get_instruments", { currency: "ETH", kind: "option" });
    const names = (result as { instrument_name: string }[]).map(({ instrument_name }) => instrument_name);
    expect(names.sort()).toEqual(["ETH-23JUL21-2300-C", "ETH-27AUG21-4000-P", "ETH-30JUL21-2800-C"]);
    const futures = await call(client, 2, "public/get_instruments", { currency: "BTC", kind: "future" });
    expect(futures.result).toEqual([]);
    const one = await call(client, 3, "public/get_instrument", { instrument_name: "ETH-30JUL21-2800-C" });
    expect(one.result).toMatchObject({ tick_size: 0.0005, kind: "option", strike: 2800 });
    const { body } = await get(served, "/api/v2/public/get_instruments?currency=BTC&kind=option");
    expect(body.result).toHaveLength(7);
    expect((await get(served, "/api/v2/public/get_time")).body.result).toBe(1_626_993_723_804);
  });

  test("what is wrong is answered with Deribit's error codes", async () => {
    const served = await venue({ capture: DERIBIT });
    const client = await Client.open(`${served.url}/ws/api/v2`);
    expect((await call(client, 1, "public/fly", {})).error).toMatchObject({ code: -32_601 });
    expect((await call(client, 2, "public/get_instrument", {})).error).toMatchObject({ code: -32_602 });
    expect((await call(client, 3, "public/test", {})).result).toHaveProperty("version");
    expect((await call(client, 4, "public/set_heartbeat", { interval: 10 })).result).toBe("ok");
    expect((await get(served, "/api/v2/public/fly")).status).toBe(400);
  });

  test("without a description of its instruments a capture is refused, saying what to give", async () => {
    const alone = slice(DERIBIT, 139);
    await expect(CaptureVenue.start({ capture: alone })).rejects.toThrow(/--instruments/);
    const served = await venue({ capture: alone, instruments: join(DATA, "ws/DERIBIT.0.gz") });
    expect(served.venue).toBe("deribit");
  });
});
