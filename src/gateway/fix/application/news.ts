import type { MessageBuilder } from "../builder.ts";
import { TAG } from "../tags.ts";
import type { FieldTree } from "./field-tree.ts";

/** A News message (35=B). */
export interface News {
  readonly headline: string;
  /** OrigTime (42), µs since the epoch; NaN = not given. */
  readonly originalUs: number;
  readonly lines: readonly string[];
}

export function readNews(tree: FieldTree): News | string {
  const headline = tree.text(TAG.headline);
  if (headline === undefined) return "Headline (148) is missing";
  const lines = tree.group(TAG.noLinesOfText).map((line) => line.text(TAG.text) ?? "");
  return { headline, originalUs: tree.timeUs(TAG.origTime), lines };
}

export function writeNews(builder: MessageBuilder, news: News): void {
  if (!Number.isNaN(news.originalUs)) builder.time(TAG.origTime, news.originalUs);
  builder.text(TAG.headline, news.headline).uint(TAG.noLinesOfText, news.lines.length);
  for (const line of news.lines) builder.text(TAG.text, line);
}

/** One value of an external signal. */
export interface NewsSignal {
  readonly signal: string;
  readonly value: number;
  /** ms since the epoch; undefined = not given. */
  readonly ts: number | undefined;
}

const SIGNAL_LINE = /^\s*([A-Za-z0-9][\w.-]{0,63})\s*=\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)\s*$/;

/**
 * Signals in a News message: lines of text of the form `name=value`, e.g. `sentiment.btc=-0.35`. Other lines are for people. As
 * JSON each is a frame that the desk's signal feed takes.
 */
export function newsSignals(news: News): NewsSignal[] {
  const ts = Number.isNaN(news.originalUs) ? undefined : news.originalUs / 1_000;
  const signals: NewsSignal[] = [];
  for (const line of news.lines) {
    const match = SIGNAL_LINE.exec(line);
    const value = Number(match?.[2]);
    if (match !== null && Number.isFinite(value)) signals.push({ signal: match[1], value, ts });
  }
  return signals;
}
