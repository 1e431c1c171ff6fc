import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SimAccount } from "../../../src/sim/deribit-trading/account.ts";
import { SIMULATED_KEY } from "../../../src/sim/deribit-venue.ts";
import type { Simulation } from "../../../src/sim/simulation.ts";
import type { PairWire } from "./pair-wire.ts";
import { VenueWire } from "./venue-wire.ts";
import { Wire } from "./wire.ts";

export interface PeerState {
  readonly standing: number;
  /** Quotes that nobody answers for. */
  readonly orphans: number;
  readonly established: boolean;
  readonly executions: number;
  readonly positions: Readonly<Record<string, number>>;
}

/** Who takes a pair's quotes. */
export interface PairCounterparty {
  readonly wire: PairWire;
  /** What a process needs to reach it by an address of this host. */
  environment(hostname: string, port: number): Record<string, string>;
  start(): Promise<void>;
  readonly port: number;
  peer(): Promise<PeerState>;
  /** Trades one of the quotes. @returns false when there was none */
  trade(): Promise<boolean>;
  stop(): void;
}

/** A FIX counterparty as a process of its own. */
export class FixPeer implements PairCounterparty {
  readonly wire = new Wire();
  port = 0;
  #http = 0;
  #peer: Bun.Subprocess<"ignore", "pipe", "inherit"> | null = null;

  environment(hostname: string, port: number): Record<string, string> {
    return {
      KEEL_FIX_HOST: hostname,
      KEEL_FIX_PORT: String(port),
      KEEL_FIX_TARGET_COMP_ID: "PEER",
      KEEL_FIX_HEARTBEAT_SECONDS: "1",
    };
  }

  async start(): Promise<void> {
    this.#peer = Bun.spawn([process.execPath, join(import.meta.dir, "peer.ts"), "--replaces"], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    });
    const { value } = await this.#peer.stdout.getReader().read();
    const ports = JSON.parse(new TextDecoder().decode(value)) as { fixPort: number; httpPort: number };
    this.port = ports.fixPort;
    this.#http = ports.httpPort;
  }

  async peer(): Promise<PeerState> {
    return (await (await fetch(`http://127.0.0.1:${this.#http}/`)).json()) as PeerState;
  }

  async trade(): Promise<boolean> {
    const response = await fetch(`http://127.0.0.1:${this.#http}/trade`, { method: "POST" });
    return ((await response.json()) as { done: boolean }).done;
  }

  stop(): void {
    this.#peer?.kill("SIGKILL");
  }
}

/** Who asks for blocks at the simulated Deribit. */
export const TAKER = { id: "taker", secret: "takes" } as const;

/** The simulated Deribit, by whose API both processes trade one account. */
export class DeribitPeer implements PairCounterparty {
  readonly wire = new VenueWire();
  readonly #simulation: Simulation;
  readonly #secretFile: string;
  #traded = 0;

  /** The simulation trades for {@link SIMULATED_KEY} and {@link TAKER}. */
  constructor(simulation: Simulation, folder: string) {
    this.#simulation = simulation;
    this.#secretFile = join(folder, "deribit-secret");
    writeFileSync(this.#secretFile, SIMULATED_KEY.secret);
  }

  get port(): number {
    return Number(new URL(this.#simulation.deribit.server.url).port);
  }

  environment(hostname: string, port: number): Record<string, string> {
    return {
      KEEL_GATEWAY: "deribit",
      KEEL_DERIBIT_URL: `ws://${hostname}:${port}/ws/api/v2`,
      KEEL_DERIBIT_CLIENT_ID: SIMULATED_KEY.id,
      KEEL_DERIBIT_CLIENT_SECRET_FILE: this.#secretFile,
      KEEL_DERIBIT_MMP_QUANTITY: "400",
      KEEL_DERIBIT_MMP_DELTA: "300",
    };
  }

  async start(): Promise<void> {}

  async peer(): Promise<PeerState> {
    const account = this.#account;
    const open = account.openOrders();
    const terms = open.map(({ quoteId }) => Number(quoteId.split("-")[0]));
    const present = Math.max(0, ...terms);
    return {
      standing: open.length,
      orphans: terms.filter((term) => term < present).length,
      established: true,
      executions: account.trades.length,
      positions: Object.fromEntries(
        [...account.positions.values()].map(({ instrument, lots }) => [
          `deribit:${instrument.symbol}`,
          instrument.kind === "option" ? lots / 10 : lots,
        ]),
      ),
    };
  }

  async trade(): Promise<boolean> {
    const { exchange } = this.#simulation.deribit.trading;
    const options = this.#account.openOrders().filter(({ instrument }) => instrument.kind === "option");
    const order = options[(this.#traded * 7) % Math.max(1, options.length)];
    if (order === undefined) return false;
    this.#traded += 1;
    return exchange.hit(order.instrument.symbol, order.side, 1) > 0;
  }

  /** The taker asks for a block of an option whose delta is neither small nor large. @returns the request's id */
  askBlock(): number {
    const { blockRfqs } = this.#simulation.deribit.trading;
    const { chain, marks } = this.#simulation.market.options;
    blockRfqs.graceMs = 0;
    const near = chain.find((_, number) => Math.abs(Math.abs(marks[number].delta) - 0.45) < 0.15);
    const legs = [{ instrument_name: near?.symbol, direction: "buy", amount: 1 }];
    const answer = blockRfqs.call(this.#accountOf(TAKER.id), "private/create_block_rfq", { legs });
    if (answer === null || !("result" in answer)) throw new Error(JSON.stringify(answer));
    return Number((answer.result as { block_rfq_id: number }).block_rfq_id);
  }

  /** Ids of the quotes that stand for a block. */
  blockQuotes(request: number): number[] {
    const open = this.#simulation.deribit.trading.blockRfqs.open(this.#account);
    return open.filter(({ rfq }) => rfq.id === request).map(({ id }) => id);
  }

  /** The taker buys the block. @returns false where no quote stands that it could buy from */
  takeBlock(request: number): boolean {
    const terms = { block_rfq_id: request, direction: "buy", amount: 1, price: 10 };
    const { blockRfqs } = this.#simulation.deribit.trading;
    const answer = blockRfqs.call(this.#accountOf(TAKER.id), "private/accept_block_rfq", terms);
    return answer !== null && "result" in answer;
  }

  stop(): void {}

  get #account(): SimAccount {
    return this.#accountOf(SIMULATED_KEY.id);
  }

  #accountOf(id: string): SimAccount {
    const account = this.#simulation.deribit.trading.accounts.get(id);
    if (account === undefined) throw new Error(`the simulated venue has no account ${id}`);
    return account;
  }
}
