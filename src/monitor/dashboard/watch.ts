import { z } from "zod";
import { RATE_MAX, SECTIONS, WATCHED_ROWS_MAX, type Watch } from "./protocol.ts";

const instrument = z.int().min(0).max(0xff_ffff);

const watch = z.strictObject({
  rate: z.number().min(0.1).max(RATE_MAX),
  sections: z.array(z.enum(SECTIONS)).max(SECTIONS.length),
  rows: z.array(instrument).max(WATCHED_ROWS_MAX),
  detail: instrument.nullable(),
  underlying: z.int().min(0).max(0xffff),
  expiryMs: z.number().nullable(),
});

/** What a client says it looks at; null when it is no such message. */
export function readWatch(text: string): Watch | null {
  try {
    return watch.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}
