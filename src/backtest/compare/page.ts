import type { Interval } from "../../learn/report/bootstrap.ts";
import {
  type Cell,
  type Column,
  details,
  formatNumber,
  htmlPage,
  paragraph,
  preformatted,
  section,
  table,
} from "../../learn/report/html.ts";
import { intervalPlot, linePlot, type Series } from "../../learn/report/plot.ts";
import { SOURCES } from "../../position/attribution.ts";
import { MARKOUT_MS } from "../result.ts";
import type { AsRun, LatencyCost } from "./as-run.ts";
import type { Comparison } from "./compare.ts";
import type { EqualVolume } from "./equal-volume.ts";

/** Lines of one plot; a table has them all. */
const LINES = 6;

/** A comparison as one self-contained page. */
export function comparisonPage(comparison: Comparison): string {
  const { plan, markets, blocks, walkForward, latency, equalVolume } = comparison;
  const reference = plan.variants[0]?.name ?? "";
  return htmlPage({
    title: "Strategies compared",
    lead: `${plan.recordings.length} recordings, ${markets.length} markets, ${plan.variants.length} variants, ${comparison.runs.length} runs; money in quote currency, costs in bp of the volume. Reference: ${reference}.`,
    footer: `keel ${comparison.keel}`,
    sections: [
      section(
        "At equal volume",
        paragraph(
          `Each variant at the volume that ${reference} has, market by market: it is run at ${plan.scales.length} scales of its base half-spread ` +
            "and the two neighbouring ones between which the volume lies are mixed by time. Adverse selection is what the market took back of " +
            `the spread within ${plan.horizonMs} ms of a fill; markout is what the fill was worth then less what was paid. Intervals: ${plan.level * 100} %, ` +
            `block bootstrap over ${blocks} blocks of ${plan.blockS} s, ${plan.resamples} resamples; all variants and all markets from the same blocks, ` +
            `volumes made equal in each. p after Holm over the ${plan.variants.length - 1} variants compared.`,
        ),
        equalTable(equalVolume),
        intervalPlot({
          title: `Adverse selection within ${plan.horizonMs} ms at equal volume, bp: less is better`,
          valueLabel: "bp",
          bars: equalVolume.map(({ variant, scores }) => ({ label: variant, ...scores.adverseBp })),
        }),
        intervalPlot({
          title: `Markout after ${plan.horizonMs} ms at equal volume, bp: more is better`,
          valueLabel: "bp",
          bars: equalVolume.map(({ variant, scores }) => ({ label: variant, ...scores.markoutBp })),
        }),
        intervalPlot({
          title: `Difference of the adverse selection from ${reference}, bp: below zero is better`,
          valueLabel: "bp",
          bars: equalVolume.flatMap(({ variant, differences }) =>
            differences === null ? [] : [{ label: variant, ...differences.adverseBp }],
          ),
        }),
        details(
          "Scales of the half-spread, by market",
          table(
            [{ name: "" }, ...markets.map(number)],
            equalVolume.map(({ variant, scales }) => [variant, ...scales]),
            "Mean scale that gives the volume; a dash where part of the time is not quoted",
          ),
        ),
        ...short(equalVolume),
      ),
      ...(walkForward.length === 0 ? [] : [walkForwardSection(comparison)]),
      asRunSection(comparison),
      ...(latency.length === 0 ? [] : [latencySection(latency, plan)]),
      section(
        "What was run",
        table(
          [{ name: "variant" }, { name: "strategy" }],
          plan.variants.map(({ name, spec }) => [name, spec.strategy]),
        ),
        table(
          [{ name: "recording" }],
          plan.recordings.map((paths) => [paths.join(" + ")]),
        ),
        ...comparison.problems.map((problem) => paragraph(`Note: ${problem}`)),
        details("Digests of the runs", preformatted(comparison.runs)),
      ),
    ],
  });
}

function number(name: string): Column {
  return { name, kind: "number" };
}

function equalTable(rows: readonly EqualVolume[]) {
  return table(
    [
      { name: "" },
      ...[
        "fills",
        "volume",
        "profit",
        "adverse bp",
        "less the reference",
        "p",
        "markout bp",
        "less it",
        "p",
        "spread bp",
      ].map(number),
    ],
    rows.map(({ variant, fills, volume, profit, scores, differences, pHolm, pMarkoutHolm }) => [
      variant,
      ...[Math.round(fills), Math.round(volume), Math.round(profit)],
      told(scores.adverseBp),
      differences === null ? null : told(differences.adverseBp),
      rounded(pHolm),
      told(scores.markoutBp),
      differences === null ? null : told(differences.markoutBp),
      rounded(pMarkoutHolm),
      told(scores.spreadBp),
    ]),
  );
}

