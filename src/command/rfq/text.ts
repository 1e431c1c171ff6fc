import type { RfqLife, RfqStep } from "../../journal/rfq-lives.ts";

/** What one client's RFQs came to. */
export interface CounterpartyTotals {
  readonly client: string;
  requests: number;
  quotes: number;
  trades: number;
  doneAway: number;
  lastLookAccepted: number;
  lastLookRejected: number;
  heldUsMax: number;
}

/** Sums by client, in the order in which they came. */
export function counterpartyTotals(lives: readonly RfqLife[]): CounterpartyTotals[] {
  const byClient = new Map<string, CounterpartyTotals>();
  for (const { client, outcome, quoteIds, steps } of lives) {
    const totals = byClient.get(client) ?? {
      client,
      ...{
        requests: 0,
        quotes: 0,
        trades: 0,
        doneAway: 0,
        lastLookAccepted: 0,
        lastLookRejected: 0,
        heldUsMax: 0,
      },
    };
    byClient.set(client, totals);
    totals.requests += 1;
    totals.quotes += quoteIds.length;
    totals.trades += outcome === "traded" ? 1 : 0;
    totals.doneAway += outcome === "done-away" ? 1 : 0;
    totals.lastLookAccepted += outcome === "traded" && quoteIds.length > 0 ? 1 : 0;
    totals.lastLookRejected += outcome === "rejected" ? 1 : 0;
    for (const { answered } of steps) {
      if (answered?.do === "trade") totals.heldUsMax = Math.max(totals.heldUsMax, answered.heldUs);
    }
  }
  return [...byClient.values()];
}

export function counterpartyLine(totals: CounterpartyTotals): string {
  const { client, requests, quotes, trades, doneAway, lastLookAccepted, lastLookRejected, heldUsMax } =
    totals;
  return (
    `${client}: ${requests} asked, ${quotes} quoted, ${trades} traded, ${doneAway} done away; last look ` +
    `${lastLookAccepted} accepted, ${lastLookRejected} rejected, held up to ${(heldUsMax / 1e3).toFixed(1)} ms`
  );
}

/** One RFQ in a line. */
export function lifeLine({ name, channel, startUs, endUs, outcome, legs, quantity }: RfqLife): string {
  const tookMs = ((endUs - startUs) / 1e3).toFixed(1);
  return `${clock(startUs)} ${channel} ${name}  ${quantity} × ${legs}  ${outcome} after ${tookMs} ms`;
}

/** What was said or answered, in lines. */
export function stepLines({ timeUs, said, answered }: RfqStep): string[] {
  const at = `  ${clock(timeUs)} `;
  if (said !== null) {
    const { on, channel, client, ...content } = said;
    return [`${at}> ${on} ${fields(content)}`];
  }
  if (answered === null) return [];
  if (answered.do !== "quote") {
    const { do: kind, channel, client, ...content } = answered;
    return [`${at}< ${kind} ${fields(content)}`];
  }
  const { quoteId, bid, offer, quantity, validUntilUs, terms } = answered;
  return [
    `${at}< quote ${quoteId}  ${bid ?? "-"} / ${offer ?? "-"} × ${quantity} until ${clock(validUntilUs)}`,
    ...Object.entries(terms).map(([term, value]) => `${" ".repeat(20)}${term.padEnd(14)} ${value}`),
  ];
}

function fields(content: object): string {
  return Object.entries(content)
    .filter(([, value]) => value !== null && value !== "")
    .map(([name, value]) => `${name}=${typeof value === "object" ? JSON.stringify(value) : String(value)}`)
    .join(" ");
}

function clock(timeUs: number): string {
  return new Date(timeUs / 1e3).toISOString().slice(11, 23);
}
