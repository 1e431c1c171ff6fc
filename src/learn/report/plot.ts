/**
 * Plots as inline SVG, each in a figure with its caption and its numbers as a table. See `html.ts` for the page around them.
 *
 * @module
 */
import { details, escapeHtml, formatNumber, type Html, table } from "./html.ts";

/** A value and, where there is one, its interval. */
export interface Estimate {
  readonly value: number;
  readonly low?: number;
  readonly high?: number;
}

export interface LinePoint extends Estimate {
  readonly x: number;
}

export interface Series {
  readonly name: string;
  /** In order of x; points that are not finite interrupt the line. */
  readonly points: readonly LinePoint[];
}

export interface LinePlot {
  /** What the plot shows, with the unit of y. */
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly Series[];
  /** `log` needs every x > 0. Default `linear`. */
  readonly xScale?: "linear" | "log";
  /** Where x has ticks, and their text; left out, round numbers. */
  readonly xTicks?: readonly (readonly [x: number, text: string])[];
}

export interface LabelledEstimate extends Estimate {
  readonly label: string;
}

export interface BarPlot {
  readonly title: string;
  /** What the values are, with their unit. */
  readonly valueLabel: string;
  readonly bars: readonly LabelledEstimate[];
}

const WIDTH = 760;
const HEIGHT = 300;
const LEFT = 80;
const RIGHT = 16;
const TOP = 14;
const BOTTOM = 52;
const COLOURS = 6;
const DASHES = ["", "7 4", "2 3", "9 3 2 3", "4 2", "12 4"];
const ROW_HEIGHT = 26;
const LABEL_WIDTH = 220;
/** Larger numbers leave no room to compute with, and are treated as missing. */
const VALUE_MAX = 1e300;
/** Values closer together are shown as one. */
const RANGE_MIN = 1e-290;
/** Characters of a label that fit in its column. */
const LABEL_MAX = 27;

/** Lines over a common x, with shaded intervals where points have them. */
export function linePlot(plot: LinePlot): Html {
  const { title, xLabel, yLabel, series, xScale = "linear" } = plot;
  const points = series.flatMap((one) => one.points);
  const xs = points.map(({ x }) => x).filter((x) => shown(x) && (xScale === "linear" || x > 0));
  const ys = points.flatMap(ends).filter(shown);
  const rows = series.flatMap((one) =>
    one.points.map(({ x, value, low, high }) => [one.name, x, value, low ?? null, high ?? null]),
  );
  const numbers = table(
    [
      { name: "series" },
      ...[xLabel, yLabel, "low", "high"].map((name) => ({ name, kind: "number" as const })),
    ],
    rows,
    title,
  );
  if (xs.length === 0 || ys.length === 0) return figure(title, nothing(title), numbers);
  const xAxis = axis(Math.min(...xs), Math.max(...xs), xScale);
  const yAxis = axis(Math.min(...ys), Math.max(...ys), "linear");
  const toX = (x: number): number => LEFT + xAxis.at(x) * (WIDTH - LEFT - RIGHT);
  const toY = (y: number): number => HEIGHT - BOTTOM - yAxis.at(y) * (HEIGHT - TOP - BOTTOM);
  const xTicks = plot.xTicks ?? xAxis.ticks.map((x) => [x, formatNumber(x)] as const);
  const parts = [
    ...yAxis.ticks.map(
      (y) =>
        `<line class="${y === 0 ? "axis" : "grid"}" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${px(toY(y))}" y2="${px(toY(y))}"/>` +
        `<text x="${LEFT - 8}" y="${px(toY(y) + 4)}" text-anchor="end">${formatNumber(y)}</text>`,
    ),
    ...xTicks.map(
      ([x, text]) =>
        `<line class="axis" x1="${px(toX(x))}" x2="${px(toX(x))}" y1="${HEIGHT - BOTTOM}" y2="${HEIGHT - BOTTOM + 4}"/>` +
        `<text x="${px(toX(x))}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${escapeHtml(text)}</text>`,
    ),
    `<line class="axis" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${HEIGHT - BOTTOM}" y2="${HEIGHT - BOTTOM}"/>`,
    ...series.map((one, at) => band(one, at, toX, toY) + line(one, at, toX, toY)),
    `<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 12}" text-anchor="middle">${escapeHtml(xLabel)}</text>`,
    `<text transform="translate(14 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">${escapeHtml(yLabel)}</text>`,
  ];
  const legendHeight = series.length * 18;
  const legend = series.map((one, at) => {
    const y = HEIGHT + at * 18 + 8;
    return (
      `<line class="s stroke${at % COLOURS}" ${dash(at)} x1="${LEFT}" x2="${LEFT + 30}" y1="${y}" y2="${y}"/>` +
      `<text x="${LEFT + 38}" y="${y + 4}">${escapeHtml(one.name)}</text>`
    );
  });
  return figure(title, svg(title, HEIGHT + legendHeight, [...parts, ...legend]), numbers);
}

