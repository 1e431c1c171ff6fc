/**
 * What the passive one of a pair follows of the leader: everything that it could not get from the venues or the counterparty itself.
 * JSON over a WebSocket that the leader serves; each record has a number, so that a follower that was cut off goes on behind the
 * last one it has.
 *
 * @module
 */
import { z } from "zod";
import { VENUES } from "../market/instrument.ts";
import { bookSnapshot } from "../position/snapshot.ts";
import { savedSides } from "../quote/sides-store.ts";
import { SIDES, type SidesName } from "../quote/target.ts";
import { REDUCING_LIMITS } from "../risk/trading-state.ts";

export const STREAM_VERSION = 1;
/** Longest message in either direction, in characters. */
export const MESSAGE_LENGTH_MAX = 64 << 20;
/** Reasons for which the leader closes a follower's connection. */
export const STREAM_CLOSE = { notLeading: 4001, badMessage: 4002, slow: 4003 } as const;

const SIDES_NAMES = Object.keys(SIDES) as [SidesName, ...SidesName[]];

const kill = z.strictObject({ tripped: z.boolean(), reason: z.string(), timeUs: z.number() });
const reducing = z
  .strictObject({ by: z.enum(REDUCING_LIMITS), reason: z.string(), timeUs: z.number() })
  .nullable();

const detail = z.strictObject({
  orderId: z.number().optional(),
  structureId: z.number().optional(),
  counterparty: z.string().optional(),
  liquidity: z.enum(["maker", "taker"]).optional(),
  fee: z.number().optional(),
});

/** Something that happened to the leader. */
export const streamRecord = z.discriminatedUnion("what", [
  z.strictObject({
    what: z.literal("fill"),
    executionId: z.string(),
    venue: z.enum(VENUES),
    symbol: z.string(),
    side: z.union([z.literal(0), z.literal(1)]),
    priceTicks: z.number(),
    sizeLots: z.number(),
    detail,
  }),
  z.strictObject({
    what: z.literal("session"),
    word: z.discriminatedUnion("said", [
      z.strictObject({ said: z.literal("execution"), key: z.string() }),
      z.strictObject({ said: z.literal("incoming"), next: z.int().positive() }),
      z.strictObject({ said: z.literal("reset"), timeUs: z.number() }),
    ]),
  }),
  z.strictObject({ what: z.literal("trading"), kill, reducing }),
  /** An operator has said which sides are quoted; `symbol` is empty for every instrument. */
  z.strictObject({ what: z.literal("sides"), symbol: z.string(), sides: z.enum(SIDES_NAMES) }),
  /** The lease has been given back: it is free now. */
  z.strictObject({ what: z.literal("released") }),
]);
export type StreamRecord = z.infer<typeof streamRecord>;

/** The leader as a whole, for a follower that cannot go on behind a record. */
export const streamSnapshot = z.strictObject({
  books: bookSnapshot,
  /** Signed sizes in the instruments' units; what is not named is flat. */
  positions: z.array(
    z.strictObject({
      venue: z.enum(VENUES),
      symbol: z.string(),
      size: z.string(),
      averagePrice: z.number().nullable(),
    }),
  ),
  kill,
  reducing,
  /** Which sides are quoted, as operators have said. */
  sides: savedSides,
  /** Null where there is no FIX session. */
  session: z
    .strictObject({
      nextIncoming: z.int().positive(),
      startedUs: z.number().nullable(),
    })
    .nullable(),
  /** Left out where there is a FIX session. */
  trades: z.strictObject({ sinceMs: z.number().nullable(), keys: z.array(z.string()) }).optional(),
});
export type StreamSnapshot = z.infer<typeof streamSnapshot>;

/** From the leader. `number` of a snapshot is that of the last record in it. */
export const leaderMessage = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("snapshot"),
    version: z.literal(STREAM_VERSION),
    run: z.string(),
    number: z.int().nonnegative(),
    snapshot: streamSnapshot,
  }),
  /** The follower goes on behind its last record. */
  z.strictObject({ type: z.literal("resumed"), run: z.string() }),
  z.strictObject({ type: z.literal("record"), number: z.int().positive(), record: streamRecord }),
  /**
   * The last record's number, now and then, so that a follower knows that it misses nothing; and below which outgoing numbers of the
   * session may be used before the next beat but one, for the case that the coordination service forgets.
   */
  z.strictObject({
    type: z.literal("beat"),
    number: z.int().nonnegative(),
    outgoing: z.int().positive(),
  }),
]);
export type LeaderMessage = z.infer<typeof leaderMessage>;

/** From the follower: first `follow`, then `state` about every 100 ms. */
export const followerMessage = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("follow"),
    version: z.literal(STREAM_VERSION),
    holder: z.string(),
    /** The leader's run and the last record had of it; null = nothing. */
    after: z.strictObject({ run: z.string(), number: z.int().nonnegative() }).nullable(),
  }),
  z.strictObject({
    type: z.literal("state"),
    number: z.int().nonnegative(),
    /** Why it could not quote if it led now. */
    unfit: z.array(z.string()),
  }),
]);
export type FollowerMessage = z.infer<typeof followerMessage>;

/** @returns null for what is no message of this kind, or a longer one than any */
export function readMessage<T>(form: z.ZodType<T>, text: string | Buffer): T | null {
  if (typeof text !== "string" || text.length > MESSAGE_LENGTH_MAX) return null;
  try {
    const read = form.safeParse(JSON.parse(text));
    return read.success ? read.data : null;
  } catch {
    return null;
  }
}
