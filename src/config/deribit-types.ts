import { Misfit, type ValueType, valueType } from "./types.ts";

const THIS_HOST = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/** A WebSocket's whole URL, without anything secret in it; without TLS to this host alone. */
export const webSocketUrl: ValueType<string> = valueType("ws or wss URL", "a", (text) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^wss?:$/.test(url.protocol) || url.hostname === "") return new Misfit();
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    return new Misfit("a URL without user name, password, query and fragment");
  }
  if (url.protocol === "ws:" && !THIS_HOST.test(url.hostname)) {
    return new Misfit(
      "wss://, because by ws:// the login and the orders could be read and changed on their way to another host",
    );
  }
  return text;
});

/** `btc_usd,eth_usd,…` */
export const indexList: ValueType<readonly string[]> = valueType("index,…", "", (text) => {
  const names = text.split(",").map((name) => name.trim());
  if (names.some((name) => !/^[a-z0-9]{2,12}_[a-z0-9]{3,6}$/.test(name))) {
    return new Misfit("indexes such as btc_usd, separated by commas");
  }
  return new Set(names).size === names.length ? names : new Misfit("each index once");
});
