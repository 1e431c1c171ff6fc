import type { Socket } from "bun";
import { systemClock } from "../core/clock.ts";
import { KeelError } from "../core/errors.ts";
import { Histogram } from "../core/histogram.ts";
import { FixAcceptor } from "../gateway/fix/acceptor.ts";
import type { FixMessage } from "../gateway/fix/message.ts";
import { FixSession } from "../gateway/fix/session.ts";
import {
  SESSION_DEFAULTS,
  type SessionApplication,
  type SessionOptions,
} from "../gateway/fix/session-options.ts";
import { MemoryStore } from "../gateway/fix/store.ts";
import { MSG, TAG } from "../gateway/fix/tags.ts";
import { TcpPort } from "../gateway/fix/tcp-port.ts";

export interface RoundTrips {
  /** Quote out, acknowledgement back, in ns. */
  readonly fix: Histogram;
  /** As many bytes out and back through a bare echo, in ns. */
  readonly echo: Histogram;
}

const GIVE_UP_MS = 30_000;

const QUIET: SessionApplication = {
  onLogon: () => {},
  onLogout: () => {},
  onMessage: () => true,
  onReject: () => {},
  onResend: () => {},
};

/**
 * One MassQuote at a time from an initiator to an acceptor that parses it and acknowledges it, over loopback; in turn with it as
 * many bytes through a TCP echo. All four ends share this thread.
 */
export async function timeRoundTrips(count: number): Promise<RoundTrips> {
  const times: RoundTrips = { fix: new Histogram(), echo: new Histogram() };
  const warmUp = Math.min(1_000, count);
  const quotes = await QuoteLoop.open();
  const echo = await EchoLoop.open(quotes.bytes);
  try {
    for (let i = -warmUp; i < count; i += 1) {
      const fixNs = await within(quotes.once());
      const echoNs = await within(echo.once());
      if (i < 0) continue;
      times.fix.record(fixNs);
      times.echo.record(echoNs);
    }
  } finally {
    quotes.close();
    echo.close();
  }
  return times;
}

async function within<T>(answer: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new KeelError("bench-timeout", "FIX round trip: no answer")),
    GIVE_UP_MS,
  );
  try {
    return await Promise.race([answer, promise]);
  } finally {
    clearTimeout(timer);
  }
}

class QuoteLoop {
  readonly #session: FixSession;
  readonly #port: TcpPort;
  readonly #acceptor: FixAcceptor;
  #answered: (() => void) | null = null;
  #quoteId = 0;
  #bytes = 0;

  static async open(): Promise<QuoteLoop> {
    const loop = new QuoteLoop();
    await loop.#connect();
    return loop;
  }

  private constructor() {
    const common = { ...SESSION_DEFAULTS, version: "4.4" } as const;
    const us: SessionOptions = { ...common, role: "initiator", senderCompId: "KEEL", targetCompId: "PEER" };
    const them: SessionOptions = { ...common, role: "acceptor", senderCompId: "PEER", targetCompId: "KEEL" };
    this.#acceptor = new FixAcceptor({ host: "127.0.0.1", port: 0, clock: systemClock });
    const peer = this.#acceptor.add(them, new MemoryStore(), {
      ...QUIET,
      onMessage: (message: FixMessage, timeUs: number) => {
        const ack = peer.begin(MSG.massQuoteAck, timeUs);
        ack.uint(TAG.quoteId, message.uint(TAG.quoteId)).uint(TAG.quoteStatus, 0);
        peer.send(false);
        return true;
      },
    });
    this.#port = new TcpPort(1 << 20);
    this.#session = new FixSession(us, new MemoryStore(), this.#port, {
      ...QUIET,
      onLogon: () => this.#answered?.(),
      onMessage: (message: FixMessage) => {
        if (message.msgType === MSG.massQuoteAck && message.uint(TAG.quoteId) === this.#quoteId) {
          this.#answered?.();
        }
        return true;
      },
    });
  }

  /** Length of one quote's message. */
  get bytes(): number {
    return this.#bytes;
  }

  async #connect(): Promise<void> {
    const up = new Promise<void>((resolve) => {
      this.#answered = resolve;
    });
    await Bun.connect({
      hostname: "127.0.0.1",
      port: this.#acceptor.start(),
      socket: {
        open: (socket) => {
          this.#port.attach(socket);
          this.#session.onConnected(systemClock.wallUs());
        },
        data: (_socket, chunk) => this.#session.onBytes(chunk, systemClock.wallUs()),
        close: () => this.#session.onDisconnected("closed", systemClock.wallUs()),
      },
    });
    await up;
    const before = this.#port.bytesWritten;
    await this.once();
    this.#bytes = this.#port.bytesWritten - before;
  }

  once(): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>();
    const start = Bun.nanoseconds();
    this.#answered = () => resolve(Bun.nanoseconds() - start);
    const timeUs = systemClock.wallUs();
    this.#quoteId += 1;
    const quote = this.#session.begin(MSG.massQuote, timeUs);
    quote.uint(TAG.quoteId, this.#quoteId).uint(TAG.quoteResponseLevel, 2).uint(TAG.noQuoteSets, 1);
    quote.text(TAG.quoteSetId, "BTC").text(TAG.underlyingSymbol, "BTC").uint(TAG.totNoQuoteEntries, 1);
    quote.uint(TAG.noQuoteEntries, 1).uint(TAG.quoteEntryId, this.#quoteId);
    quote.text(TAG.symbol, "BTC-27DEC24-60000-C").text(TAG.securityExchange, "deribit");
    quote.decimal(TAG.bidPx, 500, 4).decimal(TAG.offerPx, 510, 4);
    quote.decimal(TAG.bidSize, 25, 1).decimal(TAG.offerSize, 30, 1).time(TAG.transactTime, timeUs);
    this.#session.send(false);
    this.#port.flush();
    return promise;
  }

  close(): void {
    this.#port.cut();
    this.#acceptor.stop();
  }
}

class EchoLoop {
  readonly #payload: Uint8Array;
  #socket: Socket | null = null;
  #left = 0;
  #answered: (() => void) | null = null;
  #stop: () => void = () => {};

  static async open(bytes: number): Promise<EchoLoop> {
    const loop = new EchoLoop(bytes);
    const listener = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        open: (socket) => void socket.setNoDelay(true),
        data: (socket, chunk) => void socket.write(chunk),
      },
    });
    loop.#socket = await Bun.connect({
      hostname: "127.0.0.1",
      port: listener.port,
      socket: {
        data: (_socket, chunk) => {
          loop.#left -= chunk.length;
          if (loop.#left === 0) loop.#answered?.();
        },
      },
    });
    loop.#socket.setNoDelay(true);
    loop.#stop = () => listener.stop(true);
    return loop;
  }

  private constructor(bytes: number) {
    this.#payload = new Uint8Array(bytes).fill(65);
  }

  once(): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>();
    const start = Bun.nanoseconds();
    this.#answered = () => resolve(Bun.nanoseconds() - start);
    this.#left = this.#payload.length;
    this.#socket?.write(this.#payload);
    return promise;
  }

  close(): void {
    this.#socket?.terminate();
    this.#stop();
  }
}
