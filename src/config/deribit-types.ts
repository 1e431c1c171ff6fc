import { Misfit, type ValueType, valueType } from "./types.ts";

/** A WebSocket's whole URL, without anything secret in it. */
export const webSocketUrl: ValueType<string> = valueType("ws or wss URL", "a", (text) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^wss?:$/.test(url.protocol) || url.hostname === "") return new Misfit();
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    return new Misfit("a URL without user name, password, query and fragment");
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
