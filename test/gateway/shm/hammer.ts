/** The same as `hammer.c`, with the reader in TypeScript. */
import { basename, dirname } from "node:path";
import { ShmReader, type ShmUpdate } from "../../../src/gateway/shm/reader.ts";

const path = process.argv[2] ?? "";
const reader = new ShmReader(basename(path), dirname(path));
const counts = { reads: 0, updates: 0, lost: 0, torn: 0, unordered: 0 };
let latest = 0;
let previous = 0;

function torn(update: ShmUpdate): boolean {
  if (update.kind !== "quote") return true;
  const { quoteId: id } = update;
  return (
    update.timeUs !== id ||
    update.bidPrice !== id ||
    update.askPrice !== id + 1 ||
    update.bidSize !== id ||
    update.askSize !== id ||
    update.fair !== id ||
    update.widenBp !== id ||
    update.sizeFactor !== id ||
    update.reasons !== id
  );
}

console.log("ready");
while (reader.state !== "stopped") {
  const quote = reader.quote(0);
  if (quote !== null) {
    counts.reads += 1;
    if (torn(quote)) counts.torn += 1;
    if (quote.quoteId < latest) counts.unordered += 1;
    latest = quote.quoteId;
  }
  for (let update = reader.next(); update !== null; update = reader.next()) {
    counts.updates += 1;
    if (torn(update)) counts.torn += 1;
    if (update.kind === "quote") {
      if (update.quoteId <= previous) counts.unordered += 1;
      previous = update.quoteId;
    }
  }
}
counts.lost = reader.lost;
console.log(JSON.stringify(counts));
