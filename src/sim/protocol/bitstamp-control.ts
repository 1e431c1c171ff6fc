import { BITSTAMP_PATH } from "../../feed/bitstamp/venue.ts";
import { isObject, parseJson } from "../../feed/decoder.ts";
import type { ControlRequest, VenueControl } from "./venue-control.ts";

/** Bitstamp WebSocket v2: `{"event":"bts:subscribe","data":{"channel":…}}`, one channel a message. A channel's name is the venue's own. */
export const BITSTAMP_CONTROL: VenueControl = {
  accepts: ({ pathname }) => pathname === BITSTAMP_PATH,
  greeting: () => null,
  read(text): ControlRequest | null {
    const message = parseJson(text);
    if (!isObject(message)) return null;
    const { event, data } = message;
    if (event === "bts:heartbeat") return { operation: "ping", channels: [] };
    if (event !== "bts:subscribe" && event !== "bts:unsubscribe") return null;
    if (!isObject(data) || typeof data.channel !== "string") return null;
    const operation = event === "bts:subscribe" ? "subscribe" : "unsubscribe";
    return { operation, channels: [data.channel] };
  },
  pong: () => '{"event":"bts:heartbeat","channel":"","data":{"status":"success"}}',
  acknowledge: ({ operation }, taken) =>
    taken.map((channel) =>
      JSON.stringify({
        event: operation === "subscribe" ? "bts:subscription_succeeded" : "bts:unsubscription_succeeded",
        channel,
        data: {},
      }),
    ),
  complaint: () =>
    '{"event":"bts:error","channel":"","data":{"code":null,"message":"Incorrect JSON format."}}',
};