/** Where a variant cannot trade as much as it was to. */
function short(rows: readonly EqualVolume[]) {
  return rows
    .filter(({ shortIn }) => shortIn.length > 0)
    .map(({ variant, shortIn }) =>
      paragraph(
        `${variant} trades less than the reference even at its nearest scale in ${shortIn.join("; ")}: there the volume is not equal.`,
      ),
    );
}

function walkForwardSection({ walkForward, folds, choose, plan, markets }: Comparison) {
  const chosenBy = choose === "adverseBp" ? "the lowest adverse selection" : "the best markout";
  return section(
    "Chosen on the past, judged on what came next",
    paragraph(
      `The time is cut into ${plan.parts} parts. Before each but the first the scale that gives the reference's volume, the parameters with ${chosenBy} ` +
        "of each strategy, and rules marked as fitted are found on all parts before it, less the last block; they then stand for the whole part. The " +
        `volume is therefore equal on the past, and what it came to is shown. A market of the ${markets.length} counts from when there is a past of it.`,
    ),
    table(
      [
        { name: "" },
        ...[
          "fills",
          "volume × reference",
          "profit",
          "adverse bp",
          "less the reference",
          "p",
          "markout bp",
          "less it",
          "p",
        ].map(number),
      ],
      walkForward.map(({ family, fills, volumeShare, profit, scores, differences, pHolm, pMarkoutHolm }) => [
        family,
        ...[Math.round(fills), rounded(volumeShare), Math.round(profit)],
        told(scores.adverseBp),
        differences === null ? null : told(differences.adverseBp),
        rounded(pHolm),
        told(scores.markoutBp),
        differences === null ? null : told(differences.markoutBp),
        rounded(pMarkoutHolm),
      ]),
    ),
    intervalPlot({
      title: "Adverse selection on what came next, bp: less is better",
      valueLabel: "bp",
      bars: walkForward.map(({ family, scores }) => ({ label: family, ...scores.adverseBp })),
    }),
    details(
      "Part by part",
      table(
        [
          { name: "" },
          { name: "tested from" },
          { name: "chosen" },
          ...["adverse bp", "markout bp", "volume"].map(number),
        ],
        walkForward.flatMap(({ family, folds: own }) =>
          own.map((fold, at): Cell[] => [
            family,
            new Date((folds[at]?.testFromUs ?? 0) / 1_000).toISOString(),
            fold?.chosen ?? "–",
            rounded(fold?.scores.adverseBp ?? null),
            rounded(fold?.scores.markoutBp ?? null),
            fold === null ? null : Math.round(fold.volume),
          ]),
        ),
      ),
    ),
  );
}

