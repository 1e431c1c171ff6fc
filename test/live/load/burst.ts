/** What a burst says of the book at the moment that it is made: `[price, quantity]` as the venue writes them, best first. */
export interface BurstBook {
  readonly bids: readonly (readonly [string, string])[];
  readonly asks: readonly (readonly [string, string])[];
}

/** Numbers that the frames of a burst go on from. */
export interface BurstNumbers {
  updateId: number;
  tradeId: number;
}

/** A run of depth events, book tickers and trades; of each depth event there is one that takes back what it changed. */
const FRAMES = ["depth", "ticker", "trade", "ticker", "undo", "ticker", "trade", "ticker"] as const;
const ROUNDS = 32;
export const BURST_FRAMES = FRAMES.length * ROUNDS;
/** Levels of a side that a depth event changes. */
const LEVELS = 5;
const ID = "0000000000000";
const TRADE_ID = "0000000000";
const TEXT_FRAME = 0x81;
const LENGTH_16 = 126;

/**
 * Frames of Binance's USDⓈ-M market made once, as bytes of WebSocket frames, and sent again and again with other times and numbers:
 * what that costs is a fraction of what it costs to take them, so that one core can flood another. Every depth event follows
 * the one before it (`pu`), and with the last of them the book is what it was.
 */
export class Burst {
  readonly bytes: Buffer;
  readonly #patches: {
    readonly at: number;
    readonly what: "ms" | "first" | "last" | "previous" | "trade";
  }[] = [];

  constructor(symbol: string, book: BurstBook) {
    const frames: Buffer[] = [];
    let at = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const kind of FRAMES) {
        const frame = this.#frame(at, payload(kind, symbol, book, round));
        frames.push(frame);
        at += frame.length;
      }
    }
    this.bytes = Buffer.concat(frames);
  }

  /** Writes times and numbers into the bytes. @param ms exchange time of the frames, since the epoch */
  stamp(ms: number, numbers: BurstNumbers): void {
    const { bytes } = this;
    for (const { at, what } of this.#patches) {
      if (what === "ms") digits(bytes, at, ID.length, ms);
      else if (what === "first") digits(bytes, at, ID.length, numbers.updateId + 1);
      else if (what === "previous") digits(bytes, at, ID.length, numbers.updateId);
      else if (what === "trade") {
        numbers.tradeId += 1;
        digits(bytes, at, TRADE_ID.length, numbers.tradeId);
      } else digits(bytes, at, ID.length, numbers.updateId + 2);
      // `pu` is the last number of a depth event.
      if (what === "previous") numbers.updateId += 2;
    }
  }

  #frame(start: number, text: string): Buffer {
    let plain = text;
    const body = Buffer.byteLength(
      text.replace(/@(ms|first|last|previous|trade)@/g, (_, what) => blank(what)),
    );
    const head = body < LENGTH_16 ? [TEXT_FRAME, body] : [TEXT_FRAME, LENGTH_16, body >> 8, body & 255];
    for (;;) {
      const found = /@(ms|first|last|previous|trade)@/.exec(plain);
      if (found === null) break;
      const what = found[1] as "ms" | "first" | "last" | "previous" | "trade";
      this.#patches.push({ at: start + head.length + found.index, what });
      plain = plain.slice(0, found.index) + blank(what) + plain.slice(found.index + found[0].length);
    }
    return Buffer.concat([Buffer.from(head), Buffer.from(plain)]);
  }
}

function blank(what: string): string {
  return what === "trade" ? TRADE_ID : ID;
}

function payload(kind: (typeof FRAMES)[number], symbol: string, book: BurstBook, round: number): string {
  const name = symbol.toLowerCase();
  const bid = book.bids[0];
  const ask = book.asks[0];
  if (kind === "ticker") {
    return `{"stream":"${name}@bookTicker","data":{"e":"bookTicker","u":@last@,"s":"${symbol}","b":"${bid[0]}","B":"${bid[1]}","a":"${ask[0]}","A":"${ask[1]}","T":@ms@,"E":@ms@}}`;
  }
  if (kind === "trade") {
    const [price] = round % 2 === 0 ? bid : ask;
    return `{"stream":"${name}@trade","data":{"e":"trade","E":@ms@,"T":@ms@,"s":"${symbol}","t":@trade@,"p":"${price}","q":"0.002","X":"MARKET","m":${round % 2 === 0}}}`;
  }
  const more = kind === "depth" ? 1 + (round % 3) : 0;
  return `{"stream":"${name}@depth@0ms","data":{"e":"depthUpdate","E":@ms@,"T":@ms@,"s":"${symbol}","U":@first@,"u":@last@,"pu":@previous@,"b":${levels(book.bids, more)},"a":${levels(book.asks, more)}}}`;
}

/** @param more lots that stand at each level beyond what does */
function levels(side: BurstBook["bids"], more: number): string {
  const parts = side
    .slice(0, LEVELS)
    .map(([price, quantity]) => `["${price}","${(Number(quantity) + more / 1_000).toFixed(3)}"]`);
  return `[${parts.join(",")}]`;
}

function digits(bytes: Buffer, at: number, length: number, value: number): void {
  let rest = value;
  for (let place = at + length - 1; place >= at; place -= 1) {
    const higher = Math.floor(rest / 10);
    bytes[place] = 48 + (rest - higher * 10);
    rest = higher;
  }
}
