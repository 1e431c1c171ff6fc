import { z } from "zod";

const amounts = z.array(z.number());
const three = z.tuple([z.number(), z.number(), z.number()]);

const position = z.strictObject({
  lots: z.number(),
  flow: z.number(),
  average: z.number(),
  fees: z.number(),
  bought: z.number(),
  sold: z.number(),
  attribution: z.strictObject({
    spread: z.number(),
    delta: z.number(),
    gamma: z.number(),
    vega: z.number(),
    theta: z.number(),
    currency: z.number(),
    residual: z.number(),
    fees: z.number(),
  }),
  markout: amounts,
  adverse: amounts,
  profit: z.number(),
  anchor: z.strictObject({
    mark: z.number().nullable(),
    forward: z.number().nullable(),
    volatility: z.number().nullable(),
    timeUs: z.number().nullable(),
    conversion: z.number().nullable(),
    delta: z.number().nullable(),
    gamma: z.number().nullable(),
    vega: z.number().nullable(),
    theta: z.number().nullable(),
  }),
});

const sum = z.strictObject({
  fills: z.number(),
  notional: z.number(),
  spread: z.number(),
  fees: z.number(),
  markout: three,
  adverse: three,
});

/** What a fill or a position taken over changed in the books, each part as a whole. */
export const bookChange = z.strictObject({
  /** `venue:symbol` */
  instrument: z.string(),
  position,
  /** The sum that it counts in; null where it is no fill. */
  sum: z.strictObject({ key: z.string(), value: sum }).nullable(),
  executionId: z.string().nullable(),
  day: z.number(),
  dayStart: z.number(),
  dayPeak: z.number(),
});
export type BookChange = z.infer<typeof bookChange>;

/** The form of {@link BookSnapshot} in files and journals. */
export const bookSnapshot = z.strictObject({
  positions: z.record(z.string(), position),
  sums: z.record(z.string(), sum),
  executionIds: z.array(z.string()),
  day: z.number(),
  dayStart: z.number(),
  dayPeak: z.number(),
});

/** The books as they are kept across a restart; instruments by `venue:symbol`. */
export type BookSnapshot = z.infer<typeof bookSnapshot>;
export type SavedPosition = z.infer<typeof position>;
