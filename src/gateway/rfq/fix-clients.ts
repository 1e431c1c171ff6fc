import type { TLSOptions } from "bun";
import type { Clock } from "../../core/clock.ts";
import type { QuoteBatch } from "../../quote/quote-batch.ts";
import type { RfqAction, RfqClient, RfqInput } from "../../rfq/message.ts";
import { FixAcceptor } from "../fix/acceptor.ts";
import type { AddressList } from "../fix/address-list.ts";
import { FieldTree } from "../fix/application/field-tree.ts";
import { MarketDataPublisher } from "../fix/application/market-data-publisher.ts";
import { openSessionStore } from "../fix/file-store.ts";
import type { FixMessage } from "../fix/message.ts";
import { openMessageLog } from "../fix/message-log.ts";
import type { FixSession } from "../fix/session.ts";
import { SESSION_DEFAULTS, type SessionApplication, type SessionOptions } from "../fix/session-options.ts";
import { MemoryStore } from "../fix/store.ts";
import { type FixVersion, MSG, TAG } from "../fix/tags.ts";
import type { DeskTap } from "../tap.ts";
import { Echo } from "./echo.ts";
import { rejectOrder, rejectRequest, sendAnswer } from "./fix-answers.ts";
import { isClientMessage, readClientMessage, type Unreadable } from "./fix-requests.ts";
import type { OwnQuotes } from "./own-quotes.ts";

/** A client that may log on. */
export interface FixClient {
  /** Its SenderCompID (49). */
  readonly compId: string;
  readonly version: FixVersion;
  /** What its Logon must have in Username (553) and Password (554); null = nothing. */
  readonly credentials: { readonly username: string; readonly password: string } | null;
}

export interface FixClientsOptions {
  readonly host: string;
  /** 0 = the host chooses. */
  readonly port: number;
  /** Ours. */
  readonly senderCompId: string;
  readonly clients: readonly FixClient[];
  readonly clock: Clock;
  readonly quotes: OwnQuotes;
  /** Takes what clients say. It must journal it before the desk sees it. */
  readonly onInput: (input: RfqInput) => void;
  readonly onProblem: (text: string) => void;
  readonly tls?: TLSOptions;
  readonly allowed?: AddressList;
  readonly maxConnectionsPerAddress?: number;
  readonly session?: Partial<SessionOptions>;
  /** Bytes that may wait for a client that does not read before its connection is cut. */
  readonly maxPendingBytes?: number;
  /** null = sequence numbers live as long as the process. */
  readonly storeDir: string | null;
  readonly messageLogDir?: string;
}

/** A client's session as it is shown. */
export interface FixClientState {
  readonly compId: string;
  readonly version: FixVersion;
  readonly state: string;
  readonly counters: Readonly<Record<string, number>>;
}

const LOGOUT_TEXT = "the desk stops";

/**
 * Clients that ask for quotes over FIX: QuoteRequest (35=R), QuoteResponse (35=AJ), NewOrderSingle (35=D) and MarketDataRequest
 * (35=V) in; Quote (35=S), QuoteRequestReject (35=AG), QuoteStatusReport (35=AI), ExecutionReport (35=8) and market data of our own
 * quotes (35=W, X, Y) out. In FIX 4.2, which lacks them, AG and AI are QuoteAcknowledgements (35=b).
 *
 * A client is known by the comp ids, and credentials, of its Logon; its requests are withdrawn when its session ends.
 */
export class FixClients implements DeskTap {
  readonly acceptor: FixAcceptor;
  readonly #options: FixClientsOptions;
  readonly #sessions = new Map<string, ClientSession>();
  readonly #publisher: MarketDataPublisher;
  /** Instruments whose quotes have changed since the last timer. */
  readonly #changed = new Set<number>();
  #allChanged = false;
  /** Answers to clients that were not logged on. */
  undelivered = 0;

  /** @throws KeelError when a client is named twice or its store cannot be opened */
  constructor(options: FixClientsOptions) {
    this.#options = options;
    this.#publisher = new MarketDataPublisher(options.quotes);
    const { host, port, clock, tls, allowed, maxConnectionsPerAddress, maxPendingBytes } = options;
    this.acceptor = new FixAcceptor({
      ...{ host, port, clock },
      ...(tls === undefined ? {} : { tls }),
      ...(allowed === undefined ? {} : { allowed }),
      ...(maxConnectionsPerAddress === undefined ? {} : { maxConnectionsPerAddress }),
      ...(maxPendingBytes === undefined ? {} : { maxPendingBytes }),
      onCut: ({ options: { targetCompId } }, reason) =>
        options.onProblem(`${targetCompId}: the connection was cut, ${reason}`),
    });
    for (const client of options.clients) this.#add(client);
  }

  /** @returns the port listened on. */
  start(): number {
    return this.acceptor.start();
  }

  /** Market data subscriptions of all clients. */
  get subscriptions(): number {
    return this.#publisher.size;
  }

