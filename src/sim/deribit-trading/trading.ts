import type { SimMarket } from "../market/market.ts";
import type { RpcAnswer } from "../protocol/json-rpc.ts";
import { type MmpGroup, SimAccount } from "./account.ts";
import { accountSummary, ask } from "./account-methods.ts";
import { BlockRfqs } from "./block-rfqs.ts";
import { Exchange, type ExchangeEvents } from "./exchange.ts";
import { VENUE_LIMITS, type VenueLimits } from "./limits.ts";
import { frozenGroups, mmpConfig, mmpStatus, setMmp } from "./mmp-methods.ts";
import { cancelWhere, edit, enter, quoteFilter } from "./order-methods.ts";
import { orderJson, type SimOrder, type TradedInstrument } from "./orders.ts";
import { massQuote } from "./quoting.ts";
import { type Params, refuse } from "./rpc.ts";
import { TRADING_ERROR } from "./trading-error.ts";
import { type Connection, TokenOffice } from "./trading-login.ts";

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
  /** The request is carried out all the same. */
  readonly done?: boolean;
}

const DEFAULT_TOKEN_SECONDS = 900;
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
    this.#tellChannel(account, "user.portfolio.btc", accountSummary(account));
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
    if (rehearsal.code === null || rehearsal.done === true) perform();
    return rehearsal.code === null ? "lost" : refuse(rehearsal.code, "rehearsed");
  }

  #perform(
    session: Session,
    connection: Connection,
    account: SimAccount,
    method: string,
    params: Params,
    timeUs: number,
  ): RpcAnswer {
    if (typeof params.valid_until === "number" && this.exchange.timeMs >= params.valid_until)
      return refuse(TRADING_ERROR.timedOut, "timed_out");
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
        return cancelWhere(this.exchange, account, params, quoteFilter(params));
      case "buy":
        return enter(this.exchange, account, connection, 0, params);
      case "sell":
        return enter(this.exchange, account, connection, 1, params);
      case "edit":
        return edit(this.exchange, account, params);
      case "cancel": {
        const order = account.orders.get(String(params.order_id));
        if (order === undefined) return refuse(TRADING_ERROR.orderNotFound, "order_not_found");
        if (order.state !== "open") return refuse(TRADING_ERROR.notOpen, "not_open_order");
        this.exchange.cancel(account, order, "user_request");
        return { result: orderJson(order) };
      }
      case "cancel_by_label":
        return cancelWhere(
          this.exchange,
          account,
          {},
          (order) => order.label !== "" && order.label === params.label,
        );
      case "cancel_all":
        return cancelWhere(this.exchange, account, params, () => true);
      case "cancel_all_by_currency":
        return cancelWhere(this.exchange, account, params, () => params.currency === "BTC");
      case "cancel_all_by_instrument":
        return cancelWhere(
          this.exchange,
          account,
          params,
          (order) => order.instrument.symbol === params.instrument_name,
        );
      case "set_mmp_config":
        return setMmp(this.blockRfqs, account, params);
      case "get_mmp_config":
        return { result: [...account.groups.values()].map(mmpConfig) };
      case "get_mmp_status":
        if (params.block_rfq === true) return { result: this.blockRfqs.mmp.status(account) };
        return { result: frozenGroups(this.exchange, account, params).map(mmpStatus) };
      case "reset_mmp":
        if (params.block_rfq === true) {
          this.blockRfqs.mmp.reset(account);
          return OK;
        }
        for (const group of frozenGroups(this.exchange, account, params))
          group.frozenUntilUs = Number.NEGATIVE_INFINITY;
        return OK;
      default:
        return this.blockRfqs.call(account, method, params) ?? ask(this.exchange, account, method, params);
    }
  }

  #subscribe(connection: Connection, params: Params): RpcAnswer {
    const granted = textsOf(params.channels).filter((channel) =>
      /^(user\.(orders|trades|portfolio|mmp_trigger)|block_rfq\.(maker|taker|trades))\./.test(channel),
    );
    for (const channel of granted) connection.channels.add(channel);
    return { result: granted };
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

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
}
