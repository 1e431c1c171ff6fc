import { stepsToDecimal } from "../core/decimal.ts";
import type { StreamRecord, StreamSnapshot } from "../failover/stream.ts";
import { FixQuoteGateway } from "../gateway/fix/quote-gateway.ts";
import type { ExecutionDetail } from "../gateway/gateway.ts";
import type { LiveDesk } from "./live-desk.ts";

/** What the desk holds, as one that stands by has to know it. */
export function snapshotOf(live: LiveDesk): StreamSnapshot {
  const { desk, gateway } = live;
  const { booked } = gateway;
  const store = gateway instanceof FixQuoteGateway ? gateway.session.store : null;
  return {
    books: desk.book.snapshot(),
    positions: [...positionsOf(live), ...waitingOf(live)],
    kill: desk.gate.kill.state,
    reducing: desk.gate.reducing,
    sides: live.sides,
    session:
      store === null
        ? null
        : {
            nextIncoming: store.nextIncoming,
            startedUs: Number.isNaN(store.startedUs) ? null : store.startedUs,
          },
    ...(booked === undefined ? {} : { trades: { ...booked, keys: [...booked.keys] } }),
  };
}

/** Positions that are not flat, with the average prices that the books give them. */
export function positionsOf({ desk }: LiveDesk): StreamSnapshot["positions"] {
  const { instruments } = desk.market;
  const positions: StreamSnapshot["positions"] = [];
  for (const { id, venue, symbol, lot } of instruments.all()) {
    const lots = desk.gate.positionLots(id);
    if (lots !== 0) positions.push({ venue, symbol, size: stepsToDecimal(lots, lot), averagePrice: null });
  }
  const averages = new Map(desk.book.view().map((view) => [`${view.venue}:${view.symbol}`, view.average]));
  return positions.map((position) => ({
    ...position,
    averagePrice: averages.get(`${position.venue}:${position.symbol}`) ?? null,
  }));
}

/** Positions in instruments that are not described here yet; what the books opened with in others stands in the books alone, in lots. */
function waitingOf({ desk }: LiveDesk): StreamSnapshot["positions"] {
  return desk.waitingPositions
    .filter(({ lots }) => lots === undefined)
    .map(({ venue, symbol, size, averagePrice }) => ({ venue, symbol, size, averagePrice }));
}

/** The state of the leader's session, as the records that lead to it. */
export function sessionRecords({ session }: StreamSnapshot): StreamRecord[] {
  if (session === null) return [];
  const { startedUs, nextIncoming } = session;
  const incoming = { what: "session", word: { said: "incoming", next: nextIncoming } } as const;
  if (startedUs === null) return [incoming];
  return [{ what: "session", word: { said: "reset", timeUs: startedUs } }, incoming];
}

/** What a fill is told as. */
export function fillRecord(
  { desk }: LiveDesk,
  executionId: string,
  instrument: number,
  side: number,
  priceTicks: number,
  sizeLots: number,
  detail: ExecutionDetail,
): StreamRecord {
  const { venue, symbol } = desk.market.instruments.get(instrument);
  const fill = { executionId, venue, symbol, side: side === 0 ? 0 : 1, priceTicks, sizeLots } as const;
  // Which answer was taken says something to the process that gave it only.
  const { rfqQuoteId: _, ...told } = detail;
  return { what: "fill", ...fill, detail: told };
}