/** Horizontal bars from zero, with whiskers where they have intervals. */
export function barPlot({ title, valueLabel, bars }: BarPlot): Html {
  return rowPlot(title, valueLabel, bars, true);
}

/** A point and its interval in each row, with a line at zero: estimates beside each other. */
export function intervalPlot({ title, valueLabel, bars }: BarPlot): Html {
  return rowPlot(title, valueLabel, bars, false);
}

function rowPlot(
  title: string,
  valueLabel: string,
  rows: readonly LabelledEstimate[],
  filled: boolean,
): Html {
  const numbers = table(
    [{ name: "" }, ...[valueLabel, "low", "high"].map((name) => ({ name, kind: "number" as const }))],
    rows.map(({ label, value, low, high }) => [label, value, low ?? null, high ?? null]),
    title,
  );
  const values = rows.flatMap(ends).filter(shown);
  if (values.length === 0) return figure(title, nothing(title), numbers);
  const scale = axis(Math.min(0, ...values), Math.max(0, ...values), "linear");
  const toX = (value: number): number => LABEL_WIDTH + scale.at(value) * (WIDTH - LABEL_WIDTH - RIGHT);
  const bottom = TOP + rows.length * ROW_HEIGHT;
  const grid = scale.ticks.map(
    (value) =>
      `<line class="${value === 0 ? "axis" : "grid"}" x1="${px(toX(value))}" x2="${px(toX(value))}" y1="${TOP}" y2="${bottom}"/>` +
      `<text x="${px(toX(value))}" y="${bottom + 16}" text-anchor="middle">${formatNumber(value)}</text>`,
  );
  const marks = rows.map((row, at) => {
    const y = TOP + (at + 0.5) * ROW_HEIGHT;
    const label = row.label.length > LABEL_MAX ? `${row.label.slice(0, LABEL_MAX - 1)}…` : row.label;
    const text = `<text x="${LABEL_WIDTH - 8}" y="${px(y + 4)}" text-anchor="end">${escapeHtml(label)}</text>`;
    if (!shown(row.value)) return text;
    const [from, to] = [Math.min(toX(0), toX(row.value)), Math.max(toX(0), toX(row.value))];
    const mark = filled
      ? `<rect class="fill0" opacity="0.75" x="${px(from)}" y="${px(y - 8)}" width="${px(Math.max(1, to - from))}" height="16"/>`
      : `<circle class="fill0" cx="${px(toX(row.value))}" cy="${px(y)}" r="4"/>`;
    const { low, high } = row;
    if (low === undefined || high === undefined || !shown(low) || !shown(high)) return text + mark;
    const whisker = `<line class="${filled ? "axis" : "s stroke0"}" x1="${px(toX(low))}" x2="${px(toX(high))}" y1="${px(y)}" y2="${px(y)}"/>`;
    return text + mark + whisker;
  });
  const caption = `<text x="${(LABEL_WIDTH + WIDTH - RIGHT) / 2}" y="${bottom + 36}" text-anchor="middle">${escapeHtml(valueLabel)}</text>`;
  return figure(title, svg(title, bottom + 44, [...grid, ...marks, caption]), numbers);
}

