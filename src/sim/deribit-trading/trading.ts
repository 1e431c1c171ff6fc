import type { SimMarket } from "../market/market.ts";
import { type RpcAnswer, rpcError } from "../protocol/json-rpc.ts";
import { type MmpGroup, SimAccount, type SimPosition } from "./account.ts";
import { BlockRfqs } from "./block-rfqs.ts";
import { Exchange, type ExchangeEvents, groupKey } from "./exchange.ts";
import { VENUE_LIMITS, type VenueLimits } from "./limits.ts";
import {
  amountOf,
  orderJson,
  priceOf,
  readAmount,
  readPrice,
  type SimOrder,
  type TradedInstrument,
} from "./orders.ts";
import { checkPrice, massQuote } from "./quoting.ts";
import { type Side, TRADING_ERROR } from "./trading-error.ts";
import { type Connection, TokenOffice } from "./trading-login.ts";

type Params = Readonly<Record<string, unknown>>;

export interface TradingOptions {
  /** API keys: client id and secret. */
  readonly clients: readonly { readonly id: string; readonly secret: string }[];
  readonly limits?: VenueLimits;
  /** How long a token lives. */
  readonly tokenSeconds?: number;
  /** Mass quotes have been approved for the accounts. */
  readonly massQuotes?: boolean;
  /** False: the venue forgets to cancel when a connection breaks. */
  readonly honoursCancelOnDisconnect?: boolean;
  /** A connection that asks for too much is closed after its error 10028. */
  readonly floodEndsConnection?: boolean;
}

/** How the server reaches a connection. */
export interface TradingWire<Session> {
  notify(session: Session, channel: string, data: unknown): void;
  close(session: Session, reason: string): void;
}

/** Error codes to be given in place of an answer, and answers to be lost, by method; for rehearsals. */
export interface Rehearsal {
  readonly method: string;
  left: number;
  /** Null: the request is carried out and its answer lost. */
  readonly code: number | null;
}

const INDEX = "btc_usd";
const DEFAULT_TOKEN_SECONDS = 900;
const START_EQUITY_COINS = 100;
const MAX_GROUPS = 16;
const OK: RpcAnswer = { result: "ok" };

/** The private half of the simulated Deribit: keys, connections, and the methods of trading and of the account. */
export class DeribitTrading<Session extends object> implements ExchangeEvents {
  readonly accounts = new Map<string, SimAccount>();
  readonly exchange: Exchange;
  readonly blockRfqs: BlockRfqs;
  readonly tokens: TokenOffice;
  readonly rehearsals: Rehearsal[] = [];
  /** Requests by method. */
  readonly requests = new Map<string, number>();
  readonly #options: TradingOptions;
  readonly #wire: TradingWire<Session>;
  readonly #connections = new Map<Session, Connection>();

  constructor(market: SimMarket, options: TradingOptions, wire: TradingWire<Session>) {
    this.#options = options;
    this.#wire = wire;
    for (const { id, secret } of options.clients) {
      this.accounts.set(id, new SimAccount(id, secret, options.limits ?? VENUE_LIMITS));
    }
    this.tokens = new TokenOffice(this.accounts, options.tokenSeconds ?? DEFAULT_TOKEN_SECONDS);
    this.exchange = new Exchange(market, this);
    this.blockRfqs = new BlockRfqs(this.exchange, this.accounts, {
      tell: (account, channel, data) => this.#tellChannel(account, channel, data),
      publish: (channel, data) => {
        for (const account of this.accounts.values()) this.#tellChannel(account, channel, data);
      },
    });
    market.addSink({ onLevel: () => {}, onTrade: () => {}, onTurn: () => this.blockRfqs.expire() });
  }

  isLoggedIn(session: Session, timeUs: number): boolean {
    const connection = this.#connections.get(session);
    return connection !== undefined && connection.account !== null && timeUs < connection.expiresUs;
  }