function asRunSection({ asRun, plan }: Comparison) {
  const money = (value: number): number => Math.round(value * 100) / 100;
  const sources = SOURCES.filter((source) => asRun.some((one) => one.sources[source] !== 0));
  const shown = (paths: readonly string[]): string =>
    paths.map((path) => path.split("/").at(-1) ?? path).join(" + ");
  return section(
    "As they are run",
    paragraph(
      "Each variant with its own parameters (scale 1), over all recordings. Volumes differ: these figures are not for telling which predicts better. " +
        "Sharpe ratios are of the profit of an interval, with standard errors after Lo (2002); the bar is what the best of so many variants has by luck, " +
        "and the probability that a true ratio is above it (Bailey and López de Prado 2014).",
    ),
    table(
      [
        { name: "" },
        ...[
          "profit",
          ...sources,
          "fills",
          "volume",
          "fills per quote",
          "spread bp",
          "drawdown",
          "delta at most",
          "position at most",
        ].map(number),
      ],
      asRun.map((one) => [
        one.variant,
        money(one.profit),
        ...sources.map((source) => money(one.sources[source])),
        ...[one.fills, Math.round(one.volume), rounded(one.fillRatio), rounded(one.spreadCapturedBp)],
        ...[money(one.drawdown), Math.round(one.deltaMax), Math.round(one.exposureMax)],
      ]),
      "Profit by source, fees taken off; a source that nobody has is left out. Drawdown, delta and the position in one instrument are the largest of a recording",
    ),
    table(
      [
        { name: "" },
        ...[
          "Sharpe",
          "standard error",
          "bar",
          "probability",
          "intervals",
          "quotes",
          "quotes/s",
          "flickers",
        ].map(number),
        ...["life ms", "distance bp", "at best", "stopped"].map(number),
      ],
      asRun.map(({ variant, sharpe, deflated, stability, killed }) => [
        variant,
        ...[rounded(sharpe.value), rounded(sharpe.standardError), rounded(deflated.bar)],
        ...[
          rounded(deflated.probability),
          sharpe.intervals,
          stability.quotes,
          rounded(stability.quotesPerSecond),
        ],
        ...[stability.flickers, rounded(stability.lifeMeanMs), rounded(stability.distanceBp)],
        ...[rounded(stability.timeAtBestShare), killed],
      ]),
      "Sharpe ratios and the steadiness of quotes",
    ),
    linePlot({
      title: "Where the market went after fills: markout, bp",
      xLabel: "time after the fill",
      yLabel: "bp",
      xScale: "log",
      xTicks: MARKOUT_MS.map((ms) => [ms, ms < 1_000 ? `${ms} ms` : `${ms / 1_000} s`]),
      series: asRun.slice(0, LINES).map(({ variant, markoutBp }) => ({
        name: variant,
        points: markoutBp.map((value, at) => ({ x: MARKOUT_MS[at] ?? 1, value: value ?? Number.NaN })),
      })),
    }),
    ...plan.recordings.flatMap((paths, recording) => [
      linePlot({
        title: `Profit, ${shown(paths)}`,
        ...{ xLabel: "seconds", yLabel: "quote currency" },
        series: asRun.slice(0, LINES).map((one) => courseOf(one, recording, "profit")),
      }),
      linePlot({
        title: `Inventory: net delta, ${shown(paths)}`,
        ...{ xLabel: "seconds", yLabel: "notional, thousands" },
        series: asRun.slice(0, LINES).map((one) => courseOf(one, recording, "delta")),
      }),
    ]),
  );
}

function courseOf({ variant, course }: AsRun, recording: number, of: "profit" | "delta"): Series {
  const own = course.find((one) => one.recording === recording);
  return {
    name: variant,
    points: (own?.points ?? []).map(({ seconds, profit, delta }) => ({
      x: seconds,
      value: of === "profit" ? profit : delta / 1_000,
    })),
  };
}

function latencySection(latency: readonly LatencyCost[], { horizonMs, variants }: Comparison["plan"]) {
  const feedUs = variants[0]?.spec.latency.feed ?? "measured";
  const feed = feedUs === "measured" ? "as long as it did in the recording" : `${feedUs} µs`;
  const series = (of: (point: LatencyCost["points"][number]) => number | null): Series[] =>
    latency.slice(0, LINES).map(({ variant, points }) => ({
      name: variant,
      points: points.map((point) => ({ x: Math.max(point.latencyUs, 10), value: of(point) ?? Number.NaN })),
    }));
  const ticks = (latency[0]?.points ?? []).map(({ latencyUs }): [number, string] => [
    Math.max(latencyUs, 10),
    latencyUs < 1_000 ? `${latencyUs}` : `${latencyUs / 1_000}k`,
  ]);
  return section(
    "What latency costs",
    paragraph(
      `The same runs with orders and answers under way for so long each, without jitter. Market data takes ${feed}. Volumes differ.`,
    ),
    linePlot({
      ...{ title: `Markout after ${horizonMs} ms, bp`, xLabel: "order latency, µs", yLabel: "bp" },
      ...{ xScale: "log", xTicks: ticks, series: series(({ markoutBp }) => markoutBp) },
    }),
    linePlot({
      ...{ title: "Profit", xLabel: "order latency, µs", yLabel: "quote currency" },
      ...{ xScale: "log", xTicks: ticks, series: series(({ profit }) => profit) },
    }),
    table(
      [{ name: "" }, ...["latency µs", "profit", "fills", "volume", "adverse bp", "markout bp"].map(number)],
      latency.flatMap(({ variant, points }) =>
        points.map(({ latencyUs, profit, fills, volume, adverseBp, markoutBp }): Cell[] => [
          variant,
          ...[
            latencyUs,
            Math.round(profit),
            fills,
            Math.round(volume),
            rounded(adverseBp),
            rounded(markoutBp),
          ],
        ]),
      ),
    ),
  );
}

function rounded(value: number | null): number | null {
  return value === null || !Number.isFinite(value) ? null : Number(value.toPrecision(3));
}

function told({ value, low, high }: Interval): string {
  const shown = formatNumber(rounded(value));
  return Number.isFinite(low + high)
    ? `${shown} (${formatNumber(rounded(low))} … ${formatNumber(rounded(high))})`
    : shown;
}
