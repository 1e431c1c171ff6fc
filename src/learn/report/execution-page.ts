import { HEADS } from "../../inference/card.ts";
import type { Interval } from "./bootstrap.ts";
import type { ExecutionReport, GroupReport, ModelReport } from "./execution.ts";
import {
  type Column,
  details,
  formatNumber,
  type Html,
  htmlPage,
  paragraph,
  preformatted,
  section,
  table,
} from "./html.ts";
import { barPlot, intervalPlot, linePlot, type Series } from "./plot.ts";
import type { SaidProbabilities, WorstTrade } from "./worst-trade.ts";

/** Groups in one plot and in the table that is not folded away; both tables together have them all. */
const PLOTTED = 12;
const LINES = 6;

/** A day's execution quality as one self-contained page. @param made what made it, e.g. `keel 0.1.0` */
export function executionPage(report: ExecutionReport, made: string): string {
  const { all, value, quotes, orders } = report;
  const ratio = (share: number | null): string => (share === null ? "–" : `${(share * 100).toFixed(2)} %`);
  const { blockUs, resamples, level } = report.bootstrap;
  const intervals = `Intervals: ${level * 100} %, block bootstrap, blocks of ${blockUs / 1e6} s, ${resamples} resamples.`;
  const { withModel, sameFillsStatic, kept, difference, unfilled } = value;
  return htmlPage({
    title: `Execution quality, ${report.day}`,
    lead: `UTC day; money in quote currency; bp of the money that changed hands. ${intervals}`,
    footer: made,
    sections: [
      section(
        "The day",
        table(
          [{ name: "" }, { name: "value", kind: "number" }],
          [
            ["fills of quotes", all.fills],
            ["turnover", all.turnover],
            ["captured (half of the effective spread)", all.captured],
            ...report.horizons.map((name, at): [string, number] => [
              `markout after ${name}${all.known[at] === all.fills ? "" : `, of ${all.known[at]} fills`}`,
              all.markout[at] ?? 0,
            ]),
            ["slippage of our orders (a cost)", orders.slippage],
            ["quotes", quotes.count],
            ["mean life of a quote, ms", quotes.meanLifeMs],
            ["lived less than 100 ms", ratio(quotes.brief)],
            ["widened by the model", ratio(quotes.widened)],
            ["bid no worse than the book's best", ratio(quotes.bidAtBest)],
            ["ask no worse than the book's best", ratio(quotes.askAtBest)],
          ],
        ),
        linePlot({
          title: "Where the market went after our fills: markout, bp",
          xLabel: "time after the fill",
          yLabel: "bp",
          xScale: "log",
          xTicks: report.horizons.map((name, at) => [report.horizonsMs[at] ?? 1, name]),
          series: [
            curve(all, report.horizonsMs, "fills of quotes"),
            curve(orders, report.horizonsMs, "our orders"),
          ].filter(({ points }) => points.length > 0),
        }),
      ),
      section(
        "With and without the model",
        paragraph(
          `Estimated over ${value.horizon} after each fill. Without the model's terms quotes would have stood nearer and larger: the same ` +
            "fills would have been worth less or more, and others would have been had. The market is taken to have gone the same way.",
        ),
        table(
          [{ name: "" }, { name: "fills", kind: "number" }, { name: "money", kind: "number" }],
          [
            [
              "markout of the quotes' fills as they were",
              all.known[report.horizons.indexOf(value.horizon)] ?? null,
              withModel,
            ],
            ["the same fills without the model's terms", null, sameFillsStatic],
            ["fills avoided: losses kept away", unfilled.avoided, unfilled.avoidedLoss],
            ["fills missed: profits forgone", unfilled.missed, -unfilled.missedProfit],
            ["with − without", null, difference.value],
          ],
        ),
        intervalPlot({
          title: "What the model was worth",
          valueLabel: "quote currency",
          bars: [
            { label: "better fills", value: withModel - sameFillsStatic },
            { label: "fills kept away", value: kept },
            { label: "with − without", ...difference },
          ],
        }),
      ),
      groupSection("Counterparties", report.counterparties, report),
      groupSection("Model versions", report.models, report, modelTable(report)),
      groupSection("Instruments", report.instruments, report),
      section("Predictions", ...predictions(report)),
      section(
        "Worst trades",
        paragraph(
          `By the markout after ${value.horizon}, or the longest before it that is known, the lowest first; with the quote that was hit as it was sent, and what the model said then and at the fill.`,
        ),
        ...report.worst.map((trade) => worst(trade, report.horizons)),
      ),
    ],
  });
}

