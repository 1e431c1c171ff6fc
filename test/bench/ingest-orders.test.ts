import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readScript } from "../../src/bench/ingest-input.ts";
import { KeelIngest } from "../../src/bench/ingest-subjects.ts";
import type { CaptureEntry } from "../../src/feed/capture.ts";
import { formatKeelHeader, formatKeelLine } from "../../src/feed/capture-format.ts";

const folder = mkdtempSync(join(tmpdir(), "keel-ingest-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const START_US = 1_700_000_000_000_000;
const HOST = "https://api.exchange.coinbase.com";
const orderId = (i: number): string => `d50ec984-77a8-460a-b958-${i.toString(16).padStart(12, "0")}`;

function line(i: number, kind: CaptureEntry["kind"], text: string, more: Partial<CaptureEntry> = {}): string {
  return formatKeelLine({
    kind,
    timeUs: START_US + i * 1_000,
    text,
    url: "",
    connection: 0,
    status: 0,
    ...more,
  });
}

test("a book by order whose snapshot is longer than one part comes live in the benchmark, and changes levels", async () => {
  const resting = Array.from(
    { length: 1_500 },
    (_, i) => `["${(100 - i / 100).toFixed(2)}","1.5","${orderId(i)}"]`,
  );
  const product =
    '{"id":"BTC-USD","base_currency":"BTC","quote_currency":"USD","quote_increment":"0.01","base_increment":"0.00000001"}';
  const book = `{"sequence":10,"bids":[${resting.join()}],"asks":[["101","1","${orderId(9_999)}"]]}`;
  const open = (i: number) =>
    `{"type":"open","side":"buy","product_id":"BTC-USD","time":"2023-11-14T22:13:20.000000Z","sequence":${10 + i},"price":"100.50","order_id":"${orderId(20_000 + i)}","remaining_size":"0.5"}`;
  const path = join(folder, "orders.log");
  writeFileSync(
    path,
    formatKeelHeader({ venue: "coinbase", subscriptions: ["orders:BTC-USD"] }) +
      line(0, "http", product, { url: `${HOST}/products/BTC-USD`, status: 200 }) +
      line(1, "connect", "", { url: "wss://ws-feed.exchange.coinbase.com" }) +
      line(2, "frame", open(1)) +
      line(3, "http", book, { url: `${HOST}/products/BTC-USD/book?level=3`, status: 200 }) +
      Array.from({ length: 20 }, (_, i) => line(10 + i, "frame", open(2 + i))).join(""),
  );
  expect(book.length).toBeGreaterThan(64 * 1_024);
  const script = await readScript(path);
  expect(script.inputs.filter((input) => input.type === "frame" && input.levels > 0).length).toBe(20);
  const subject = new KeelIngest(script);
  subject.restart();
  for (const input of script.inputs) {
    if (input.type === "open") subject.onOpen();
    else if (input.type === "timer") subject.onTimer(input.timeUs);
    else if (input.type === "frame") subject.onFrame(input.text, input.timeUs);
    else subject.onResponse(input.request, input.status, input.body, input.timeUs);
  }
  const { checksum } = subject;
  subject.restart();
  expect(subject.checksum).not.toBe(checksum);
});
