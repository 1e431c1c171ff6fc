import type { DeskFeed } from "../desk/desk-options.ts";
import { primaries } from "../feed/lines.ts";

/** What a subscription to a whole chain is reckoned as, in subscriptions to one instrument. */
const OPTIONS_WEIGHT = 100;
const FUTURES_WEIGHT = 10;
const QUOTE_CURRENCIES = /(?:USDT|USDC|FDUSD|TUSD|USD|EUR|GBP|TRY|BRL|JPY|BTC|ETH)$/;

interface Group {
  readonly coin: string;
  readonly subscriptions: string[];
  weight: number;
}

interface Part {
  readonly venue: DeskFeed["venue"];
  readonly groups: readonly Group[];
}

/**
 * Gives venues several connections, as many as it takes for every thread to have one. Whoever has most to do is halved, coin by coin:
 * all that a venue tells of one coin stays on one connection, so its options, the book that leads them and their marks come in one
 * order. What cannot be halved, a venue with one coin, stays whole.
 *
 * @param feeds lines included; each part gets as many
 * @returns the same subscriptions; the feeds as they were when there are at least as many venues as threads
 */
export function spreadFeeds(feeds: readonly DeskFeed[], shards: number): readonly DeskFeed[] {
  const primary = primaries(feeds);
  const whole = feeds.filter((_, id) => primary[id] === id);
  const lines = whole.length === 0 ? 0 : feeds.length / whole.length;
  let parts: readonly Part[] = whole.map(({ venue, subscriptions }) => ({
    venue,
    groups: groupsOf(venue, subscriptions),
  }));
  while (parts.length < shards) {
    const divisible = parts.filter(({ groups }) => groups.length > 1);
    if (divisible.length === 0) break;
    const most = Math.max(...divisible.map(weightOf));
    const heaviest = divisible.find((part) => weightOf(part) === most);
    parts = parts.flatMap((part) => (part === heaviest ? halves(part) : [part]));
  }
  if (parts.length === whole.length) return feeds;
  const spread = parts.map(({ venue, groups }) => ({
    venue,
    subscriptions: groups.flatMap(({ subscriptions }) => subscriptions),
  }));
  return Array.from({ length: lines }, () => spread).flat();
}

/**
 * Deals feeds out to threads. Lines of one another stay together, because one thread has to decide which of their events is the first;
 * beyond that a feed goes, in their order, to the thread with the least to do so far.
 *
 * @returns feed numbers by thread; there are no more threads than feeds that are not lines of one another
 */
export function dealFeeds(feeds: readonly DeskFeed[], shards: number): readonly (readonly number[])[] {
  const primary = primaries(feeds);
  const firsts = [...new Set(primary)];
  const hands = Array.from({ length: Math.min(shards, firsts.length) }, () => ({
    feeds: [] as number[],
    weight: 0,
  }));
  for (const first of firsts) {
    const least = Math.min(...hands.map(({ weight }) => weight));
    const hand = hands.find(({ weight }) => weight === least);
    for (const [id, { subscriptions }] of feeds.entries()) {
      if (primary[id] !== first || hand === undefined) continue;
      hand.feeds.push(id);
      hand.weight += subscriptions.reduce((total, each) => total + weightOfOne(each), 0);
    }
  }
  return hands.map((hand) => hand.feeds);
}

/** The heaviest coin goes to the lighter half, one after the other; each half keeps the order of the subscriptions. */
function halves(part: Part): readonly [Part, Part] {
  const heaviestFirst = part.groups.toSorted((a, b) => b.weight - a.weight);
  const first = new Set<Group>();
  let difference = 0;
  for (const group of heaviestFirst) {
    if (difference <= 0) first.add(group);
    difference += difference <= 0 ? group.weight : -group.weight;
  }
  const half = (isFirst: boolean): Part => ({
    venue: part.venue,
    groups: part.groups.filter((group) => first.has(group) === isFirst),
  });
  return [half(true), half(false)];
}

function groupsOf(venue: DeskFeed["venue"], subscriptions: readonly string[]): readonly Group[] {
  const groups = new Map<string, Group>();
  for (const subscription of subscriptions) {
    const coin = coinOf(venue, subscription);
    const group = groups.get(coin) ?? { coin, subscriptions: [], weight: 0 };
    group.subscriptions.push(subscription);
    group.weight += weightOfOne(subscription);
    groups.set(coin, group);
  }
  return [...groups.values()];
}

/**
 * The coin that a subscription is of, by its spelling. On Deribit what settles in USDC is listed as one currency, `options:USDC`, so
 * `BTC_USDC-PERPETUAL` goes with USDC.
 */
function coinOf(venue: DeskFeed["venue"], subscription: string): string {
  const symbol = subscription.replace(/^(?:options|futures|orders):/, "").replace(/@\d+$/, "");
  const [pair] = symbol.split(/[-/]/);
  if (venue === "deribit") return pair.slice(pair.indexOf("_") + 1);
  const [name] = pair.toUpperCase().split("_");
  return name.replace(QUOTE_CURRENCIES, "") || name;
}

function weightOf({ groups }: Part): number {
  return groups.reduce((total, { weight }) => total + weight, 0);
}

function weightOfOne(subscription: string): number {
  if (subscription.startsWith("options:")) return OPTIONS_WEIGHT;
  return subscription.startsWith("futures:") ? FUTURES_WEIGHT : 1;
}
