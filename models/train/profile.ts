/**
 * Writes into models' cards what the rows that they were trained on were like, as a desk holds its own against it
 * (`docs/learning.md`): features and update times, what the model says of them through the cpu engine, and what came of that.
 *
 *     bun models/train/profile.ts --scratch /tmp/keel-train models/lstm-residual models/lstm-residual-int8 …
 *
 * `--scratch` is the folder of `export.ts`. Training rows are the first three quarters of each capture but the last.
 *
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { FEATURE_COUNT, SCHEMA_HASH } from "../../src/feature/schema.ts";
import { HEADS } from "../../src/inference/card.ts";
import { CpuEngine } from "../../src/inference/cpu.ts";
import { loadModel } from "../../src/inference/model.ts";
import {
  DEFAULT_PROFILE_OPTIONS,
  type ProfiledRows,
  trainingProfileOf,
} from "../../src/learn/drift/profile-builder.ts";

const TRAIN_FRACTION = 0.75;
const TEST = "spot-btcusdt-20240809";
const manifest = z.object({
  schemaHash: z.literal(SCHEMA_HASH),
  captures: z.array(z.object({ name: z.string(), rows: z.int() })),
});

interface Exported {
  readonly rows: number;
  readonly features: Float32Array;
  readonly labels: Uint8Array;
  readonly times: Float64Array;
}

const { values, positionals } = parseArgs({
  options: { scratch: { type: "string" } },
  allowPositionals: true,
});
if (values.scratch === undefined || positionals.length === 0) {
  throw new Error("--scratch FOLDER and the folders of models are needed");
}
const { captures } = manifest.parse(JSON.parse(readFileSync(join(values.scratch, "manifest.json"), "utf8")));
const trained = captures
  .filter(({ name }) => name !== TEST)
  .map(({ name, rows }) => trainingRows(join(values.scratch ?? "", name), rows));
for (const folder of positionals) await profile(folder);

function trainingRows(stem: string, total: number): Exported {
  const times = new Float64Array(Uint8Array.from(readFileSync(`${stem}.times.f64`)).buffer);
  const cutUs = times[0] + TRAIN_FRACTION * (times[total - 1] - times[0]);
  let rows = 0;
  while (rows < total && times[rows] <= cutUs) rows += 1;
  return {
    rows,
    times,
    features: new Float32Array(Uint8Array.from(readFileSync(`${stem}.features.f32`)).buffer),
    labels: new Uint8Array(readFileSync(`${stem}.labels.u8`)),
  };
}

async function profile(folder: string): Promise<void> {
  const model = await loadModel(folder, { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT });
  const engine = await CpuEngine.start(model, 1, 1);
  await engine.warmUp();
  const heads = model.card.heads.map(({ name }) => HEADS.indexOf(name));
  const parts = trained.map((rows): ProfiledRows => {
    const said = predictions(engine, rows, heads.length);
    const labels = new Uint8Array(heads.length);
    return {
      rows: rows.rows,
      timeUs: (row) => rows.times[row],
      features: (row) => rows.features.subarray(row * FEATURE_COUNT, (row + 1) * FEATURE_COUNT),
      probabilities: (row) => said.subarray(row * heads.length, (row + 1) * heads.length),
      labels: (row) => {
        for (const [at, head] of heads.entries()) labels[at] = rows.labels[row * HEADS.length + head];
        return labels;
      },
    };
  });
  await engine.dispose();
  const made = trainingProfileOf(parts, {
    ...DEFAULT_PROFILE_OPTIONS,
    featureCount: FEATURE_COUNT,
    heads: heads.length,
  });
  const path = join(folder, "card.json");
  const card = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  writeFileSync(path, `${JSON.stringify({ ...card, profile: made })}\n`);
  console.error(`${folder}: profile of ${made.rows} rows`);
}

function predictions(engine: CpuEngine, { rows, features }: Exported, heads: number): Float32Array {
  const said = new Float32Array(rows * heads);
  engine.resetSlot(0);
  engine.slots[0] = 0;
  for (let row = 0; row < rows; row += 1) {
    engine.features.set(features.subarray(row * FEATURE_COUNT, (row + 1) * FEATURE_COUNT));
    engine.step(1);
    said.set(engine.probabilities.subarray(0, heads), row * heads);
  }
  return said;
}
