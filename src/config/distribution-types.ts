import { PUBLICATIONS, type Publication } from "../distribution/options.ts";
import { Misfit, type ValueType, valueType } from "./types.ts";

const LIST_MAX = 32;

function listOf(
  label: string,
  isItem: (item: string) => boolean,
  expected: string,
): ValueType<readonly string[]> {
  return valueType(label, "", (text) => {
    const items = text.split(",").map((item) => item.trim());
    const fits = items.length <= LIST_MAX && items.every(isItem) && new Set(items).size === items.length;
    return fits ? items : new Misfit(expected);
  });
}

/** `host:port,…` of brokers. */
export const brokerList: ValueType<readonly string[]> = listOf(
  "host:port,…",
  (item) =>
    /^(?:\[[0-9a-f:.]+\]|[^\s:/[\]@]+):\d{1,5}$/i.test(item) && Number(/\d+$/.exec(item)?.[0]) <= 65_535,
  `host:port of at most ${LIST_MAX} brokers, separated by commas`,
);

/** Names as Kafka takes them for topics. */
export const topicList: ValueType<readonly string[]> = listOf(
  "topic,…",
  (item) => /^[A-Za-z0-9._-]{1,249}$/.test(item),
  `at most ${LIST_MAX} topics of letters, digits, dots, dashes and underscores, each once, separated by commas`,
);

export const topicName: ValueType<string> = valueType("topic", "a", (text) =>
  /^[A-Za-z0-9._-]{1,249}$/.test(text) ? text : new Misfit("letters, digits, dots, dashes and underscores"),
);

export const topicPrefix: ValueType<string> = valueType("beginning of a topic", "a", (text) =>
  /^[A-Za-z0-9._-]{1,200}$/.test(text) ? text : new Misfit("letters, digits, dots, dashes and underscores"),
);

/** What is published; `none` for nothing. */
export const publicationList: ValueType<readonly Publication[]> = valueType(
  "none, or some of top,trades,tickers,predictions,quotes,feed",
  "",
  (text) => {
    if (text === "none") return [];
    const names = text.split(",").map((name) => name.trim());
    const known = PUBLICATIONS.filter((name) => names.includes(name));
    return known.length === names.length
      ? known
      : new Misfit(`none, or each once of ${PUBLICATIONS.join(", ")}`);
  },
);

/** `redis://host:port/db` or `rediss://…`; user and password are given apart. */
export const redisUrl: ValueType<string> = valueType("redis or rediss URL", "a", (text) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^rediss?:$/.test(url.protocol) || url.hostname === "") return new Misfit();
  if (url.username !== "" || url.password !== "") return new Misfit("a URL without user name and password");
  if (url.search !== "" || url.hash !== "" || !/^(?:|\/|\/\d{1,5})$/.test(url.pathname)) {
    return new Misfit("a URL with nothing but host, port and the number of a database");
  }
  return text;
});
