import uPlot from "uplot";
import { h } from "./dom.ts";

export interface Line {
  readonly label: string;
  /** Name of a CSS custom property. */
  readonly colour: string;
  readonly dash?: readonly number[];
  readonly points?: "only";
  readonly fill?: boolean;
  /** Horizontal until the next value, as prices are. */
  readonly stepped?: boolean;
  readonly bars?: boolean;
  readonly format: (value: number | null) => string;
}

export interface ChartOptions {
  readonly title: string;
  readonly lines: readonly Line[];
  readonly height: number;
  /** Left out: time in seconds since the epoch. */
  readonly x?: { readonly label: string; readonly format: (value: number) => string };
  readonly axis: (value: number) => string;
  readonly range?: (min: number, max: number) => [number, number];
}

const TABLE_ROWS = 40;
/** Seconds between the marks of a time axis. */
const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600] as const;
const TABLE_MS = 1_000;

/** A chart in a figure, with the same data as a table for those who cannot see it. */
export class Chart {
  readonly element: HTMLElement;
  readonly #options: ChartOptions;
  readonly #canvas: HTMLElement;
  readonly #table: HTMLTableElement;
  readonly #details: HTMLDetailsElement;
  readonly #caption: HTMLElement;
  #plot: uPlot | null = null;
  #data: uPlot.AlignedData = [[]];
  #tabledMs = 0;

  constructor(options: ChartOptions) {
    this.#options = options;
    this.#canvas = h("div", { class: "plot", "aria-hidden": "true" });
    this.#table = h("table", { class: "data" });
    this.#details = h("details", { class: "as-table" }, h("summary", {}, "As a table"), this.#table);
    this.#caption = h("figcaption", {}, options.title);
    this.element = h("figure", { class: "card chart" }, this.#caption, this.#canvas, this.#details);
    this.#details.addEventListener("toggle", () => this.#fillTable());
    new ResizeObserver(() => this.#fit()).observe(this.#canvas);
  }

  title(text: string): void {
    if (this.#caption.textContent !== text) this.#caption.textContent = text;
  }

  set(data: uPlot.AlignedData): void {
    this.#data = data;
    if (this.#plot === null) this.#make();
    else this.#plot.setData(data);
    if (this.#details.open && performance.now() - this.#tabledMs > TABLE_MS) this.#fillTable();
  }

  restyle(): void {
    this.#plot?.destroy();
    this.#plot = null;
    this.#make();
  }

  #fit(): void {
    const width = this.#canvas.clientWidth;
    if (width === 0) return;
    if (this.#plot === null) this.#make();
    else if (this.#plot.width !== width) this.#plot.setSize({ width, height: this.#options.height });
  }

  #make(): void {
    const width = this.#canvas.clientWidth;
    if (width === 0) return;
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string): string => style.getPropertyValue(name).trim();
    const { lines, height, x, axis, range } = this.#options;
    const axes = {
      stroke: colour("--muted"),
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { stroke: colour("--line"), width: 1, size: 4 },
      font: `11px ${style.getPropertyValue("--font")}`,
    };
    this.#plot = new uPlot(
      {
        width,
        height,
        padding: [10, 28, 0, 0],
        legend: { live: true },
        cursor: { points: { size: 6 }, drag: { x: false, y: false } },
        scales: {
          x: { time: x === undefined },
          y: range === undefined ? {} : { range: (_plot, min, max) => range(min, max) },
        },
        axes: [
          {
            ...axes,
            size: 32,
            ...(x === undefined
              ? {
                  values: (_plot, splits) =>
                    splits.map((at) => new Date(at * 1_000).toISOString().slice(11, 19)),
                  space: 80,
                  incrs: [...TIME_STEPS],
                }
              : { values: (_plot, splits) => splits.map(x.format), space: 60 }),
          },
          { ...axes, size: 64, values: (_plot, splits) => splits.map(axis) },
        ],
        series: [
          x === undefined
            ? {
                label: "time",
                value: (_plot, at) => (at === null ? "–" : new Date(at * 1_000).toISOString().slice(11, 19)),
              }
            : { label: x.label, value: (_plot, at) => (at === null ? "–" : x.format(at)) },
          ...lines.map((line): uPlot.Series => {
            const stroke = colour(line.colour);
            const onlyPoints = line.points === "only";
            return {
              label: line.label,
              stroke,
              width: onlyPoints || line.bars === true ? 0 : 1.5,
              ...(line.fill === true || line.bars === true ? { fill: `${stroke}55` } : {}),
              ...(line.dash === undefined ? {} : { dash: [...line.dash] }),
              ...(line.stepped === true && uPlot.paths.stepped !== undefined
                ? { paths: uPlot.paths.stepped({ align: 1 }) }
                : {}),
              ...(line.bars === true && uPlot.paths.bars !== undefined
                ? { paths: uPlot.paths.bars({ size: [0.92, 40] }), fill: stroke }
                : {}),
              points: onlyPoints ? { show: true, size: 5, fill: stroke, stroke } : { show: false },
              value: (_plot, value) => line.format(value),
              spanGaps: false,
            };
          }),
        ],
      },
      this.#data,
      this.#canvas,
    );
  }

  #fillTable(): void {
    if (!this.#details.open) return;
    this.#tabledMs = performance.now();
    const { x, lines } = this.#options;
    const [xs = []] = this.#data;
    const stepped = Math.max(Math.ceil(xs.length / TABLE_ROWS), 1);
    const rows: HTMLElement[] = [];
    for (let at = (xs.length - 1) % stepped; at >= 0 && at < xs.length; at += stepped) {
      const value = xs[at] ?? 0;
      const label = x === undefined ? new Date(value * 1_000).toISOString().slice(11, 19) : x.format(value);
      const cells = lines.map((line, series) =>
        h("td", {}, line.format(this.#data[series + 1]?.[at] ?? null)),
      );
      rows.push(h("tr", {}, h("th", { scope: "row" }, label), ...cells));
    }
    const head = h("tr", {}, h("th", { scope: "col" }, x?.label ?? "time"));
    for (const { label } of lines) head.append(h("th", { scope: "col" }, label));
    this.#table.replaceChildren(h("thead", {}, head), h("tbody", {}, ...rows));
  }
}
