import { isObject, parseJson } from "../../feed/decoder.ts";
import { OKX_PATH } from "../../feed/okx/venue.ts";
import type { ControlRequest, VenueControl } from "./venue-control.ts";

const CHANNEL = /^[a-z0-9-]+:[A-Za-z0-9.-]+$/;

/** OKX v5: `{"op":"subscribe","args":[{"channel":…,"instId":…}]}`, one answer a channel, `ping` as a bare word. A channel's name is `books:BTC-USDT`. */
export const OKX_CONTROL: VenueControl = {
  accepts: ({ pathname }) => pathname === OKX_PATH,
  greeting: () => null,
  read(text): ControlRequest | null {
    if (text === "ping") return { operation: "ping", channels: [] };
    const message = parseJson(text);
    if (!isObject(message) || !Array.isArray(message.args)) return null;
    const { op: operation } = message;
    if (operation !== "subscribe" && operation !== "unsubscribe") return null;
    const channels = message.args.map((arg: unknown) =>
      isObject(arg) ? `${arg.channel ?? ""}:${arg.instId ?? arg.instFamily ?? ""}` : "",
    );
    return channels.every((channel) => CHANNEL.test(channel)) ? { operation, channels } : null;
  },
  pong: () => "pong",
  acknowledge: ({ operation }, taken) =>
    taken.map((channel) => JSON.stringify({ event: operation, arg: okxArgument(channel), connId: "sim" })),
  complaint: (text) =>
    JSON.stringify({ event: "error", code: "60012", msg: `Illegal request: ${text}`, connId: "sim" }),
};

/** `arg` of a channel's messages. */
export function okxArgument(channel: string): { readonly channel: string } {
  const [name, instrument] = channel.split(":");
  return name === "opt-summary"
    ? { channel: name, ...{ instFamily: instrument } }
    : { channel: name, ...{ instId: instrument } };
}
