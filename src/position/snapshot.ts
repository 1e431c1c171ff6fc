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

/** The form of {@link BookSnapshot} in files and journals. */
export const bookSnapshot = z.strictObject({
  positions: z.record(z.string(), position),
  sums: z.record(
    z.string(),
    z.strictObject({
      fills: z.number(),
      notional: z.number(),
      spread: z.number(),
      fees: z.number(),
      markout: three,
      adverse: three,
    }),
  ),
  executionIds: z.array(z.string()),
  day: z.number(),
  dayStart: z.number(),
  dayPeak: z.number(),
});

/** The books as they are kept across a restart; instruments by `venue:symbol`. */
export type BookSnapshot = z.infer<typeof bookSnapshot>;
export type SavedPosition = z.infer<typeof position>;
