import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { INVERSE_OPTION } from "../../src/bench/option-table.ts";
import { EVENT, EventBatch, TICKER, TICKER_FIELDS } from "../../src/market/event-batch.ts";
import { InstrumentTable } from "../../src/market/instrument.ts";
import { DEFAULT_QUOTE_PARAMETERS } from "../../src/quote/parameters.ts";
import { QuoteBatch } from "../../src/quote/quote-batch.ts";
import { Quoter } from "../../src/quote/quoter.ts";
import { RiskGate } from "../../src/risk/gate.ts";
import { NOT_TRIPPED } from "../../src/risk/kill-switch.ts";
import { DEFAULT_RISK_LIMITS } from "../../src/risk/limits.ts";
import { sharedPath, skipUnlessShared } from "../support/shared-data.ts";

const CHAIN = "data/chains/deribit_options_snapshot_20260820T035420Z.csv.gz";
const TICK = 1e-4;

test.skipIf(skipUnlessShared(CHAIN))(
  "a real chain is quoted around its marks, within its market, and passes the gate",
  () => {
    const text = new TextDecoder().decode(Bun.gunzipSync(readFileSync(sharedPath(CHAIN))));
    const [head, ...lines] = text.trimEnd().split("\n");
    const columns = head.split(",");
    const rows = lines
      .map((line) => line.split(","))
      .filter((cells) => cells[columns.indexOf("currency")] === "BTC");
    const nowUs = Date.parse("2026-08-20T03:54:20.661Z") * 1_000;
    const instruments = new InstrumentTable(2_048);
    const quoter = new Quoter({ capacity: 2_048, underlyings: 1, parameters: DEFAULT_QUOTE_PARAMETERS });
    const gate = new RiskGate({ instruments, limits: DEFAULT_RISK_LIMITS, kill: NOT_TRIPPED });
    const batch = new EventBatch(1, 1);
    const market: { mark: number; bid: number; ask: number }[] = [];
    quoter.onSessionUp();
    quoter.onModelStatus(0, 0);
    for (const cells of rows) {
      const cell = (column: string): string => cells[columns.indexOf(column)] ?? "";
      const instrument = instruments.add({
        ...INVERSE_OPTION,
        symbol: cell("instrument_name"),
        tickSteps: [{ fromPriceTicks: 50, multiple: 5 }],
        expiryMs: Date.parse(cell("expiry_datetime")),
        strike: Number(cell("strike")),
        optionType: cell("option_type") === "call" ? "call" : "put",
      });
      if (instrument === undefined) throw new Error("the table of instruments is full");
      const ticks = (column: string): number =>
        cell(column) === "" ? -1 : Math.round(Number(cell(column)) / TICK);
      market.push({
        mark: Number(cell("mark_price")) / TICK,
        bid: ticks("bid_price"),
        ask: ticks("ask_price"),
      });
      quoter.add(instrument, 0);
      gate.add(instrument, 0);
      quoter.onFeedState(instrument.id, true, 0);
      gate.onFeedState(instrument.id, true);
      batch.clear();
      const row = batch.begin(EVENT.ticker, instrument.id, nowUs);
      batch.values[row * TICKER_FIELDS + TICKER.markIv] = Number(cell("implied_volatility"));
      batch.values[row * TICKER_FIELDS + TICKER.underlyingPrice] = Number(cell("underlying"));
      quoter.onTicker(instrument.id, batch, row, nowUs);
      const { bid, ask } = market[instrument.id] ?? { bid: -1, ask: -1 };
      quoter.onBook(instrument.id, bid, bid < 0 ? 0 : 1, ask, ask < 0 ? 0 : 1, nowUs);
      gate.onBook(instrument.id, bid, ask);
      gate.onReference(0, Number(cell("index_price")), nowUs);
    }
    const out = new QuoteBatch(2_048);
    quoter.requoteAll(nowUs, out);
    const decided = out.count;
    gate.check(out, nowUs);
    expect(decided).toBeGreaterThan(700);
    expect(out.count).toBe(decided);
    expect(gate.refusals.every((count) => count === 0)).toBe(true);

    let aroundMark = 0;
    let oneSided = 0;
    for (let row = 0; row < out.count; row += 1) {
      const { mark, bid, ask } = market[out.instrument[row] ?? 0] ?? { mark: 0, bid: -1, ask: -1 };
      const [ourBid, ourAsk] = [out.bidTicks[row] ?? -1, out.askTicks[row] ?? -1];
      if (ourBid < mark && mark < ourAsk) aroundMark += 1;
      if (ourBid < 0) oneSided += 1;
      if (ask >= 0 && ourBid >= 0) expect(ourBid).toBeLessThan(ask);
      if (bid >= 0 && ourAsk >= 0) expect(ourAsk).toBeGreaterThan(bid);
    }
    expect(aroundMark / out.count).toBeGreaterThan(0.98);
    expect(oneSided / out.count).toBeLessThan(0.3);
  },
);
