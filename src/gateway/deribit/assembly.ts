import type { ReconciliationSource } from "../../risk/reconciliation.ts";
import { ordersOf, quotesOf, readOpenOrders, readPositions } from "./account.ts";
import { BlockRfqs } from "./block-rfqs.ts";
import { Cancellations } from "./cancellations.ts";
import { RequestBudget } from "./credits.ts";
import { Fills } from "./fills.ts";
import type { DeribitGatewayCounters, DeribitGatewayOptions } from "./gateway-options.ts";
import type { JsonRecord } from "./json.ts";
import { settlementOf } from "./logon.ts";
import { MassQuotes } from "./mass-quotes.ts";
import { Opening } from "./opening.ts";
import { OrderQuotes } from "./order-quotes.ts";
import { DeribitOrders } from "./orders.ts";
import { Protection } from "./protection.ts";
import type { QuoteWriter, QuoteWriterHost } from "./quote-writer.ts";
import { RpcClient, type RpcClientEvents } from "./rpc-client.ts";
import type { Term } from "./term.ts";

export interface GatewayParts {
  readonly client: RpcClient;
  readonly orders: DeribitOrders;
  readonly blockRfqs: BlockRfqs | null;
  readonly writer: QuoteWriter;
  readonly cancellations: Cancellations;
  readonly protection: Protection;
  readonly fills: Fills;
  readonly opening: Opening;
  readonly reconciliation: ReconciliationSource;
}

/** Makes the parts of a gateway and lets them know of each other. */
export function assemble(
  options: DeribitGatewayOptions,
  host: QuoteWriterHost & RpcClientEvents,
  around: {
    readonly counters: DeribitGatewayCounters;
    readonly term: Term;
    readonly up: () => boolean;
    readonly onPortfolio: (value: unknown) => void;
  },
): GatewayParts {
  const { instruments, clock, indexes, onRfq, name } = options;
  const { counters, term, up, onPortfolio } = around;
  const budget = new RequestBudget(options.budget);
  const onProblem = (text: string, timeUs: number): void => host.onProblem(text, timeUs);
  const onTrade = (trade: JsonRecord, timeUs: number): void => host.onTrade(trade, timeUs);
  const events = () => host.events;
  const client = new RpcClient(
    {
      ...options,
      budget,
      reconnectFirstMs: options.reconnectFirstMs ?? 250,
      reconnectCapMs: options.reconnectCapMs ?? 30_000,
      mayChange: () => term.permits(),
    },
    host,
  );
  const orders = new DeribitOrders({
    ...{ instruments, clock, term, client, events, onTrade, onProblem },
    labelPrefix: `${name}-`,
  });
  const blockRfqs =
    onRfq === undefined
      ? null
      : new BlockRfqs({
          ...{ instruments, clock, client, onInput: onRfq, onProblem },
          labelPrefix: () => `${name}r-${term.prefix}`,
          currencies: [...new Set(indexes.map((index) => settlementOf(index)))],
        });
  const writing = { instruments, client, budget, term, host } as const;
  const writer =
    options.quoting === "mass"
      ? new MassQuotes({
          ...writing,
          levels: options.levels,
          groupOf: (index, level) => protection.groupOf(index, level),
        })
      : new OrderQuotes({ ...writing, labelPrefix: `${name}q-`, mmp: options.mmp !== null });
  const cancellations = new Cancellations({
    ...{ client, clock, counters, writer, up, onProblem },
    quotesOnly: options.quoting === "mass",
    epoch: () => host.epoch,
  });
  const protection = new Protection({
    ...{ indexes, name, limits: options.mmp, counters, blockRfqs, writer, events, up },
    levels: options.quoting === "mass" ? options.levels : 0,
  });
  const fills = new Fills({
    ...{ blockRfqs, instruments, counters, writer, events, onProblem },
    orderIdOf: (label) => orders.orderIdOf(label),
    quoteLabelPrefix: `${name}q-`,
  });
  const opening = new Opening({
    ...{ clock, budget, term, indexes, cancelOnDisconnect: options.cancelOnDisconnect },
    ...{ blockRfqs, protection, fills, onPortfolio },
  });
  const ask = (method: string, params: JsonRecord): Promise<unknown> =>
    client.call(method, params, clock.wallUs());
  const open = async () => readOpenOrders(await ask("private/get_open_orders", {}));
  const reconciliation: ReconciliationSource = {
    positions: async () =>
      readPositions(await ask("private/get_positions", { currency: "any" }), instruments),
    openOrders: async () => ordersOf(await open(), (label) => orders.orderIdOf(label), instruments),
    quotes: async () => quotesOf(await open(), instruments),
  };
  return { client, orders, blockRfqs, writer, cancellations, protection, fills, opening, reconciliation };
}
