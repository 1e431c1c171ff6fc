import { z } from "zod";
import { REASON, type ReasonName } from "../../quote/quote-batch.ts";
import { RFQ_REFUSALS, RFQ_RESPONSES, RFQ_STATUSES } from "../../rfq/message.ts";
import { TRADING_STATES } from "../../risk/trading-state.ts";

/** Version of the messages; it rises when a field changes its meaning or goes. */
export const API_VERSION = 1;

const decimal = z
  .string()
  .regex(/^\d{1,12}(\.\d{1,10})?$/)
  .describe('Plain decimal as text, e.g. "0.0355"');
const price = z
  .string()
  .regex(/^-?\d{1,12}(\.\d{1,10})?$/)
  .describe("Plain decimal as text; negative where a structure is sold on balance");
const id = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[\x21-\x7e]+$/)
  .describe("Printable text without spaces");
const symbol = z.string().min(1).max(64).describe("As the venue spells it");
const venue = z.string().max(32).optional().describe("Needed where several venues list the symbol");
const side = z.enum(["buy", "sell"]).describe("Always the client's side");
const reference = z.union([id, z.int()]).optional().describe("Comes back in the answer");

export const CHANNELS = ["predictions", "quotes", "states"] as const;
export type Channel = (typeof CHANNELS)[number];

const leg = z.strictObject({
  symbol,
  venue,
  side: side.default("buy"),
  ratio: decimal.default("1"),
});

const subscription = {
  id: reference,
  channel: z.enum(CHANNELS),
  names: z
    .array(symbol)
    .max(4_096)
    .optional()
    .describe("Underlyings for predictions, symbols for quotes; left out: all of them"),
};

/** What a client may send. */
const CLIENT_MESSAGE = z.discriminatedUnion("op", [
  z
    .strictObject({ op: z.literal("auth"), token: z.string().max(1_024) })
    .describe("First message, where no header"),
  z.strictObject({ op: z.literal("subscribe"), ...subscription }),
  z.strictObject({ op: z.literal("unsubscribe"), ...subscription }),
  z
    .strictObject({
      op: z.literal("rfq"),
      requestId: id,
      legs: z.array(leg).min(1).max(16),
      quantity: decimal.describe("Units of the structure, in the venue's unit of size"),
      side: side.optional().describe("Left out: both sides"),
      validForMs: z.int().min(1).max(3_600_000).optional(),
      tiedPrice: decimal.optional().describe("Price of a leg in the underlying beside options"),
    })
    .describe("Asks for a quote; needs a trading token"),
  z
    .strictObject({
      op: z.literal("respond"),
      responseId: id,
      quoteId: id,
      kind: z.enum(RFQ_RESPONSES),
      side: side.optional(),
      quantity: decimal.optional().describe("Left out: all that is quoted"),
      price: price.optional().describe("Of a hit: must be the quote's; of a counter: the price wanted"),
    })
    .describe("Answers a quote; needs a trading token"),
  z
    .strictObject({
      op: z.literal("order"),
      orderId: id,
      symbol,
      venue,
      side,
      quantity: decimal,
      limit: price.describe("Worst price accepted"),
    })
    .describe("Trades with the desk at its price, at once or not at all; needs a trading token"),
  z
    .strictObject({ op: z.literal("withdraw"), id: reference, requestId: id.optional() })
    .describe("Withdraws a request, or all of the client's"),
  z.strictObject({ op: z.literal("ping"), id: reference }),
]);

export type ClientMessage = z.output<typeof CLIENT_MESSAGE>;

const reasons = z.array(z.enum(Object.keys(REASON) as [ReasonName, ...ReasonName[]]));
const timeUs = z.number().describe("µs since the epoch");
const statedLeg = {
  symbol,
  venue: z.string(),
  side,
  ratio: z.string(),
  tiedPrice: z.string().nullable().describe("Traded at its own price; null = part of the structure's price"),
};
const about = { requestId: z.string(), timeUs };

