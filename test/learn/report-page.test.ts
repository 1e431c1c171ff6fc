import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  details,
  escapeHtml,
  formatNumber,
  htmlPage,
  paragraph,
  section,
  table,
} from "../../src/learn/report/html.ts";
import { barPlot, intervalPlot, linePlot } from "../../src/learn/report/plot.ts";

const HOSTILE = `<script>alert("1")</script>&'\u0000`;

function tags(html: string): string[] {
  return [...html.matchAll(/<\/?([a-z0-9]+)/gi)].map(([, name]) => (name ?? "").toLowerCase());
}

test("no text can become markup, wherever it stands", () => {
  const plot = linePlot({
    title: HOSTILE,
    xLabel: HOSTILE,
    yLabel: HOSTILE,
    series: [{ name: HOSTILE, points: [{ x: 1, value: 2 }] }],
    xTicks: [[1, HOSTILE]],
  });
  const bars = barPlot({ title: HOSTILE, valueLabel: HOSTILE, bars: [{ label: HOSTILE, value: 1 }] });
  const page = htmlPage({
    title: HOSTILE,
    lead: HOSTILE,
    footer: HOSTILE,
    sections: [
      section(
        HOSTILE,
        paragraph(HOSTILE),
        details(HOSTILE, table([{ name: HOSTILE }], [[HOSTILE]], HOSTILE)),
        plot,
        bars,
      ),
    ],
  });
  expect(tags(page)).not.toContain("script");
  expect(page).not.toContain(`alert("1")`);
  expect(page).not.toContain("\u0000");
  expect(page).not.toMatch(/(src|href)="(?!#)/);
});

test("escaped text reads back as what it was", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const escaped = escapeHtml(text);
      expect(escaped).not.toMatch(/[<>"']/);
      const back = escaped
        .replaceAll("&lt;", "<")
        .replaceAll("&gt;", ">")
        .replaceAll("&quot;", '"')
        .replaceAll("&#39;", "'")
        .replaceAll("&amp;", "&");
      expect(back).toBe(text.replace(/(?![\t\n\r])[\p{Cc}\p{Cs}]/gu, "\ufffd"));
    }),
  );
});

test("a line goes through its points on a scale with round ends, and breaks where one is missing", () => {
  const { html } = linePlot({
    title: "Markout",
    xLabel: "ms",
    yLabel: "bp",
    series: [
      {
        name: "a",
        points: [
          { x: 0, value: 0 },
          { x: 5, value: 10 },
          { x: 7, value: Number.NaN },
          { x: 10, value: 5 },
        ],
      },
    ],
  });
  // x: 0 … 10 from 80 to 744; y: 0 … 10 from 248 up to 14.
  expect(html).toContain('d="M80.0 248.0L412.0 14.0M744.0 131.0"');
  expect(html).toContain("<caption>Markout</caption>");
  expect(html).toContain('<td class="number">–</td>');
});

test("intervals are drawn at their ends", () => {
  const { html } = intervalPlot({
    title: "t",
    valueLabel: "v",
    bars: [{ label: "one", value: 5, low: 0, high: 10 }],
  });
  // 0 … 10 from 220 to 744.
  expect(html).toContain('cx="482.0"');
  expect(html).toContain('x1="220.0" x2="744.0"');
});

test("any numbers give a plot without NaN in it", () => {
  const number = fc.oneof(fc.double(), fc.constant(0), fc.double({ min: -1e3, max: 1e3, noNaN: true }));
  const estimate = fc.record({ value: number, low: number, high: number });
  fc.assert(
    fc.property(fc.array(estimate, { maxLength: 8 }), fc.boolean(), (values, log) => {
      const points = values.map((value, at) => ({ ...value, x: at + 1 }));
      const bars = values.map((value, at) => ({ ...value, label: `row ${at}` }));
      const plots = [
        linePlot({
          title: "t",
          xLabel: "x",
          yLabel: "y",
          series: [{ name: "s", points }],
          xScale: log ? "log" : "linear",
        }),
        barPlot({ title: "t", valueLabel: "v", bars }),
        intervalPlot({ title: "t", valueLabel: "v", bars }),
      ];
      for (const { html } of plots) expect(html.slice(0, html.indexOf("</svg>"))).not.toMatch(/NaN|Infinity/);
    }),
    { numRuns: 200 },
  );
});

test("numbers are shown short, none as a dash", () => {
  expect([1, -2.5, 0.1 + 0.2, Number.NaN, null, 1234567.8, 1e-7].map(formatNumber)).toEqual([
    "1",
    "−2.5",
    "0.3",
    "–",
    "–",
    "1,234,568",
    "1.000e-7",
  ]);
});
