import { SignalFeed } from "../feed/signal.ts";
import { VenueClock } from "../feed/venue-clock.ts";
import { Hedger } from "../hedge/hedger.ts";
import { DEFAULT_HEDGE_PARAMETERS } from "../hedge/parameters.ts";
import { modelLabel } from "../inference/card.ts";
import { type Instrument, InstrumentTable } from "../market/instrument.ts";
import { Book } from "../position/book.ts";
import { DEFAULT_FEE_RATES } from "../position/fees.ts";
import { Quoter } from "../quote/quoter.ts";
import type { RfqDesk } from "../rfq/rfq-desk.ts";
import { RiskGate } from "../risk/gate.ts";
import { CounterpartySession } from "./counterparty-session.ts";
import type { DeskCounters } from "./counters.ts";
import { DeskFeatures } from "./desk-features.ts";
import { DeskFeeds } from "./desk-feeds.ts";
import { type DeskOptions, UNDERLYING_CAPACITY } from "./desk-options.ts";
import { DeskOrders } from "./desk-orders.ts";
import { FeedThreads } from "./feed-threads.ts";
import { MarketState } from "./market-state.ts";
import { Predictor } from "./predictor.ts";
import { Publisher } from "./publisher.ts";
import { QuotedSides } from "./quoted-sides.ts";
import { Reconciler } from "./reconciler.ts";
import { deskRfq } from "./rfq-market.ts";
import { Settlement } from "./settlement.ts";
import { TradingSwitch } from "./trading-switch.ts";
import { Turn } from "./turn.ts";

/** The parts of a desk, wired to each other. */
export interface DeskParts {
  readonly clocks: readonly VenueClock[];
  readonly signals: SignalFeed | null;
  readonly market: MarketState;
  readonly quoter: Quoter;
  readonly sides: QuotedSides;
  readonly gate: RiskGate;
  readonly book: Book;
  readonly hedger: Hedger;
  readonly rfq: RfqDesk | null;
  readonly line: DeskFeeds;
  readonly predictor: Predictor;
  readonly orders: DeskOrders;
  readonly publisher: Publisher;
  readonly trading: TradingSwitch;
  readonly reconciler: Reconciler;
  readonly settlement: Settlement;
  readonly session: CounterpartySession;
  readonly turn: Turn;
  readonly threads: FeedThreads;
}

/** Makes the parts of a desk and wires them to each other. Nothing is started. */
export function assemble(options: DeskOptions, counters: DeskCounters): DeskParts {
  const { engine, port, timer, instrumentCapacity, feeds, seed, silenceMs } = options;
  const quoter = new Quoter({
    capacity: instrumentCapacity,
    underlyings: UNDERLYING_CAPACITY,
    parameters: options.quote,
    surface: options.surface ?? null,
  });
  if (engine !== null) quoter.setHeads(engine.card.heads);
  const published = options.remote?.makesFeatures ?? false;
  const features = new DeskFeatures(engine, UNDERLYING_CAPACITY, published);
  const predictor = new Predictor({
    ...{ engine, underlyingCapacity: UNDERLYING_CAPACITY },
    ...{ features, quoter, timer, counters, port },
  });
  const instruments = new InstrumentTable(instrumentCapacity, options.describe);
  const sides = new QuotedSides(quoter, options.sides ?? {});
  const { risk: limits, kill, reducing = null } = options;
  const gate = new RiskGate({ instruments, limits, kill, reducing });
  const book = new Book({
    capacity: instrumentCapacity,
    gate,
    rates: options.fees ?? DEFAULT_FEE_RATES,
    model: modelLabel(engine?.card ?? null),
    opening: options.opening ?? null,
  });
  const orders = new DeskOrders(gate, port);
  const hedger = new Hedger({
    parameters: options.hedge?.parameters ?? DEFAULT_HEDGE_PARAMETERS,
    instruments: options.hedge?.instruments ?? [],
    gate,
    adjustments: quoter.predictions.adjustments,
    send: (order, timeUs) => orders.send(order, timeUs),
    cancel: (orderId, timeUs) => orders.cancel(orderId, timeUs),
  });
  const reconciler = new Reconciler({
    ...{ instruments, gate, book, rule: options.reconcile ?? null },
    expiry: {
      explains: (...difference) => settlement.explains(...difference),
      passes: (...difference) => settlement.passes(...difference),
    },
  });
  const admit = (instrument: Instrument, underlying: number, timeUs: number): void => {
    sides.onInstrument(instrument.id, instrument.symbol);
    book.add(instrument, underlying);
    hedger.add(instrument, underlying);
    reconciler.onInstrument(instrument, timeUs);
    // What the counterparty has told meanwhile is in force, not what the books were opened with.
    const lots = book.ledger.lots[instrument.id];
    if (lots === 0) return;
    gate.positions.set(instrument.id, lots);
    quoter.onPosition(instrument.id, lots);
  };
  const market: MarketState = new MarketState({
    standIns: options.reference === "next",
    quotedVenue: options.quotedVenue ?? null,
    underlyingCapacity: UNDERLYING_CAPACITY,
    ...{ instruments, features, quoter, gate, timer, counters },
    onInstrument: admit,
    onReferenceBroken: (underlying) => predictor.forget(underlying),
    onReferenceState: (underlying, timeUs) => predictor.updateStatus(underlying, market, timeUs),
  });
  const rfq =
    options.rfq == null
      ? null
      : deskRfq({
          ...{ parameters: options.rfq, known: options.rfqCounterparties, market, quoter, gate },
          execute: (...fill) => session.onExecution(...fill),
          answer: (action, timeUs) => {
            if (action.do === "quote") book.onAnswer(action.quoteId);
            port.answered?.(action, timeUs);
          },
        });
  const publisher: Publisher = new Publisher({
    ...{ quoter, gate, predictor, counters, port, timer },
    onChecked: (timeUs) => trading.afterGate(timeUs),
  });
  const trading = new TradingSwitch({ gate, quoter, orders, publisher, rfq, port });
  const settlement: Settlement = new Settlement({ market, gate, book, quoter, publisher, port });
  const session = new CounterpartySession({
    ...{
      quoter,
      gate,
      counters,
      port,
      book,
      market,
      hedger,
      orders,
      publisher,
      trading,
      reconciler,
      settlement,
    },
    begin: () => turn.begin(),
  });
  const remote = options.remote ?? null;
  const line = new DeskFeeds({
    feeds: remote === null ? feeds : [],
    seeds: feeds.map((_, feed) => seed + feed),
    ...{ instruments, port, silenceMs, taker: market },
  });
  const turn = new Turn({ line, market, predictor, publisher, counters, timer, port });
  const clocks = feeds.map(() => new VenueClock());
  const { signals: names } = options;
  const id = feeds.length;
  const signals = names.length === 0 ? null : new SignalFeed({ id, names, port, seed: seed + id });
  const threads = new FeedThreads({
    ...{ remote, line, clocks, market, features, predictor, publisher, turn, counters, timer },
  });
  return {
    ...{ clocks, signals, market, quoter, sides, gate, book, hedger, rfq, line, predictor, orders },
    ...{ publisher, trading, reconciler, settlement, session, turn, threads },
  };
}
