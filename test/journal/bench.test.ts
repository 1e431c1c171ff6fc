import { expect, test } from "bun:test";
import { benchJournal } from "../bench/journal.ts";

test("the journal's benchmark runs and drops nothing", async () => {
  const rows = await benchJournal({ records: 320 });
  expect(rows.map(({ name }) => name)).toEqual([
    "journal/text/300",
    "journal/floor/300",
    "journal/text/20k",
    "journal/floor/20k",
  ]);
  for (const { p50 } of rows) expect(p50).toBeGreaterThan(0);
});