function shown(value: number): boolean {
  return Math.abs(value) < VALUE_MAX;
}

function ends({ value, low, high }: Estimate): number[] {
  return [value, low ?? value, high ?? value];
}

function line(
  { points }: Series,
  at: number,
  toX: (x: number) => number,
  toY: (y: number) => number,
): string {
  let path = "";
  let broken = true;
  for (const { x, value } of points) {
    if (!shown(value) || !shown(toX(x))) {
      broken = true;
      continue;
    }
    path += `${broken ? "M" : "L"}${px(toX(x))} ${px(toY(value))}`;
    broken = false;
  }
  const dots = points
    .filter(({ x, value }) => shown(value) && shown(toX(x)) && points.length <= 60)
    .map(
      ({ x, value }) =>
        `<circle class="fill${at % COLOURS}" cx="${px(toX(x))}" cy="${px(toY(value))}" r="2.5"/>`,
    );
  return `<path class="s stroke${at % COLOURS}" ${dash(at)} d="${path}"/>${dots.join("")}`;
}

function band(
  { points }: Series,
  at: number,
  toX: (x: number) => number,
  toY: (y: number) => number,
): string {
  const kept = points.flatMap(({ x, low, high }) =>
    low !== undefined && high !== undefined && shown(low) && shown(high) && shown(toX(x))
      ? [{ x, low, high }]
      : [],
  );
  if (kept.length < 2) return "";
  const upper = kept.map(({ x, high }) => `${px(toX(x))},${px(toY(high))}`);
  const lower = kept.reverse().map(({ x, low }) => `${px(toX(x))},${px(toY(low))}`);
  return `<polygon class="band fill${at % COLOURS}" points="${[...upper, ...lower].join(" ")}"/>`;
}

function dash(at: number): string {
  const pattern = DASHES[at % DASHES.length] ?? "";
  return pattern === "" ? "" : `stroke-dasharray="${pattern}"`;
}

interface Axis {
  /** 0 at the axis' start, 1 at its end; NaN where the scale has no such place. */
  at(value: number): number;
  readonly ticks: readonly number[];
}

/** An axis over [low, high], widened to round ends. */
function axis(low: number, high: number, scale: "linear" | "log"): Axis {
  if (scale === "log") {
    const [from, to] = [Math.log10(low), Math.log10(high > low ? high : low * 10)];
    const ticks: number[] = [];
    for (let power = Math.ceil(from - 1e-9); power <= to + 1e-9; power += 1) ticks.push(10 ** power);
    return { at: (value) => (value > 0 ? (Math.log10(value) - from) / (to - from) : Number.NaN), ticks };
  }
  const wide = high - low > Math.max(RANGE_MIN, 1e-9 * Math.max(Math.abs(low), Math.abs(high)));
  const [from, to] = wide
    ? [low, high]
    : [low - Math.max(1, Math.abs(low)) / 2, high + Math.max(1, Math.abs(high)) / 2];
  const rough = (to - from) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((multiple) => multiple * power >= rough) ?? 10) * power;
  const start = Math.floor(from / step + 1e-9);
  const end = Math.ceil(to / step - 1e-9);
  const ticks = Array.from({ length: end - start + 1 }, (_, at) =>
    Number(((start + at) * step).toPrecision(12)),
  );
  return { at: (value) => (value - start * step) / ((end - start) * step), ticks };
}

function px(value: number): string {
  return value.toFixed(1);
}

function nothing(title: string): string {
  return svg(title, 60, [`<text x="${WIDTH / 2}" y="34" text-anchor="middle">no data</text>`]);
}

function svg(title: string, height: number, parts: readonly string[]): string {
  return `<svg viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escapeHtml(title)}">${parts.join("\n")}</svg>`;
}

function figure(title: string, drawing: string, numbers: Html): Html {
  return {
    html: `<figure>${drawing}<figcaption>${escapeHtml(title)}</figcaption>${details("The numbers", numbers).html}</figure>`,
  };
}
