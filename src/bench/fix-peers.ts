/**
 * The peers of the FIX benchmark: jspurefix under Bun, and QuickFIX C++ where its headers and a compiler are installed. They are
 * there in a checkout and not in the executable.
 *
 * @module
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Histogram } from "../core/histogram.ts";
import { invariant } from "../core/invariant.ts";

/** One MassQuote of one entry as an object, in jspurefix's shape. */
export interface QuoteObject {
  readonly symbol: string;
  readonly base: string;
  readonly id: number;
  readonly bidPx: number;
  readonly offerPx: number;
  readonly bidSize: number;
  readonly offerSize: number;
}

/** Times of groups of messages, in ns. */
export interface PeerTimes {
  readonly encode: Histogram;
  readonly parse: Histogram;
}

interface Parser {
  on(event: "msg", listener: (type: string, view: { toObject(): object | null }) => void): void;
  parseBuffer(bytes: Buffer): void;
}

interface Transmitter {
  time: Date;
  readonly buffer: { getPos(): number };
  encodeMessage(type: string, message: object): object | null;
}

interface Container {
  resolve(token: string): unknown;
}

interface JspurefixConfig {
  definitions: unknown;
  delimiter: number;
  sessionContainer: Container;
}

interface JspurefixModules {
  readonly SessionContainer: new () => {
    registerGlobal(level: string): void;
    makeSystem(description: object): Promise<Container>;
  };
  readonly AsciiParser: new (
    config: JspurefixConfig,
    stream: null,
    buffer: unknown,
    maxMessageLength: unknown,
  ) => Parser;
  readonly makeSessionScope: (config: JspurefixConfig) => JspurefixConfig;
}

const SOH = 1;

/** jspurefix: parsing to the object an application gets, encoding from one. */
export class Jspurefix {
  readonly #parser: Parser;
  readonly #transmitter: Transmitter;
  #objects = 0;

  /** @returns null where it is not installed, which is told in `notes`. */
  static async load(notes: string[]): Promise<Jspurefix | null> {
    // The names are no literals, so that the bundler does not put the package into the executable.
    const part = async (path: string): Promise<object> => (await import(`jspurefix${path}`)) as object;
    try {
      await import(["reflect", "metadata"].join("-"));
      const modules = {
        ...(await part("/dist/runtime/index.js")),
        ...(await part("/dist/runtime/session-scope.js")),
        ...(await part("/dist/buffer/ascii/ascii-parser.js")),
      } as JspurefixModules;
      const system = new modules.SessionContainer();
      system.registerGlobal("error");
      const container = await system.makeSystem({
        application: {
          ...{
            type: "initiator",
            name: "bench",
            protocol: "ascii",
            dictionary: "qf44",
            reconnectSeconds: 10,
          },
          tcp: { host: "localhost", port: 1 },
        },
        ...{ EncryptMethod: 0, ResetSeqNumFlag: true, HeartBtInt: 30, SenderCompId: "KEEL" },
        ...{ TargetCompID: "COUNTERPARTY", BeginString: "FIX.4.4", Username: "", Password: "" },
      });
      const config = container.resolve("IJsFixConfig") as JspurefixConfig;
      config.delimiter = SOH;
      return new Jspurefix(modules, modules.makeSessionScope(config));
    } catch {
      notes.push("jspurefix is not installed: no ratio against it");
      return null;
    }
  }

  private constructor(modules: JspurefixModules, config: JspurefixConfig) {
    const container = config.sessionContainer;
    this.#parser = new modules.AsciiParser(
      config,
      null,
      container.resolve("ReceiveBuffer"),
      container.resolve("maxMessageLen"),
    );
    this.#parser.on("msg", (_type, view) => {
      if (view.toObject() !== null) this.#objects += 1;
    });
    this.#transmitter = container.resolve("MsgTransmitter") as Transmitter;
  }

  /** Times one group: `quotes` encoded one by one, `messages` parsed one by one. */
  time(quotes: readonly QuoteObject[], messages: readonly Buffer[], into: PeerTimes | null): void {
    const time = new Date();
    this.#transmitter.time = time;
    const objects = quotes.map((quote) => massQuote(quote, time));
    const before = this.#objects;
    let bytes = 0;
    const start = Bun.nanoseconds();
    for (const object of objects) {
      this.#transmitter.encodeMessage("i", object);
      bytes += this.#transmitter.buffer.getPos();
    }
    const middle = Bun.nanoseconds();
    for (const message of messages) this.#parser.parseBuffer(message);
    const stop = Bun.nanoseconds();
    invariant(bytes > 0 && this.#objects - before === messages.length, "jspurefix has done the work");
    into?.encode.record(middle - start);
    into?.parse.record(stop - middle);
  }
}