function groupSection(
  heading: string,
  groups: readonly GroupReport[],
  report: ExecutionReport,
  ...more: readonly Html[]
) {
  const judged = report.horizons.indexOf(report.value.horizon);
  const columns: Column[] = [
    { name: "" },
    ...[
      "fills",
      "turnover",
      "captured",
      "captured bp",
      ...report.horizons.map((name) => `markout ${name} bp`),
    ].map((name): Column => ({ name, kind: "number" })),
  ];
  const rows = groups.map(({ name, fills, turnover, captured, capturedBp, markoutBp }) => [
    name,
    fills,
    turnover,
    captured,
    withInterval(capturedBp),
    ...markoutBp.map(withInterval),
  ]);
  return section(
    heading,
    table(columns, rows.slice(0, PLOTTED)),
    ...(rows.length > PLOTTED
      ? [details(`The other ${rows.length - PLOTTED}, by turnover`, table(columns, rows.slice(PLOTTED)))]
      : []),
    ...more,
    intervalPlot({
      title: `Markout after ${report.value.horizon}, bp`,
      valueLabel: "bp",
      bars: groups
        .slice(0, PLOTTED)
        .map(({ name, markoutBp }) => ({ label: name, ...(markoutBp[judged] ?? NONE) })),
    }),
    linePlot({
      title: "Markout by time after the fill, bp",
      xLabel: "time after the fill",
      yLabel: "bp",
      xScale: "log",
      xTicks: report.horizons.map((name, at) => [report.horizonsMs[at] ?? 1, name]),
      series: groups.slice(0, LINES).map((group) => curve(group, report.horizonsMs, group.name)),
    }),
  );
}

/** What else is told of each model: its predictions and quotes, and what its terms were worth. */
function modelTable({ models, heads, value }: ExecutionReport): Html {
  const known = Object.keys(heads).filter((head) => heads[head]?.rows !== 0);
  const number = (name: string): Column => ({ name, kind: "number" });
  const row = (model: ModelReport): (string | number | null)[] => [
    model.name,
    model.predictions,
    ...known.map((head) => model.heads[head]?.brier ?? null),
    model.quotes.count,
    model.quotes.meanLifeMs,
    model.value.unfilled.avoided,
    model.value.unfilled.missed,
    withInterval(model.value.difference),
  ];
  return table(
    [
      { name: "" },
      ...["labelled predictions", ...known.map((head) => `Brier ${head}`), "quotes", "mean life, ms"].map(
        number,
      ),
      ...["fills avoided", "fills missed", `with − without, ${value.horizon}`].map(number),
    ],
    models.map(row),
  );
}

const NONE: Interval = { value: Number.NaN, low: Number.NaN, high: Number.NaN };

function curve({ markoutBp, fills }: GroupReport, horizonsMs: readonly number[], name: string): Series {
  return {
    name,
    points: fills === 0 ? [] : markoutBp.map((interval, at) => ({ x: horizonsMs[at] ?? 1, ...interval })),
  };
}

function predictions(report: ExecutionReport): Html[] {
  const heads = Object.entries(report.heads).filter(([, { rows }]) => rows > 0);
  const number = (name: string): Column => ({ name, kind: "number" });
  return [
    table(
      [
        { name: "head" },
        ...["labelled", "base rate", "Brier", "log loss", "AUC", "calibration error"].map(number),
      ],
      heads.map(([name, of]) => [
        name,
        of.rows,
        of.baseRate,
        of.brier,
        of.logLoss,
        of.auc,
        of.calibrationError,
      ]),
    ),
    linePlot({
      title: "Calibration: how often what was predicted came",
      xLabel: "predicted probability",
      yLabel: "share that came",
      series: heads.slice(0, LINES + 1).map(([name, { bins }]) => ({
        name,
        points: bins.flatMap(({ predicted, came }) =>
          predicted === null || came === null ? [] : [{ x: predicted, value: came }],
        ),
      })),
    }),
    barPlot({
      title: "Base rates",
      valueLabel: "share of labelled predictions",
      bars: heads.map(([label, { baseRate }]) => ({ label, value: baseRate ?? Number.NaN })),
    }),
  ];
}

