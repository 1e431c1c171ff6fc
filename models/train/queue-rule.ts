/**
 * Logistic curves over queue imbalance alone, for `src/backtest/queue-rule.ts`: maximum likelihood by Newton's method over the
 * training rows (the first three quarters of each capture but the test capture) and their mirror images, all captures alike.
 *
 *     bun models/train/export.ts --out /tmp/keel-train && bun models/train/queue-rule.ts --data /tmp/keel-train
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { FEATURE_COUNT, featureIndex } from "../../src/feature/schema.ts";
import { HEADS } from "../../src/inference/card.ts";
import { LABEL_COUNT } from "../../src/learn/labels.ts";

const TRAINED = 0.75;
const TEST_DAY = "20240809";
const STEPS = 12;
const PAIRS = [
  ["down50", "up50"],
  ["down100", "up100"],
] as const;

const { values } = parseArgs({ options: { data: { type: "string" } } });
if (values.data === undefined) throw new Error("--data FOLDER is needed: what export.ts has written");
const folder = values.data;
const manifest = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")) as {
  captures: { name: string; day: string; rows: number }[];
};
const imbalances: number[] = [];
const weights: number[] = [];
const labels: Uint8Array[] = [];
for (const { name, day, rows } of manifest.captures) {
  if (day === TEST_DAY) continue;
  const buffer = readFileSync(join(folder, `${name}.features.f32`));
  const features = new Float32Array(buffer.buffer, buffer.byteOffset, rows * FEATURE_COUNT);
  const marks = readFileSync(join(folder, `${name}.labels.u8`));
  const used = Math.floor(rows * TRAINED);
  for (let row = 0; row < used; row += 1) {
    imbalances.push(features[row * FEATURE_COUNT + featureIndex("queueImbalance")]);
    weights.push(1 / used);
    labels.push(marks.subarray(row * LABEL_COUNT, (row + 1) * LABEL_COUNT));
  }
}
for (const [down, up] of PAIRS) {
  // Mirrored: a rise under imbalance x is a fall under −x, so both heads share a curve but for the sign of its slope.
  let intercept = 0;
  let slope = 0;
  for (let step = 0; step < STEPS; step += 1) {
    let [g0, g1, h00, h01, h11] = [0, 0, 0, 0, 0];
    for (let row = 0; row < imbalances.length; row += 1) {
      for (const [head, sign] of [
        [HEADS.indexOf(down), 1],
        [HEADS.indexOf(up), -1],
      ] as const) {
        const x = sign * imbalances[row];
        const p = 1 / (1 + Math.exp(-(intercept + slope * x)));
        const error = weights[row] * (labels[row][head] - p);
        const w = weights[row] * p * (1 - p);
        g0 += error;
        g1 += error * x;
        h00 += w;
        h01 += w * x;
        h11 += w * x * x;
      }
    }
    const determinant = h00 * h11 - h01 * h01;
    intercept += (h11 * g0 - h01 * g1) / determinant;
    slope += (h00 * g1 - h01 * g0) / determinant;
  }
  console.log(
    `${down}: intercept ${intercept.toFixed(4)}, slope ${slope.toFixed(4)}; ${up}: slope ${(-slope).toFixed(4)}`,
  );
}
