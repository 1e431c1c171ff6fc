import { Rng } from "../../../src/core/rng.ts";
import { FieldTree } from "../../../src/gateway/fix/application/field-tree.ts";
import { readMarketDataRequest } from "../../../src/gateway/fix/application/market-data.ts";
import { newsSignals, readNews } from "../../../src/gateway/fix/application/news.ts";
import { readMassCancel, readOrder, readOrderCancel } from "../../../src/gateway/fix/application/order.ts";
import { readQuote, readQuoteResponse } from "../../../src/gateway/fix/application/quote.ts";
import { readQuoteRequest } from "../../../src/gateway/fix/application/quote-request.ts";
import { Dictionary } from "../../../src/gateway/fix/dictionary/dictionary.ts";
import { FixMessage } from "../../../src/gateway/fix/message.ts";
import { FixParser } from "../../../src/gateway/fix/parser.ts";
import { readable } from "../../../src/gateway/fix/readable.ts";
import { ReceiveBuffer } from "../../../src/gateway/fix/receive-buffer.ts";
import { FixSession } from "../../../src/gateway/fix/session.ts";
import { SESSION_DEFAULTS } from "../../../src/gateway/fix/session-options.ts";
import { MemoryStore } from "../../../src/gateway/fix/store.ts";
import { utcTimestamp } from "./reference-mass-quote.ts";
import { checkSum, fix } from "./script.ts";

const TIME_US = Date.UTC(2026, 0, 5, 12) * 1_000;
const MAX_MESSAGE_BYTES = 4_096;
const NOW = utcTimestamp(TIME_US);

const BODIES = [
  "35=A|98=0|108=30",
  "35=0|112=x",
  "35=1|112=TEST",
  "35=2|7=1|16=0",
  "35=3|45=2|58=no",
  "35=4|36=9|123=Y",
  "35=5|58=bye",
  "35=i|117=1|296=1|302=S|311=BTC|304=2|295=2|299=1|55=X|132=0.5|134=1|299=2|55=Y|454=1|455=a|456=1",
  "35=R|131=R1|146=2|55=X|54=1|38=10|55=Y|555=2|600=A|624=1|623=1|600=B|624=2|623=3",
  "35=AJ|693=1|694=1|117=7|55=BTC|54=1|38=10|44=0.05",
  "35=V|262=M|263=1|264=1|267=2|269=0|269=1|146=1|55=BTC",
  "35=8|37=1|17=e|150=F|39=2|55=X|54=1|32=1|31=0.5|151=0|14=1|6=0.5|60=20260105-12:00:00",
  "35=D|11=1|55=X|54=1|60=20260105-12:00:00|38=5|40=2|44=1.5",
  "35=B|148=h|33=2|58=sentiment.btc=0.5|58=t|95=5|96=a\u0001b=c",
  "35=b|117=3|297=0|296=1|302=A|295=1|299=2|368=8",
];

export interface FuzzReport {
  rounds: number;
  messages: number;
  garbled: number;
  rejects: number;
  reconnects: number;
  /** Time of the processor, so that a busy host does not look like a stall. */
  longestRoundMs: number;
}

/** A stream of messages, mutated: bytes changed, cut out, repeated, swapped, lengths and checksums made right or left wrong. */
function stream(rng: Rng, firstSeq: number): Uint8Array {
  let text = "";
  const count = 1 + rng.int(6);
  for (let i = 0; i < count; i += 1) {
    const body = BODIES[rng.int(BODIES.length)];
    const cut = body.indexOf("|") < 0 ? body.length : body.indexOf("|");
    const seq = rng.int(8) === 0 ? rng.int(40) : firstSeq + i;
    const dup = rng.int(10) === 0 ? `43=Y|122=${NOW}|` : "";
    let message = fix(`${body.slice(0, cut)}|34=${seq}|49=PEER|52=${NOW}|56=US|${dup}${body.slice(cut + 1)}`);
    if (rng.int(3) === 0) message = resealed(mutated(rng, message));
    text += message;
  }
  const bytes = Uint8Array.from(Buffer.from(text, "latin1"));
  if (rng.int(3) > 0) return bytes;
  const noise = Uint8Array.from({ length: 1 + rng.int(64) }, () => rng.int(256));
  const at = rng.int(bytes.length);
  const whole = new Uint8Array(bytes.length + noise.length);
  whole.set(bytes.subarray(0, at));
  whole.set(noise, at);
  whole.set(bytes.subarray(at), at + noise.length);
  return whole;
}

