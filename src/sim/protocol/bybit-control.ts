import { isObject, parseJson } from "../../feed/decoder.ts";
import type { ControlRequest, VenueControl } from "./venue-control.ts";

/** Bybit v5: `{"op":"subscribe","args":["orderbook.200.BTCUSDT"]}`, one answer a request. A channel's name is its topic. */
export const BYBIT_CONTROL: VenueControl = {
  accepts: ({ pathname }) => /^\/v5\/public\/(?:spot|linear|inverse|option)$/.test(pathname),
  greeting: () => null,
  read(text): ControlRequest | null {
    const message = parseJson(text);
    if (!isObject(message)) return null;
    const { op: operation, args, req_id: id } = message;
    if (operation === "ping") return { operation, channels: [], id };
    if (operation !== "subscribe" && operation !== "unsubscribe") return null;
    if (!Array.isArray(args) || !args.every((arg): arg is string => typeof arg === "string")) return null;
    return { operation, channels: args, id };
  },
  pong: ({ id }) =>
    JSON.stringify({ success: true, ret_msg: "pong", conn_id: "sim", req_id: id ?? "", op: "ping" }),
  acknowledge: ({ operation, id }, taken) =>
    taken.length === 0
      ? []
      : [JSON.stringify({ success: true, ret_msg: "", conn_id: "sim", req_id: id ?? "", op: operation })],
  complaint: (text) =>
    JSON.stringify({
      success: false,
      ret_msg: `error:handler not found,topic:${text}`,
      conn_id: "sim",
      op: "",
    }),
};