  /** @returns null for a method that is not of trading; `lost` when the answer must not be sent */
  call(session: Session, method: string, params: Params, timeUs: number): RpcAnswer | "lost" | null {
    if (method === "public/auth")
      return this.#rehearsed(method, () => this.tokens.auth(this.#connection(session), params, timeUs));
    if (!method.startsWith("private/")) return null;
    this.requests.set(method, (this.requests.get(method) ?? 0) + 1);
    const connection = this.#connection(session);
    const { account } = connection;
    if (account === null || timeUs >= connection.expiresUs)
      return refuse(TRADING_ERROR.unauthorized, "unauthorized");
    if (!account.limiter.allows(method, timeUs)) {
      if (this.#options.floodEndsConnection === true) {
        queueMicrotask(() => this.#wire.close(session, "too many requests"));
      }
      return refuse(TRADING_ERROR.tooManyRequests, "too_many_requests");
    }
    return this.#rehearsed(method, () => this.#perform(session, connection, account, method, params, timeUs));
  }

  onClose(session: Session): void {
    const connection = this.#connections.get(session);
    this.#connections.delete(session);
    if (connection?.account == null || !connection.cancelOnDisconnect) return;
    if (this.#options.honoursCancelOnDisconnect === false) return;
    for (const order of connection.account.openOrders()) {
      if (order.owner === connection) this.exchange.cancel(connection.account, order, "cancel_on_disconnect");
    }
  }

  onOrder(account: SimAccount, order: SimOrder): void {
    this.#tell(account, "orders", order.instrument, orderJson(order));
  }

  onTrade(account: SimAccount, symbol: string, json: Params): void {
    const instrument = this.exchange.instruments.get(symbol);
    if (instrument !== undefined) this.#tell(account, "trades", instrument, [json]);
    this.#tellChannel(account, "user.portfolio.btc", this.#summary(account));
  }

  onMmp(account: SimAccount, group: MmpGroup): void {
    this.#tellChannel(account, `user.mmp_trigger.${group.index}`, mmpStatus(group));
  }

  #connection(session: Session): Connection {
    const known = this.#connections.get(session);
    if (known !== undefined) return known;
    const made: Connection = { account: null, expiresUs: 0, cancelOnDisconnect: false, channels: new Set() };
    this.#connections.set(session, made);
    return made;
  }

  #rehearsed(method: string, perform: () => RpcAnswer): RpcAnswer | "lost" {
    const rehearsal = this.rehearsals.find((one) => one.method === method && one.left > 0);
    if (rehearsal === undefined) return perform();
    rehearsal.left -= 1;
    if (rehearsal.code !== null) return refuse(rehearsal.code, "rehearsed");
    perform();
    return "lost";
  }

