/**
 * The peers of the ingest benchmark: what users of ccxt pro and of tardis-dev have to keep a book with, fed the same frames. They
 * are there in a checkout and not in the executable.
 *
 * @module
 */
import { drainMicrotasks } from "bun:jsc";
import { type BinanceVenueName, isBinanceVenue } from "../feed/binance/venue.ts";
import type { VenueName } from "../market/instrument.ts";
import type { IngestSubject } from "./ingest-input.ts";

/** The peers know Binance's options by another protocol. */
type PeerVenueName = Exclude<BinanceVenueName, "binance-option">;

/** The peers that are installed and know the venue; what is missing is told in `notes`. */
export async function loadPeers(
  venue: VenueName,
  subscriptions: readonly string[],
  notes: string[],
): Promise<IngestSubject[]> {
  const symbol = subscriptions[0];
  if (
    !isBinanceVenue(venue) ||
    venue === "binance-option" ||
    symbol === undefined ||
    subscriptions.length > 1
  ) {
    notes.push("ccxt and tardis-dev are fed captures of one Binance symbol only");
    return [];
  }
  const peers: IngestSubject[] = [];
  const ccxt = await load<CcxtModule>("ccxt", notes);
  if (ccxt !== null) {
    peers.push(new CcxtWatched(ccxt, venue, symbol), new CcxtHandled(ccxt, venue, symbol));
    notes.push(
      "ccxt: what a user of ccxt pro pays for a frame: its WebSocket client's message handler (JSON.parse in it), the exchange's handler and book, the promise of watchOrderBook, watchTrades or watchBidsAsks kept, and the user's loop asking for the next; ccxt-handler: the same without anyone who asks",
    );
  }
  const tardis = await load<TardisModule>("tardis-dev", notes);
  if (tardis !== null) peers.push(new TardisIngest(tardis, venue, symbol));
  return peers;
}

async function load<Module>(name: string, notes: string[]): Promise<Module | null> {
  try {
    // The name is no literal, so that the bundler does not put the package into the executable.
    return (await import(name)) as Module;
  } catch {
    notes.push(`${name} is not installed: no ratio against it`);
    return null;
  }
}

interface CcxtBook {
  nonce: number | undefined;
}

interface CcxtClient {
  connect: () => Promise<unknown>;
  send: (message: unknown) => Promise<void>;
  onMessage(event: { readonly data: string }): void;
}

interface CcxtExchange {
  readonly markets: Readonly<Record<string, unknown>>;
  readonly orderbooks: Record<string, CcxtBook>;
  readonly clients: Record<string, CcxtClient>;
  watchOrderBook(symbol: string): Promise<unknown>;
  watchTrades(symbol: string): Promise<unknown>;
  watchBidsAsks(symbols: readonly string[]): Promise<unknown>;
  setMarkets(markets: readonly unknown[]): void;
  safeMarketStructure(market: object): unknown;
  client(url: string): CcxtClient;
  orderBook(snapshot: unknown): CcxtBook;
  parseOrderBook(snapshot: unknown, symbol: string): unknown;
}

interface CcxtModule {
  readonly pro: Readonly<Record<string, new (options: object) => CcxtExchange>>;
}

type BinanceName = PeerVenueName;

const CCXT_NAME = {
  "binance-spot": "binance",
  "binance-usdm": "binanceusdm",
  "binance-coinm": "binancecoinm",
} as const satisfies Record<BinanceName, string>;

const CCXT_URL = {
  "binance-spot": "wss://stream.binance.com:9443/stream",
  "binance-usdm": "wss://fstream.binance.com/public/ws",
  "binance-coinm": "wss://dstream.binance.com/ws",
} as const satisfies Record<BinanceName, string>;

/** ccxt pro's WebSocket client's message handler, the exchange behind it, and the order book that this keeps. */
class CcxtHandled implements IngestSubject {
  readonly name: string = "ccxt-handler";
  protected readonly symbol: string;
  readonly #make: () => CcxtExchange;
  readonly #url: string;
  protected exchange: CcxtExchange;
  protected client: CcxtClient;
  /** Frames before the snapshot, which the exchange drops; null from then on. */
  #early: string[] | null = [];

  constructor({ pro }: CcxtModule, venue: BinanceName, symbol: string) {
    const Exchange = pro[CCXT_NAME[venue]];
    const spot = venue === "binance-spot";
    const market = {
      ...{
        id: symbol,
        lowercaseId: symbol.toLowerCase(),
        symbol,
        base: symbol,
        quote: symbol,
        settle: symbol,
      },
      ...{ type: spot ? "spot" : "swap", spot, swap: !spot, contract: !spot, active: true },
      ...{ linear: venue === "binance-usdm", inverse: venue === "binance-coinm" },
    };
    this.symbol = symbol;
    this.#url = CCXT_URL[venue];
    this.#make = () => {
      const exchange = new Exchange({});
      exchange.setMarkets([exchange.safeMarketStructure(market)]);
      return exchange;
    };
    this.exchange = this.#make();
    this.client = this.exchange.client(this.#url);
  }