function worst(trade: WorstTrade, horizons: readonly string[]): Html {
  const { quote } = trade;
  const when = new Date(trade.timeUs / 1_000).toISOString();
  const shown = trade.markout.map((value, at) => `${horizons[at]} ${formatNumber(value)}`).join(", ");
  const whom = trade.counterparty === "" ? "" : ` with ${trade.counterparty}`;
  const head = `${when}: ${trade.side} ${trade.size} ${trade.instrument} at ${trade.price}${whom} (${trade.source}), markout ${shown}`;
  if (quote === null) {
    const { answer } = trade;
    const age = answer?.ageMs == null ? "of an age that is not known" : `${answer.ageMs.toFixed(3)} ms old`;
    const what =
      answer === null
        ? "It was no quote's, or it is not known which."
        : `Answer ${answer.rfqQuoteId}, ${age}.`;
    return details(head, paragraph(`${trade.model}. ${what}`), ...said(trade));
  }
  const { greeks, sizes } = quote;
  return details(
    head,
    preformatted([
      `quote ${quote.quoteId}, level ${quote.level + 1}, ${quote.ageMs.toFixed(3)} ms old, ${trade.model}`,
      `fair ${formatNumber(quote.fair)}, without the model's terms ${formatNumber(quote.staticPrice)}, widened by ${formatNumber(quote.widenBp)} bp, size × ${formatNumber(quote.sizeFactor)}`,
      `forward ${formatNumber(greeks.forward)}, iv ${formatNumber(greeks.impliedVolatility)}, delta ${formatNumber(greeks.delta)}, gamma ${formatNumber(greeks.gamma)}, vega ${formatNumber(greeks.vega)}`,
      `sizes as sent, of full size: bid × ${formatNumber(sizes.bid)}, ask × ${formatNumber(sizes.ask)}`,
      `captured ${formatNumber(trade.captured)}, slippage ${formatNumber(trade.slippage)}; reasons: ${quote.reasons.join(", ")}`,
    ]),
    table(
      [{ name: "term" }, { name: "bid", kind: "number" }, { name: "ask", kind: "number" }, { name: "why" }],
      quote.terms.map(({ term, bid, ask, why }) => [term, bid, ask, why]),
    ),
    ...said(trade),
  );
}

/** What the model said when what was filled was sent, and at the fill. */
function said({ said: { sent, filled }, model }: WorstTrade): Html[] {
  if (sent === null && filled === null)
    return [paragraph("No prediction was in force, or it is not known what it was.")];
  const age = (of: SaidProbabilities | null): string =>
    of === null ? "" : `, from features ${of.ageMs.toFixed(3)} ms old`;
  const heads = HEADS.filter(
    (name) => sent?.probabilities[name] !== undefined || filled?.probabilities[name] !== undefined,
  );
  return [
    table(
      [
        { name: `${model} said` },
        { name: `when it was sent${age(sent)}`, kind: "number" },
        { name: `at the fill${age(filled)}`, kind: "number" },
      ],
      heads.map((name) => [name, rounded(sent?.probabilities[name]), rounded(filled?.probabilities[name])]),
    ),
  ];
}

function rounded(probability: number | undefined): number | null {
  return probability === undefined ? null : Number(probability.toFixed(4));
}

/** As `value (low … high)`; the value alone where there is no interval. */
export function withInterval({ value, low, high }: Interval): string {
  const shown = formatNumber(Number(value.toPrecision(4)));
  if (!Number.isFinite(low + high)) return shown;
  return `${shown} (${formatNumber(Number(low.toPrecision(3)))} … ${formatNumber(Number(high.toPrecision(3)))})`;
}
