import { Misfit, type ValueType, valueType } from "./types.ts";

function bareUrl(label: string, schemes: RegExp, path: RegExp, expected: string): ValueType<string> {
  return valueType(label, "a", (text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined || !schemes.test(url.protocol) || url.hostname === "") return new Misfit();
    if (url.username !== "" || url.password !== "") return new Misfit("a URL without user name and password");
    if (url.search !== "" || url.hash !== "" || !path.test(url.pathname)) return new Misfit(expected);
    return text;
  });
}

/** Redis by `redis:` and `rediss:`, etcd by `http:` and `https:`. */
export const leaseUrl: ValueType<string> = bareUrl(
  "redis, rediss, http or https URL",
  /^(rediss?|https?):$/,
  /^(?:|\/|\/\d{1,5})$/,
  "a URL with nothing but host, port and the number of a Redis database",
);

export const peerUrl: ValueType<string> = bareUrl(
  "ws or wss URL",
  /^wss?:$/,
  /^\/?$/,
  "a URL with nothing but host and port",
);

export const leaseName: ValueType<string> = valueType("name", "a", (text) =>
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)
    ? text
    : new Misfit("a name of letters, digits, dots, dashes and underscores"),
);
