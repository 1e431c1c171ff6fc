import { BadInputError } from "../core/errors.ts";
import type { RfqAction, RfqInput } from "../rfq/message.ts";
import { type JournalRecord, RECORD } from "./record.ts";

/** What was said or answered in an RFQ, in order. */
export interface RfqStep {
  readonly timeUs: number;
  readonly said: RfqInput | null;
  readonly answered: RfqAction | null;
}

/** How an RFQ ended; `open` where the journal ends before. */
export type RfqOutcome =
  | "open"
  | "refused"
  | "traded"
  | "rejected"
  | "expired"
  | "removed"
  | "passed"
  | "done-away";

/** One RFQ or order from a journal. */
export interface RfqLife {
  /** As `keel rfq show` takes it: `client/requestId`, with `#n` for the n-th of the same name. */
  readonly name: string;
  readonly channel: string;
  readonly client: string;
  readonly requestId: string;
  readonly startUs: number;
  outcome: RfqOutcome;
  endUs: number;
  readonly legs: string;
  readonly quantity: string;
  readonly quoteIds: string[];
  readonly steps: RfqStep[];
}

/** RFQs that are read from one journal; what comes beyond is counted. */
const LIVES_MAX = 100_000;
const decoder = new TextDecoder();

/** The lives of all RFQs and orders in a journal's records, in the order in which they began. */
export function rfqLives(records: Iterable<JournalRecord>): { lives: RfqLife[]; beyond: number } {
  const lives: RfqLife[] = [];
  const byRequest = new Map<string, RfqLife>();
  const byQuote = new Map<string, RfqLife>();
  const named = new Map<string, number>();
  let beyond = 0;
  for (const record of records) {
    const { timeUs } = record;
    if (record.type === RECORD.rfq) {
      const said = json<RfqInput>(record);
      if (said.on === "request" || said.on === "order") {
        if (lives.length === LIVES_MAX) {
          beyond += 1;
          continue;
        }
        const requestId = said.on === "request" ? said.requestId : said.orderId;
        const key = `${said.channel} ${said.client} ${requestId}`;
        const before = byRequest.get(key);
        const again = said.on === "request" && said.again === true && before?.outcome !== "traded";
        if (before !== undefined && (before.outcome === "open" || again)) {
          before.steps.push({ timeUs, said, answered: null });
          before.outcome = "open";
          continue;
        }
        const name = `${said.client}/${requestId}`;
        const times = (named.get(name) ?? 0) + 1;
        named.set(name, times);
        const life: RfqLife = {
          name: times === 1 ? name : `${name}#${times}`,
          ...{ channel: said.channel, client: said.client, requestId },
          ...{ startUs: timeUs, endUs: timeUs, outcome: "open" as const, quoteIds: [] },
          legs: said.on === "request" ? legsText(said.legs) : `order ${said.side} ${said.symbol}`,
          quantity: said.quantity,
          steps: [{ timeUs, said, answered: null }],
        };
        lives.push(life);
        byRequest.set(key, life);
      } else if (said.on === "fill") {
        byRequest
          .get(`${said.channel} ${said.client} ${said.requestId}`)
          ?.steps.push({ timeUs, said, answered: null });
      } else if (said.on === "response") {
        const life = byQuote.get(said.quoteId);
        life?.steps.push({ timeUs, said, answered: null });
        const ends = said.kind !== "hit" && said.kind !== "counter";
        if (life?.outcome === "open" && ends && life.quoteIds.at(-1) === said.quoteId) {
          life.outcome = said.kind === "pass" ? "passed" : said.kind === "expired" ? "expired" : "done-away";
          life.endUs = timeUs;
        }
      }
    } else if (record.type === RECORD.rfqAction) {
      const answered = json<RfqAction>(record);
      const id = answered.do === "order-reject" ? answered.orderId : answered.requestId;
      const life = byRequest.get(`${answered.channel} ${answered.client} ${id}`);
      if (life === undefined) continue;
      life.steps.push({ timeUs, said: null, answered });
      if (answered.do === "quote") {
        life.quoteIds.push(answered.quoteId);
        byQuote.set(answered.quoteId, life);
      }
      settle(life, answered, timeUs);
    }
  }
  return { lives, beyond };
}

function settle(life: RfqLife, action: RfqAction, timeUs: number): void {
  // A venue may have traded with a quote that was being taken back.
  if (life.outcome !== "open" && action.do !== "trade") return;
  let outcome: RfqOutcome = "open";
  if (action.do === "trade") outcome = "traded";
  else if (action.do === "order-reject") outcome = "refused";
  // A second request of the same id is refused while the first one lives on.
  else if (action.do === "reject" && life.quoteIds.length === 0) outcome = "refused";
  else if (action.do === "status") {
    if (action.status === "expired" || action.status === "removed") outcome = action.status;
    else if (action.status === "pass") outcome = "passed";
    // A hit that was refused before the last look leaves the quote alive.
    else if (action.status === "rejected" && action.cause.startsWith("last look")) outcome = "rejected";
  }
  if (outcome === "open") return;
  life.outcome = outcome;
  life.endUs = timeUs;
}

function legsText(legs: Extract<RfqInput, { on: "request" }>["legs"]): string {
  return legs
    .map(({ side, ratio, symbol }) =>
      `${side === "buy" ? "+" : "-"}${ratio === "1" ? "" : ratio} ${symbol}`.replace(/^\+ /, ""),
    )
    .join(" ");
}

function json<T>(record: JournalRecord): T {
  try {
    return JSON.parse(decoder.decode(record.payload)) as T;
  } catch {
    throw new BadInputError(`journal record ${record.sequence}`, "a payload that is no JSON", "JSON");
  }
}
