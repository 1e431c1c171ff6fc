import { expect, test } from "bun:test";
import { StageHistograms } from "../../src/desk/latency.ts";
import { drawInPlace, renderView } from "../../src/monitor/view.ts";
import { DeskBed } from "../desk/desk-bed.ts";
import { ScriptedEngine } from "../desk/scripted-engine.ts";

const bed = new DeskBed(new ScriptedEngine());
bed.run(3_000);

function view(columns: number, rows: number): string[] {
  const labels = { title: "keel", headNames: ["down50"], sessionUp: true, seconds: 3, columns, rows };
  return renderView(bed.desk, new StageHistograms(() => 0), labels);
}

test("a small terminal shows books, probabilities, quotes with reasons and latency, all within it", () => {
  const lines = view(80, 24);
  expect(lines.length).toBeLessThan(24);
  for (const line of lines) expect(line.length).toBeLessThan(80);
  const text = lines.join("\n");
  for (const part of ["book ", "P(down50)", "size ×", "held", "p99", "quotes "]) expect(text).toContain(part);
});

test("a wide terminal has a quote's reasons beside it", () => {
  const rows = view(160, 40).filter((line) => line.startsWith("binance-usdm:BTCUSDT"));
  expect(rows.at(-1)).toContain("held");
});

test("what does not fit the screen is not drawn", () => {
  const drawn = drawInPlace(["x".repeat(100), ...Array.from({ length: 50 }, () => "y")], 80, 24);
  expect(drawn.split("\n")).toHaveLength(23);
  expect(drawn.split("\n")[0]).toBe(`\x1b[H${"x".repeat(79)}\x1b[K`);
});