/** What the gateway sends. */
export const SERVER_MESSAGE = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("welcome"),
    version: z.literal(API_VERSION),
    client: z.string(),
    role: z.enum(["read", "trade"]),
  }),
  z.strictObject({ type: z.literal("ok"), id: reference }),
  z.strictObject({
    type: z.literal("error"),
    id: reference,
    field: z.string().describe("Path of the field that is wrong; empty = the whole message"),
    expected: z.string(),
  }),
  z.strictObject({
    type: z.literal("prediction"),
    underlying: z.string(),
    model: z.string(),
    probabilities: z.record(z.string(), z.number().nullable()).describe("By head; null while there is none"),
    status: reasons.describe("Why it is not in force; empty when it is"),
    timeUs,
  }),
  z.strictObject({
    type: z.literal("quote"),
    venue: z.string(),
    symbol,
    levels: z.array(
      z.strictObject({
        bid: z.string().nullable(),
        bidSize: z.string(),
        ask: z.string().nullable(),
        askSize: z.string(),
      }),
    ),
    fair: z.number().nullable(),
    delta: z.number().nullable(),
    vega: z.number().nullable(),
    reasons,
    timeUs,
  }),
  z.strictObject({
    type: z.literal("state"),
    trading: z.enum(TRADING_STATES),
    reason: z.string().nullable(),
    counterpartyUp: z.boolean(),
    models: z.record(z.string(), reasons).describe("By underlying: why its model is not in force"),
    liveInstruments: z.record(z.string(), z.int()).describe("By venue"),
    openRfqs: z.int(),
    timeUs,
  }),
  z.strictObject({
    type: z.literal("rfq-quote"),
    ...about,
    quoteId: z.string(),
    responseId: z.string().nullable(),
    legs: z.array(z.strictObject(statedLeg)),
    bid: z.string().nullable(),
    offer: z.string().nullable(),
    quantity: z.string(),
    validUntilUs: timeUs,
  }),
  z.strictObject({ type: z.literal("rfq-reject"), ...about, reason: z.enum(RFQ_REFUSALS), text: z.string() }),
  z.strictObject({
    type: z.literal("rfq-status"),
    ...about,
    quoteId: z.string(),
    responseId: z.string().nullable(),
    status: z.enum(RFQ_STATUSES),
    text: z.string(),
  }),
  z.strictObject({
    type: z.literal("trade"),
    ...about,
    quoteId: z.string(),
    responseId: z.string().nullable(),
    orderId: z.string().nullable(),
    tradeId: z.string(),
    side,
    price: z.string(),
    quantity: z.string(),
    legs: z.array(z.strictObject({ ...statedLeg, price: z.string(), quantity: z.string() })),
    heldUs: z.number().describe("From the hit to the decision"),
  }),
  z.strictObject({
    type: z.literal("order-reject"),
    orderId: z.string(),
    reason: z.enum(RFQ_REFUSALS),
    text: z.string(),
    timeUs,
  }),
]);

export type ServerMessage = z.output<typeof SERVER_MESSAGE>;

/** What is wrong with a client's message, by field. */
export interface MessageFault {
  readonly fault: {
    readonly field: string;
    readonly expected: string;
    readonly id: string | number | undefined;
  };
}

/** Reads a client's message. Whatever the text, it answers a message or names what was expected where. */
export function readClientMessageText(text: string): ClientMessage | MessageFault {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { fault: { field: "", expected: "a JSON object", id: undefined } };
  }
  const parsed = CLIENT_MESSAGE.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  return {
    fault: {
      field: issue.path.map(String).join(".").slice(0, 200),
      expected: issue.message.slice(0, 400),
      id: idOf(value),
    },
  };
}

function idOf(value: unknown): string | number | undefined {
  if (typeof value !== "object" || value === null || !("id" in value)) return undefined;
  const { id: given } = value;
  return typeof given === "number" || (typeof given === "string" && given.length <= 64) ? given : undefined;
}

/** The messages as JSON Schema (draft 2020-12), for those who write clients. */
export function apiSchema(): object {
  return {
    title: "keel JSON gateway",
    version: API_VERSION,
    client: z.toJSONSchema(CLIENT_MESSAGE, { io: "input" }),
    server: z.toJSONSchema(SERVER_MESSAGE, { io: "output" }),
  };
}