  /** Clients that are logged on. */
  get established(): number {
    let count = 0;
    for (const { session } of this.#sessions.values()) if (session?.established === true) count += 1;
    return count;
  }

  describe(): FixClientState[] {
    return [...this.#sessions].map(([compId, { version, session }]) => ({
      ...{ compId, version },
      state: session?.state ?? "disconnected",
      counters: { ...session?.counters },
    }));
  }

  /** Carries out an answer of the RFQ desk. Those of other channels are passed over. */
  onAnswer(action: RfqAction, timeUs: number): void {
    if (action.channel !== "fix") return;
    const { session, echo } = this.#sessions.get(action.client) ?? {};
    if (session?.established !== true || echo === undefined) {
      this.undelivered += 1;
      return;
    }
    sendAnswer(session, echo, action, timeUs);
  }

  onQuotes(quotes: QuoteBatch): void {
    if (this.#publisher.size === 0) return;
    for (let row = 0; row < quotes.count; row += 1) this.#changed.add(quotes.instrument[row]);
  }

  onCancelAll(): void {
    this.#allChanged = true;
  }

  onTimer(timeUs: number): void {
    if (this.#allChanged) {
      this.#allChanged = false;
      this.#publisher.publishAll(timeUs);
    }
    for (const instrument of this.#changed) {
      this.#publisher.publish(this.#options.quotes.nameOf(instrument), timeUs);
    }
    this.#changed.clear();
    this.acceptor.onTimer(timeUs);
  }

  /** Logs every client out and closes the listener. */
  close(): void {
    const timeUs = this.#options.clock.wallUs();
    for (const { session } of this.#sessions.values()) session?.logout(LOGOUT_TEXT, timeUs);
    this.acceptor.onTimer(timeUs);
    this.acceptor.stop();
    for (const { session } of this.#sessions.values()) {
      session?.store.close();
      session?.options.messageLog?.close();
    }
  }

  #add({ compId, version, credentials }: FixClient): void {
    const { senderCompId, storeDir, messageLogDir, onInput, onProblem } = this.#options;
    const identity = { version, senderCompId, targetCompId: compId };
    const application = new ClientSession({ compId, version }, this.#publisher, onInput, onProblem);
    const required =
      credentials === null
        ? []
        : [[TAG.username, credentials.username] as const, [TAG.password, credentials.password] as const];
    application.session = this.acceptor.add(
      {
        ...SESSION_DEFAULTS,
        ...this.#options.session,
        ...identity,
        role: "acceptor",
        requiredLogonFields: required,
        messageLog: messageLogDir === undefined ? null : openMessageLog(messageLogDir, identity),
      },
      storeDir === null ? new MemoryStore() : openSessionStore(storeDir, identity),
      application,
    );
    this.#sessions.set(compId, application);
  }
}

/** What one client's session hands up. */
class ClientSession implements SessionApplication {
  session: FixSession | null = null;
  readonly echo = new Echo();
  readonly version: FixVersion;
  readonly #client: RfqClient;
  readonly #publisher: MarketDataPublisher;
  readonly #onInput: (input: RfqInput) => void;
  readonly #onProblem: (text: string) => void;

  constructor(
    { compId, version }: Omit<FixClient, "credentials">,
    publisher: MarketDataPublisher,
    onInput: (input: RfqInput) => void,
    onProblem: (text: string) => void,
  ) {
    this.version = version;
    this.#client = { channel: "fix", client: compId };
    this.#publisher = publisher;
    this.#onInput = onInput;
    this.#onProblem = onProblem;
  }

  onLogon(): void {}

  onLogout(reason: string): void {
    if (this.session !== null) this.#publisher.onLogout(this.session);
    this.#onInput({ on: "withdraw", ...this.#client, requestId: null, reason });
  }

  onMessage(message: FixMessage, timeUs: number): boolean {
    const { session } = this;
    const { msgType } = message;
    if (session === null) return false;
    if (msgType === MSG.marketDataRequest) {
      this.#publisher.onRequest(session, FieldTree.read(message, session.options.version), timeUs);
      return true;
    }
    if (!isClientMessage(msgType)) return false;
    const tree = FieldTree.read(message, session.options.version);
    const read = readClientMessage(msgType, tree, this.#client);
    this.#remember(tree);
    if ("problem" in read) this.#refuse(session, read, timeUs);
    else this.#onInput(read);
    return true;
  }

  onResend(): void {}

  onReject(refSeq: number, reason: string): void {
    this.#onProblem(`${this.#client.client} refused message ${refSeq}: ${reason}`);
  }

  /** What the message is about, for answers that must say so. */
  #remember(tree: FieldTree): void {
    const [entry] = tree.group(TAG.noRelatedSym);
    const symbol = (entry ?? tree).text(TAG.symbol) ?? "[N/A]";
    const name = { symbol, exchange: (entry ?? tree).text(TAG.securityExchange) };
    const side = (entry ?? tree).text(TAG.side) === "2" ? "sell" : "buy";
    const requestId = tree.text(TAG.quoteReqId);
    const orderId = tree.text(TAG.clOrdId);
    const quoteId = tree.text(TAG.quoteId);
    if (entry !== undefined && requestId !== undefined) this.echo.set("request", requestId, { name, side });
    if (orderId !== undefined) this.echo.set("order", orderId, { name, side });
    if (quoteId !== undefined && symbol !== "[N/A]") this.echo.set("quote", quoteId, { name, side });
  }

  #refuse(session: FixSession, { problem, requestId, orderId, quoteId }: Unreadable, timeUs: number): void {
    this.#onProblem(`${this.#client.client}: ${problem}`);
    if (requestId !== null) {
      rejectRequest(session, this.echo, { requestId, reason: "other", text: problem }, timeUs);
    } else if (orderId !== null) {
      rejectOrder(session, this.echo, orderId, problem, timeUs);
    } else {
      const status = { do: "status", ...this.#client, requestId: "", orderId: null, cause: "" } as const;
      const about = { quoteId: quoteId ?? "NONE", responseId: null };
      sendAnswer(session, this.echo, { ...status, ...about, status: "rejected", text: problem }, timeUs);
    }
  }
}