function massQuote(quote: QuoteObject, time: Date): object {
  return {
    ...{ QuoteID: String(quote.id), QuoteResponseLevel: 2 },
    QuotSetGrp: {
      NoQuoteSets: [
        {
          QuoteSetID: quote.base,
          UnderlyingInstrument: { UnderlyingSymbol: quote.base },
          TotNoQuoteEntries: 1,
          QuotEntryGrp: {
            NoQuoteEntries: [
              {
                QuoteEntryID: String(quote.id),
                Instrument: { Symbol: quote.symbol, SecurityExchange: "deribit" },
                ...{ BidPx: quote.bidPx, OfferPx: quote.offerPx },
                ...{ BidSize: quote.bidSize, OfferSize: quote.offerSize },
                TransactTime: time,
              },
            ],
          },
        },
      ],
    },
  };
}

const QUICKFIX_SOURCE = join(import.meta.dir, "../../ffi/bench_quickfix.cpp");
const QUICKFIX_HEADER = "/usr/include/quickfix/fix44/MassQuote.h";

/** QuickFIX C++, compiled here and run on the same messages; null where it cannot be, which is told in `notes`. */
export function timeQuickFix(messages: readonly string[], group: number, notes: string[]): PeerTimes | null {
  const compiler = Bun.which("g++");
  if (!existsSync(QUICKFIX_SOURCE)) {
    notes.push(
      "QuickFIX C++ is timed from keel's sources only (bun run keel bench fix): no ratio against it",
    );
    return null;
  }
  if (compiler === null || !existsSync(QUICKFIX_HEADER)) {
    notes.push("QuickFIX C++ is not installed (Debian: libquickfix-dev, g++): no ratio against it");
    return null;
  }
  const folder = mkdtempSync(join(tmpdir(), "keel-quickfix-"));
  try {
    const program = join(folder, "bench");
    const compiled = Bun.spawnSync([
      ...[compiler, "-std=c++14", "-O3", "-march=native", "-w", QUICKFIX_SOURCE],
      ...["-o", program, "-lquickfix"],
    ]);
    if (compiled.exitCode !== 0) {
      notes.push(`QuickFIX C++ does not compile: ${compiled.stderr.toString().split("\n")[0]}`);
      return null;
    }
    const input = join(folder, "messages");
    writeFileSync(input, `${messages.join("\n")}\n`, "latin1");
    const ran = Bun.spawnSync([program, input, String(group)]);
    if (ran.exitCode !== 0) {
      notes.push(`QuickFIX C++ ended with ${ran.exitCode}: ${ran.stderr.toString().split("\n")[0]}`);
      return null;
    }
    const times = { encode: new Histogram(), parse: new Histogram() };
    for (const line of ran.stdout.toString().trim().split("\n")) {
      const [what, ns] = line.split(" ");
      (what === "encode" ? times.encode : times.parse).record(Number(ns));
    }
    notes.push(`QuickFIX C++ ${quickFixVersion()}, compiled with -O3 -march=native`);
    return times;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function quickFixVersion(): string {
  const asked = Bun.which("dpkg-query") !== null;
  const { stdout, exitCode } = asked
    ? Bun.spawnSync(["dpkg-query", "-W", "-f", "$\u007bVersion}", "libquickfix-dev"])
    : { stdout: Buffer.alloc(0), exitCode: 1 };
  return exitCode === 0 ? stdout.toString() : "of unknown version";
}
