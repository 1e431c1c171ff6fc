import { Rng } from "../../../src/core/rng.ts";
import { readClientMessageText } from "../../../src/gateway/json/messages.ts";

const SEEDS = [
  { op: "auth", token: "0123456789abcdef" },
  { op: "subscribe", id: 1, channel: "quotes", names: ["BTC-27DEC24-60000-C"] },
  { op: "unsubscribe", channel: "states" },
  {
    op: "rfq",
    requestId: "r1",
    legs: [
      { symbol: "A", side: "sell", ratio: "2" },
      { symbol: "B", venue: "deribit" },
    ],
    quantity: "10.5",
    side: "buy",
    validForMs: 100,
    tiedPrice: "60000",
  },
  { op: "respond", responseId: "a", quoteId: "q", kind: "counter", side: "buy", price: "-0.01" },
  { op: "order", orderId: "o", symbol: "A", side: "sell", quantity: "1", limit: "0.1" },
  { op: "withdraw", requestId: "r1" },
  { op: "ping", id: "x" },
].map((seed) => JSON.stringify(seed));
const PIECES = [
  '"__proto__":{"op":"ping"}',
  '"op":',
  "null",
  "1e999",
  "-0",
  '"\\ud800"',
  "[[[[[[[[",
  '{"a":',
  "\u0000",
  "9007199254740993",
  '"constructor"',
  "true",
  ",",
  "}",
];

export interface FuzzFindings {
  messages: number;
  read: number;
  /** Processor time of the process, so that a busy host does not count. */
  slowestMs: number;
}

/** Throws messages at the decoder: whole ones, mutated, cut, nested, random. @throws Error naming one that it could not answer */
export function fuzzApi(seed: number, messages: number): FuzzFindings {
  const rng = new Rng(seed);
  const findings: FuzzFindings = { messages, read: 0, slowestMs: 0 };
  for (let made = 0; made < messages; made += 1) {
    const text = mutant(rng);
    const started = process.cpuUsage();
    const read = readClientMessageText(text);
    const { user, system } = process.cpuUsage(started);
    findings.slowestMs = Math.max(findings.slowestMs, (user + system) / 1_000);
    if (!("fault" in read)) {
      findings.read += 1;
      if (Object.getPrototypeOf(read) !== Object.prototype) throw new Error(`a prototype was set by ${text}`);
      continue;
    }
    const { field, expected } = read.fault;
    if (expected === "" || expected.length > 400 || field.length > 200) {
      throw new Error(`a fault that says nothing, or too much, for ${text.slice(0, 400)}`);
    }
  }
  return findings;
}

function mutant(rng: Rng): string {
  let text = SEEDS[rng.int(SEEDS.length)] ?? "";
  if (rng.int(50) === 0) return "[".repeat(rng.int(60_000));
  for (let edits = rng.int(5); edits > 0; edits -= 1) {
    const at = rng.int(text.length + 1);
    const cut = rng.int(4) === 0 ? rng.int(text.length) : rng.int(3);
    const piece =
      rng.int(2) === 0
        ? (PIECES[rng.int(PIECES.length)] ?? "")
        : String.fromCharCode(rng.int(rng.int(8) === 0 ? 65_536 : 128));
    text = text.slice(0, at) + piece.repeat(rng.int(20) === 0 ? rng.int(2_000) : 1) + text.slice(at + cut);
  }
  return text.slice(0, 65_536);
}