  restart(): void {
    this.exchange = this.#make();
    this.client = this.exchange.client(this.#url);
    this.#early = [];
  }

  onOpen(): void {}

  onResponse(_request: number, _status: number, body: string): void {
    const snapshot: unknown = JSON.parse(body);
    if (!hasUpdateId(snapshot)) return;
    const { exchange, symbol } = this;
    const book = exchange.orderBook(exchange.parseOrderBook(snapshot, symbol));
    book.nonce = snapshot.lastUpdateId;
    exchange.orderbooks[symbol] = book;
    for (const text of this.#early ?? []) this.client.onMessage({ data: text });
    this.#early = null;
  }

  onFrame(text: string): void {
    this.client.onMessage({ data: text });
    this.#early?.push(text);
  }
}

/** {@link CcxtHandled} with a user who awaits books, trades and best prices in a loop each, as ccxt's manual shows it. */
class CcxtWatched extends CcxtHandled {
  override readonly name = "ccxt";
  /** What the loops were given: none of them may have stood still. */
  told = 0;

  override restart(): void {
    super.restart();
    const { exchange, client, symbol } = this;
    // All streams come by one connection that is open already; the rest of the client is ccxt's own.
    const open = Promise.resolve();
    client.connect = () => open;
    client.send = () => open;
    exchange.client = (url) => {
      exchange.clients[url] = client;
      return client;
    };
    const loop = async (watch: () => Promise<unknown>): Promise<void> => {
      while (this.exchange === exchange) {
        await watch();
        this.told += 1;
      }
    };
    void loop(() => exchange.watchOrderBook(symbol));
    void loop(() => exchange.watchTrades(symbol));
    void loop(() => exchange.watchBidsAsks([symbol]));
  }

  /** A socket's event ends with its promises kept; so does this. */
  override onFrame(text: string): void {
    super.onFrame(text);
    drainMicrotasks();
  }
}

interface TardisMapper {
  canHandle(message: unknown): boolean;
  map(message: unknown, localTimestamp: Date): Iterable<TardisMessage> | undefined;
}

interface TardisMessage {
  readonly type: string;
}

interface TardisModule {
  readonly normalizeBookChanges: (exchange: string, localTimestamp: Date) => TardisMapper;
  readonly normalizeTrades: (exchange: string, localTimestamp: Date) => TardisMapper;
  readonly normalizeBookTickers: (exchange: string, localTimestamp: Date) => TardisMapper;
  readonly OrderBook: new () => { update(change: TardisMessage): void };
}

const TARDIS_NAME = {
  "binance-spot": "binance",
  "binance-usdm": "binance-futures",
  "binance-coinm": "binance-delivery",
} as const satisfies Record<BinanceName, string>;

/** tardis-dev's way: JSON.parse, the venue's mappers, and its order book. */
class TardisIngest implements IngestSubject {
  readonly name = "tardis";
  readonly #module: TardisModule;
  readonly #exchange: string;
  readonly #stream: string;
  #mappers: readonly TardisMapper[] = [];
  #book: { update(change: TardisMessage): void };
  /** Kept, so that what is mapped is not optimised away. */
  last: TardisMessage | null = null;

  constructor(module: TardisModule, venue: BinanceName, symbol: string) {
    this.#module = module;
    this.#exchange = TARDIS_NAME[venue];
    this.#stream = `${symbol.toLowerCase()}@depthSnapshot`;
    this.#book = new module.OrderBook();
  }

  restart(): void {
    const { normalizeBookChanges, normalizeTrades, normalizeBookTickers, OrderBook } = this.#module;
    const start = new Date(0);
    this.#book = new OrderBook();
    this.#mappers = [normalizeBookChanges, normalizeTrades, normalizeBookTickers].map((make) =>
      make(this.#exchange, start),
    );
  }

  onOpen(): void {}

  onResponse(_request: number, _status: number, body: string, timeUs: number): void {
    const snapshot: unknown = JSON.parse(body);
    if (!hasUpdateId(snapshot)) return;
    this.#take({ stream: this.#stream, generated: true, data: snapshot }, timeUs);
  }

  onFrame(text: string, timeUs: number): void {
    this.#take(JSON.parse(text), timeUs);
  }

  #take(message: unknown, timeUs: number): void {
    const localTimestamp = new Date(timeUs / 1_000);
    for (const mapper of this.#mappers) {
      if (!mapper.canHandle(message)) continue;
      for (const mapped of mapper.map(message, localTimestamp) ?? []) {
        this.last = mapped;
        if (mapped.type === "book_change") this.#book.update(mapped);
      }
    }
  }
}

function hasUpdateId(value: unknown): value is { readonly lastUpdateId: number } {
  return typeof value === "object" && value !== null && "lastUpdateId" in value;
}