function mutated(rng: Rng, message: string): string {
  const fields = message.split("\x01");
  for (let i = rng.int(3); i >= 0; i -= 1) {
    const at = rng.int(fields.length);
    switch (rng.int(6)) {
      case 0:
        fields.splice(at, 1);
        break;
      case 1:
        fields.splice(at, 0, fields[rng.int(fields.length)]);
        break;
      case 2:
        fields[at] = `${rng.int(1_200)}=${"9".repeat(rng.int(20))}`;
        break;
      case 3:
        fields[at] = fields[at].slice(0, rng.int(fields[at].length + 1));
        break;
      case 4:
        fields[at] = `${fields[at]}${String.fromCharCode(rng.int(256))}`;
        break;
      default:
        fields.splice(at, 0, ...Array.from({ length: rng.int(300) }, () => "299=1"));
    }
  }
  return fields.join("\x01");
}

/** Length and checksum made right again, so that what is inside is looked at. */
function resealed(message: string): string {
  const inner = message.split("\x01").filter((field, i) => !(i === 0 || /^(?:9|10)=/.test(field)));
  const body = `${inner.filter((field) => field !== "").join("\x01")}\x01`;
  const head = `8=FIX.4.4\x019=${body.length}\x01${body}`;
  return `${head}10=${checkSum(head)}\x01`;
}

/** Feeds mutated streams, cut at random, to a session with a dictionary and to every reader of messages, until told to stop. */
export function fuzzFix(seed: number, goOn: (rounds: number) => boolean): FuzzReport {
  const rng = new Rng(seed);
  const report: FuzzReport = {
    rounds: 0,
    messages: 0,
    garbled: 0,
    rejects: 0,
    reconnects: 0,
    longestRoundMs: 0,
  };
  const store = new MemoryStore({ maxMessages: 64, maxBytes: 1 << 16 });
  const session: FixSession = new FixSession(
    {
      ...SESSION_DEFAULTS,
      ...{ role: "acceptor", version: "4.4", senderCompId: "US", targetCompId: "PEER" },
      ...{ maxMessageBytes: MAX_MESSAGE_BYTES, maxFields: 512, dictionary: new Dictionary("4.4") },
    },
    store,
    { write: () => {}, pendingBytes: 0, disconnect: () => {} },
    {
      onLogon: () => {},
      onLogout: () => {},
      onMessage: () => rng.int(9) > 0,
      onReject: () => {},
      onResend: () => {},
    },
  );
  const readers = new ReceiveBuffer(new FixParser(MAX_MESSAGE_BYTES), new FixMessage(512));
  const sink = {
    onMessage: (message: FixMessage) => {
      report.messages += 1;
      readEverything(message);
      return true;
    },
    onGarbled: () => {
      report.garbled += 1;
      return true;
    },
  };
  for (; goOn(report.rounds); report.rounds += 1) {
    const start = process.cpuUsage();
    if (session.state === "disconnected") {
      report.reconnects += 1;
      store.reset(TIME_US);
      session.onConnected(TIME_US);
      const logon = fix(`35=A|34=1|49=PEER|52=${NOW}|56=US|98=0|108=30`);
      session.onBytes(Uint8Array.from(Buffer.from(logon, "latin1")), TIME_US);
    }
    const bytes = stream(rng, store.nextIncoming);
    for (let at = 0; at < bytes.length; ) {
      const end = rng.int(2) === 0 ? bytes.length : Math.min(bytes.length, at + 1 + rng.int(200));
      session.onBytes(bytes.slice(at, end), TIME_US);
      readers.receive(bytes.slice(at, end), sink);
      at = end;
    }
    session.onTimer(TIME_US);
    const { user, system } = process.cpuUsage(start);
    report.longestRoundMs = Math.max(report.longestRoundMs, (user + system) / 1_000);
  }
  report.rejects = session.counters.rejectsSent;
  return report;
}

function readEverything(message: FixMessage): void {
  readable(message);
  const tree = FieldTree.read(message, "4.4");
  readQuoteRequest(tree);
  readQuote(tree);
  readQuoteResponse(tree);
  readOrder(tree);
  readOrderCancel(tree);
  readMassCancel(tree);
  readMarketDataRequest(tree);
  const news = readNews(tree);
  if (typeof news !== "string") newsSignals(news);
}