  #perform(
    session: Session,
    connection: Connection,
    account: SimAccount,
    method: string,
    params: Params,
    timeUs: number,
  ): RpcAnswer {
    switch (method.slice("private/".length)) {
      case "subscribe":
        return this.#subscribe(connection, params);
      case "unsubscribe":
        for (const channel of textsOf(params.channels)) connection.channels.delete(channel);
        return { result: textsOf(params.channels) };
      case "enable_cancel_on_disconnect":
        connection.cancelOnDisconnect = true;
        if (params.scope === "account") account.cancelOnDisconnect = true;
        return OK;
      case "disable_cancel_on_disconnect":
        connection.cancelOnDisconnect = false;
        if (params.scope === "account") account.cancelOnDisconnect = false;
        return OK;
      case "get_cancel_on_disconnect":
        return { result: { scope: "connection", enabled: connection.cancelOnDisconnect } };
      case "logout":
        connection.cancelOnDisconnect = false;
        queueMicrotask(() => this.#wire.close(session, "logout"));
        return OK;
      case "mass_quote":
        if (this.#options.massQuotes === false)
          return refuse(TRADING_ERROR.permissionDenied, "permission_denied");
        if (!connection.cancelOnDisconnect) return refuse(TRADING_ERROR.codNotEnabled, "cod_not_enabled");
        return massQuote(this.exchange, account, connection, params, timeUs);
      case "cancel_quotes":
        if (!connection.cancelOnDisconnect) return refuse(TRADING_ERROR.codNotEnabled, "cod_not_enabled");
        return this.#cancelWhere(account, params, this.#quoteFilter(params));
      case "buy":
        return this.#enter(account, connection, 0, params);
      case "sell":
        return this.#enter(account, connection, 1, params);
      case "edit":
        return this.#edit(account, params);
      case "cancel": {
        const order = account.orders.get(String(params.order_id));
        if (order === undefined) return refuse(TRADING_ERROR.orderNotFound, "order_not_found");
        if (order.state !== "open") return refuse(TRADING_ERROR.notOpen, "not_open_order");
        this.exchange.cancel(account, order, "user_request");
        return { result: orderJson(order) };
      }
      case "cancel_by_label":
        return this.#cancelWhere(account, {}, (order) => order.label !== "" && order.label === params.label);
      case "cancel_all":
        return this.#cancelWhere(account, params, () => true);
      case "cancel_all_by_currency":
        return this.#cancelWhere(account, params, () => params.currency === "BTC");
      case "cancel_all_by_instrument":
        return this.#cancelWhere(
          account,
          params,
          (order) => order.instrument.symbol === params.instrument_name,
        );
      case "set_mmp_config":
        return this.#setMmp(account, params);
      case "get_mmp_config":
        return { result: [...account.groups.values()].map(mmpConfig) };
      case "get_mmp_status":
        if (params.block_rfq === true) return { result: this.blockRfqs.mmp.status(account) };
        return { result: this.#frozen(account, params).map(mmpStatus) };
      case "reset_mmp":
        if (params.block_rfq === true) {
          this.blockRfqs.mmp.reset(account);
          return OK;
        }
        for (const group of this.#frozen(account, params)) group.frozenUntilUs = Number.NEGATIVE_INFINITY;
        return OK;
      default:
        return this.blockRfqs.call(account, method, params) ?? this.#ask(account, method, params);
    }
  }

  /** Methods that change nothing. */
  #ask(account: SimAccount, method: string, params: Params): RpcAnswer {
    switch (method.slice("private/".length)) {
      case "get_open_orders":
        return { result: account.openOrders().map(orderJson) };
      case "get_order_state": {
        const order = account.orders.get(String(params.order_id));
        return order === undefined
          ? refuse(TRADING_ERROR.orderNotFound, "order_not_found")
          : { result: orderJson(order) };
      }
      case "get_order_state_by_label":
        return {
          result: [...account.orders.values()].filter(({ label }) => label === params.label).map(orderJson),
        };
      case "get_positions":
        return { result: [...account.positions.values()].map((position) => this.#position(position)) };
      case "get_account_summary":
        return { result: this.#summary(account) };
      case "get_user_trades_by_currency_and_time": {
        const from = Number(params.start_timestamp);
        const to = Number(params.end_timestamp);
        const count = Number(params.count ?? 10);
        const trades = account.trades.filter(({ timestampMs: at }) => at >= from && at <= to);
        if (params.sorting !== "asc") trades.reverse();
        return {
          result: { trades: trades.slice(0, count).map(({ json }) => json), has_more: trades.length > count },
        };
      }
      default:
        return refuse(-32_601, "Method not found");
    }
  }

  #subscribe(connection: Connection, params: Params): RpcAnswer {
    const granted = textsOf(params.channels).filter((channel) =>
      /^(user\.(orders|trades|portfolio|mmp_trigger)|block_rfq\.(maker|taker|trades))\./.test(channel),
    );
    for (const channel of granted) connection.channels.add(channel);
    return { result: granted };
  }

  #enter(account: SimAccount, owner: Connection, side: Side, params: Params): RpcAnswer {
    const instrument = this.exchange.instruments.get(String(params.instrument_name));
    if (instrument === undefined)
      return refuse(TRADING_ERROR.unknownInstrument, "invalid_or_unsupported_instrument");
    if (this.exchange.timeMs >= instrument.expiryMs) return refuse(TRADING_ERROR.bookClosed, "book_closed");
    const ticks = readPrice(instrument, params.price);
    if (typeof ticks !== "number") return { error: ticks };
    const lots = readAmount(instrument, params.amount);
    if (typeof lots !== "number") return { error: lots };
    const refusal = checkPrice(this.exchange, instrument, side, ticks);
    if (refusal !== null) return { error: refusal };
    const mmp = params.mmp === true;
    const group = account.groups.get(groupKey(INDEX, null));
    if (mmp && group !== undefined && this.exchange.timeUs < group.frozenUntilUs) {
      return refuse(TRADING_ERROR.mmpTrigger, "mmp_trigger");
    }
    const nowMs = this.exchange.timeMs;
    const order: SimOrder = {
      id: this.exchange.nextOrderId(),
      ...{ instrument, side, ticks, lots, filled: 0, traded: 0, state: "open", cancelReason: "" },
      label: typeof params.label === "string" ? params.label.slice(0, 64) : "",
      timeInForce: typeof params.time_in_force === "string" ? params.time_in_force : "good_til_cancelled",
      ...{
        mmp,
        mmpGroup: null,
        quoteId: "",
        quoteSetId: "",
        createdMs: nowMs,
        updatedMs: nowMs,
        replaced: false,
      },
      ahead: 0,
      owner,
    };
    const trades = this.exchange.place(account, order, false);
    return { result: { order: orderJson(order), trades } };
  }

  #edit(account: SimAccount, params: Params): RpcAnswer {
    const order = account.orders.get(String(params.order_id));
    if (order === undefined) return refuse(TRADING_ERROR.orderNotFound, "order_not_found");
    if (order.state !== "open") return refuse(TRADING_ERROR.notOpen, "not_open_order");
    if (order.mmpGroup !== null) return refuse(TRADING_ERROR.invalidArguments, "invalid_arguments");
    const ticks = params.price === undefined ? order.ticks : readPrice(order.instrument, params.price);
    if (typeof ticks !== "number") return { error: ticks };
    const lots = params.amount === undefined ? order.lots : readAmount(order.instrument, params.amount);
    if (typeof lots !== "number") return { error: lots };
    if (lots <= order.filled) return refuse(TRADING_ERROR.invalidAmount, "invalid_amount");
    const refusal = checkPrice(this.exchange, order.instrument, order.side, ticks);
    if (refusal !== null) return { error: refusal };
    const keeps = ticks === order.ticks && lots <= order.lots;
    order.ticks = ticks;
    order.lots = lots;
    order.replaced = true;
    order.updatedMs = this.exchange.timeMs;
    const trades = this.exchange.place(account, order, keeps);
    return { result: { order: orderJson(order), trades } };
  }

  #cancelWhere(account: SimAccount, params: Params, matches: (order: SimOrder) => boolean): RpcAnswer {
    const orders = account.openOrders().filter(matches);
    for (const order of orders) this.exchange.cancel(account, order, "user_request");
    if (params.freeze_quotes === true) account.quotesFrozenUntilUs = this.exchange.timeUs + 1_000_000;
    return { result: params.detailed === true ? orders.map(orderJson) : orders.length };
  }

  #quoteFilter(params: Params): (order: SimOrder) => boolean {
    const { cancel_type: type, instrument_name: symbol, quote_set_id: set, kind, currency } = params;
    return (order) => {
      if (order.mmpGroup === null) return false;
      if (type === "instrument") return order.instrument.symbol === symbol;
      if (type === "quote_set_id") return order.quoteSetId === set;
      if (type === "instrument_kind") return kind === "any" || order.instrument.kind === kind;
      return type === "all" || (type === "currency" && currency === "BTC");
    };
  }

  #setMmp(account: SimAccount, params: Params): RpcAnswer {
    const { index_name: index, mmp_group: name, interval, frozen_time: frozen } = params;
    if (index !== INDEX) return invalid("index_name", "no such index");
    if (typeof interval !== "number" || typeof frozen !== "number" || interval < 0 || frozen < 0) {
      return invalid("interval", "interval and frozen_time must be non-negative numbers");
    }
    if (params.block_rfq === true) {
      this.blockRfqs.mmp.configure(account, params);
      return { result: [{ ...params }] };
    }
    const key = groupKey(INDEX, typeof name === "string" ? name : null);
    if (interval === 0) {
      account.groups.delete(key);
      return { result: [] };
    }
    const limit = (value: unknown): number =>
      typeof value === "number" && value > 0 ? value : Number.POSITIVE_INFINITY;
    const quantityLimit = limit(params.quantity_limit);
    const deltaLimit = limit(params.delta_limit);
    if (typeof name === "string" && !(deltaLimit < quantityLimit))
      return invalid("delta_limit", "must be below quantity_limit");
    if (!account.groups.has(key) && account.groups.size >= MAX_GROUPS)
      return invalid("mmp_group", "too many groups");
    const known = account.groups.get(key);
    const group: MmpGroup = {
      index: INDEX,
      name: typeof name === "string" ? name : null,
      intervalUs: interval * 1e6,
      frozenUs: frozen * 1e6,
      quantityLimit,
      deltaLimit,
      vegaLimit: limit(params.vega_limit),
      maxQuoteQuantity: limit(params.max_quote_quantity),
      ...{ sinceUs: Number.NEGATIVE_INFINITY, quantity: 0, delta: 0, vega: 0 },
      frozenUntilUs: known?.frozenUntilUs ?? Number.NEGATIVE_INFINITY,
    };
    account.groups.set(key, group);
    return { result: [mmpConfig(group)] };
  }

  #frozen(account: SimAccount, params: Params): MmpGroup[] {
    const key = groupKey(
      String(params.index_name),
      typeof params.mmp_group === "string" ? params.mmp_group : null,
    );
    const group = account.groups.get(key);
    return group !== undefined && this.exchange.timeUs < group.frozenUntilUs ? [group] : [];
  }

  #position({ instrument, lots, averageTicks }: SimPosition): object {
    return {
      instrument_name: instrument.symbol,
      kind: instrument.kind,
      size: (lots < 0 ? -1 : 1) * amountOf(instrument, Math.abs(lots)),
      direction: lots === 0 ? "zero" : lots > 0 ? "buy" : "sell",
      average_price: priceOf(instrument, averageTicks),
      mark_price: priceOf(instrument, this.exchange.markTicks(instrument)),
    };
  }

  #summary({ limits }: SimAccount): object {
    const rate = ({ burst, rate: perSecond }: { burst: number; rate: number }) => ({
      burst,
      rate: perSecond,
    });
    return {
      currency: "BTC",
      ...{ equity: START_EQUITY_COINS, balance: START_EQUITY_COINS, available_funds: START_EQUITY_COINS },
      ...{ initial_margin: 0, maintenance_margin: 0, delta_total: 0 },
      limits: {
        non_matching_engine: rate(limits.nonMatching),
        limits_per_currency: false,
        matching_engine: {
          trading: { total: rate(limits.trading) },
          cancel_all: rate(limits.cancelAll),
          maximum_quotes: rate(limits.quotes),
          maximum_mass_quotes: rate(limits.massQuotes),
        },
      },
    };
  }

  #tell(
    account: SimAccount,
    topic: "orders" | "trades",
    { symbol, kind }: TradedInstrument,
    data: unknown,
  ): void {
    this.#tellChannel(account, `user.${topic}.any.any.raw`, data);
    this.#tellChannel(account, `user.${topic}.${kind}.BTC.raw`, data);
    this.#tellChannel(account, `user.${topic}.${symbol}.raw`, data);
  }

  #tellChannel(account: SimAccount, channel: string, data: unknown): void {
    for (const [session, connection] of this.#connections) {
      if (connection.account === account && connection.channels.has(channel))
        this.#wire.notify(session, channel, data);
    }
  }
}

function mmpStatus(group: MmpGroup): object {
  return {
    index_name: group.index,
    frozen_until: Number.isFinite(group.frozenUntilUs) ? Math.ceil(group.frozenUntilUs / 1_000) : 0,
    ...(group.name === null ? {} : { mmp_group: group.name }),
  };
}

function mmpConfig(group: MmpGroup): object {
  return {
    index_name: group.index,
    interval: group.intervalUs / 1e6,
    frozen_time: group.frozenUs / 1e6,
    quantity_limit: group.quantityLimit,
    delta_limit: group.deltaLimit,
    vega_limit: group.vegaLimit,
    max_quote_quantity: group.maxQuoteQuantity,
    ...(group.name === null ? {} : { mmp_group: group.name }),
  };
}

function refuse(code: number, message: string): RpcAnswer {
  return { error: rpcError(code, message) };
}

function invalid(param: string, reason: string): RpcAnswer {
  return { error: rpcError(-32_602, "Invalid params", param, reason) };
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
}
