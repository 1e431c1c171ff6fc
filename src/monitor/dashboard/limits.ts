import type { Desk } from "../../desk/desk.ts";
import { GREEK_NAMES, GREEKS } from "../../risk/valuation.ts";
import type { LimitUse } from "./protocol.ts";

const UNITS = ["quote currency", "per 1 %", "per vol point", "per day"] as const;

/** How much of each limit on positions, Greeks, stress and loss is used; the fullest first. */
export function limitUses(desk: Desk): LimitUse[] {
  const { gate, book, market } = desk;
  const { positions, limits } = gate;
  const uses: LimitUse[] = [];
  const use = (name: string, of: string, used: number, limit: number, unit: string): void => {
    uses.push({ name, of, used, limit, unit });
  };
  const net = [limits.maxDeltaNotional, limits.maxGamma, limits.maxVega, limits.maxTheta];
  const gross = [
    ...[limits.maxGrossDeltaNotional, limits.maxGrossGamma],
    ...[limits.maxGrossVega, limits.maxGrossTheta],
  ];
  const totalNet = [
    ...[limits.maxTotalDeltaNotional, limits.maxTotalGamma],
    ...[limits.maxTotalVega, limits.maxTotalTheta],
  ];
  const totalGross = [
    ...[limits.maxTotalGrossDeltaNotional, limits.maxTotalGrossGamma],
    ...[limits.maxTotalGrossVega, limits.maxTotalGrossTheta],
  ];
  for (const underlying of positions.underlyings) {
    positions.refresh(underlying);
    const base = market.underlyings.base(underlying);
    for (const [greek, name] of GREEK_NAMES.entries()) {
      const at = underlying * GREEKS + greek;
      use(`net ${name}`, base, Math.abs(positions.net[at]), net[greek], UNITS[greek]);
      use(`gross ${name}`, base, positions.gross[at], gross[greek], UNITS[greek]);
    }
    use("stress loss", base, positions.worstLoss[underlying], limits.maxStressLoss, UNITS[0]);
  }
  for (const [greek, name] of GREEK_NAMES.entries()) {
    use(`net ${name}`, "all", positions.totalNet[greek], totalNet[greek], UNITS[greek]);
    use(`gross ${name}`, "all", positions.totalGross[greek], totalGross[greek], UNITS[greek]);
  }
  use("stress loss", "all", positions.totalWorstLoss, limits.maxTotalStressLoss, UNITS[0]);
  use("gross notional", "all", positions.grossNotional(), limits.maxGrossNotional, UNITS[0]);
  use("loss", "all", Math.max(-book.dayProfit, 0), limits.maxLoss, UNITS[0]);
  use("drawdown", "all", Math.max(book.dayPeak - book.dayProfit, 0), limits.maxDrawdown, UNITS[0]);
  use("open orders", "all", gate.orders.count, limits.maxOpenOrders, "orders");
  largestPosition(desk, use);
  const share = ({ used, limit }: LimitUse): number => (limit > 0 ? used / limit : used > 0 ? Infinity : 0);
  return uses.sort((a, b) => share(b) - share(a));
}

function largestPosition(
  { gate, market }: Desk,
  use: (name: string, of: string, used: number, limit: number, unit: string) => void,
): void {
  const { positions, limits } = gate;
  let largest = -1;
  let notional = 0;
  for (let place = 0; place < positions.heldCount; place += 1) {
    const id = positions.heldAt(place);
    const of = Math.abs(
      positions.lots(id) * positions.notionalPerLot(id, gate.price(market.underlyingOf(id))),
    );
    if (!(of > notional)) continue;
    notional = of;
    largest = id;
  }
  const symbol = largest < 0 ? "none held" : market.instruments.get(largest).symbol;
  use("position", symbol, notional, limits.maxPositionNotional, UNITS[0]);
}
