import { afterAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { Rng } from "../../src/core/rng.ts";
import { DEFAULT_GATE_LIMITS, type GateEvidence, judgeCandidate } from "../../src/learn/retrain/gate.ts";
import { RunFolder } from "../../src/learn/retrain/run-folder.ts";
import type { HeadResult } from "../../src/learn/retrain/score.ts";
import { programDigest, runCommand } from "../../src/learn/retrain/trainer.ts";
import { requestRetrain, takeRetrainRequest } from "../../src/learn/retrain-request.ts";
import { readRetrainStatus, writeRetrainStatus } from "../../src/learn/retrain-status.ts";
import { fitLogistic } from "../../src/learn/train/logistic.ts";
import { RetrainWatch } from "../../src/live/retrain-watch.ts";
import { MetricRegistry } from "../../src/monitor/metrics.ts";
import { exposition } from "../support/exposition.ts";

const root = mkdtempSync(join(tmpdir(), "keel-retrain-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let folders = 0;
function fresh(): string {
  folders += 1;
  return join(root, String(folders));
}

const head = (more: Partial<HeadResult> = {}): HeadResult => ({
  ...{ head: "down50", rows: 10_000, baseRate: 0.1, auc: 0.85, logLoss: 0.25, brier: 0.07 },
  ...{ calibrationError: 0.01, skill: 0.2, ...more },
});

const good: GateEvidence = {
  odd: 0,
  stepUs: 2,
  heads: [head()],
  baseline: [head({ auc: 0.84 })],
  beforeQuantising: null,
  againstChampion: { value: -0.01, low: -0.02, high: 0.001 },
  trainedOn: "a",
  dataset: "a",
};

describe("the gate", () => {
  const reasons = (more: Partial<GateEvidence>): string[] =>
    judgeCandidate({ ...good, ...more }, DEFAULT_GATE_LIMITS).map(({ reason }) => reason);

  test("lets a good candidate through, with and without a champion", () => {
    expect(reasons({})).toEqual([]);
    expect(reasons({ againstChampion: null, baseline: null })).toEqual([]);
  });

  test("names what is wrong, all of it", () => {
    expect(reasons({ odd: 1, stepUs: 51 })).toEqual(["odd-output", "too-slow"]);
    expect(reasons({ stepUs: Number.NaN })).toEqual(["too-slow"]);
    expect(reasons({ trainedOn: "" })).toEqual(["unknown-lineage"]);
    expect(reasons({ heads: [head({ auc: 0.995 })] })).toEqual(["leaking"]);
    expect(reasons({ heads: [head({ calibrationError: 0.06 })] })).toEqual(["miscalibrated"]);
    expect(reasons({ heads: [head({ skill: -0.01 })] })).toEqual(["no-skill"]);
    expect(reasons({ heads: [head({ auc: 0.8 })] })).toEqual(["below-baseline", "below-baseline"]);
    expect(reasons({ againstChampion: { value: 0.001, low: -0.1, high: 0.1 } })).toEqual(["not-better"]);
    expect(reasons({ heads: [head({ rows: 100 })] })).toContain("too-few-outcomes");
    expect(reasons({ beforeQuantising: [head({ auc: 0.8504 })] })).toEqual([]);
    expect(reasons({ beforeQuantising: [head({ auc: 0.853 })] })).toEqual(["lost-by-quantising"]);
  });
});

describe("a run", () => {
  const shape = z.object({ n: z.number() });

  test("does no step twice, and a step anew whose inputs are others", async () => {
    const path = fresh();
    const done: string[] = [];
    const once = async (inputs: string) => {
      const run = new RunFolder(path);
      for (const name of ["one", "two"])
        await run.step(name, inputs, shape, ({ log }) => {
          done.push(`${name} ${inputs}`);
          log("worked");
          return { n: 1 };
        });
      run.release();
      return run.resumed;
    };
    expect(await once("a")).toBe(0);
    expect(await once("a")).toBe(2);
    expect(await once("b")).toBe(0);
    expect(done).toEqual(["one a", "two a", "one b", "two b"]);
    expect(await once("a")).toBe(2);
    const folders = readdirSync(path).filter((name) => name.startsWith("01-one-"));
    expect(folders).toHaveLength(2);
    for (const name of folders) expect(readFileSync(join(path, name, "log.txt"), "utf8")).toContain("worked");
  });

  test("that fails keeps what was done, tells why in its log, and goes on from there", async () => {
    const path = fresh();
    let broken = true;
    const attempt = async () => {
      const run = new RunFolder(path);
      try {
        await run.step("one", "", shape, () => ({ n: 1 }));
        return await run.step("two", "", shape, ({ folder }) => {
          writeFileSync(join(folder, "half"), "");
          if (broken) throw new Error("no disk");
          expect(existsSync(join(folder, "half"))).toBe(true);
          return { n: 2 };
        });
      } finally {
        run.release();
      }
    };
    await expect(attempt()).rejects.toThrow("two: no disk");
    const two = readdirSync(path).find((name) => name.startsWith("02-two-")) ?? "";
    expect(readFileSync(join(path, two, "log.txt"), "utf8")).toContain("failed: no disk");
    broken = false;
    expect(await attempt()).toEqual({ n: 2 });
  });

  test("is one process's at a time; one that died does not hold it", () => {
    const path = fresh();
    new RunFolder(path);
    writeFileSync(join(path, ".lock"), String(process.ppid));
    expect(() => new RunFolder(path)).toThrow(`process ${process.ppid} works on this run`);
    writeFileSync(join(path, ".lock"), "999999999");
    new RunFolder(path).release();
  });
});

describe("a trainer", () => {
  test("is another one when its script, or one beside it, is; not when something else is", () => {
    const folder = fresh();
    mkdirSync(folder);
    const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
    const words = ["python3", join(folder, "train.py"), "--epochs", "2"];
    expect(programDigest(words)).toBe("");
    write("train.py", "import network");
    write("network.py", "one");
    const digests = [programDigest(words)];
    write("notes.md", "one");
    expect(programDigest(words)).toBe(digests[0]);
    write("network.py", "two");
    digests.push(programDigest(words));
    write("train.py", "import other");
    digests.push(programDigest(words));
    expect(new Set(digests).size).toBe(3);
    expect(digests.every((digest) => /^[0-9a-f]{64}$/.test(digest))).toBe(true);
  });

  test("that is not there is named, with what there is to do", async () => {
    await expect(runCommand(["/nowhere/python", "train.py"], () => {})).rejects.toThrow(
      "/nowhere/python: found no such program",
    );
  });

  test("that fails is told with its last words, which stand in the log", async () => {
    const lines: string[] = [];
    const words = ["sh", "-c", "echo working; echo no memory >&2; exit 3"];
    await expect(runCommand(words, (line) => lines.push(line))).rejects.toThrow(/ended with 3: .*no memory/);
    expect(lines).toContain("working");
  });
});

test("logistic regression finds the coefficients that made the labels", () => {
  const rng = new Rng(1);
  const rows = 20_000;
  const inputs = Float32Array.from({ length: rows * 3 }, () => rng.normal());
  const labels = Float32Array.from({ length: rows }, (_, row) => {
    const logit = -1 + 1.5 * inputs[row * 3] - 0.5 * inputs[row * 3 + 1];
    return rng.next() < 1 / (1 + Math.exp(-logit)) ? 1 : 0;
  });
  const weights = new Float32Array(rows).fill(1);
  const { coefficients, intercept } = fitLogistic({
    rows,
    columns: 3,
    inputs,
    labels,
    weights,
    penalty: 1e-6,
  });
  expect(Math.abs(intercept + 1)).toBeLessThan(0.1);
  expect(Math.abs(coefficients[0] - 1.5)).toBeLessThan(0.1);
  expect(Math.abs(coefficients[1] + 0.5)).toBeLessThan(0.1);
  expect(Math.abs(coefficients[2])).toBeLessThan(0.1);
});

test("a desk's request is taken once, and one that cannot be read is none", async () => {
  const asked = { timeUs: 1, underlying: "BTC", causes: ["skill"], model: "m" };
  await requestRetrain(root, asked);
  expect(takeRetrainRequest(root)).toEqual(asked);
  expect(takeRetrainRequest(root)).toBeNull();
  writeFileSync(join(root, "retrain-request.json"), "{");
  expect(takeRetrainRequest(root)).toBeNull();
});

test("how a retraining ended is read back", async () => {
  expect(await readRetrainStatus(root)).toBeNull();
  const ended = { run: "r", endedMs: 1, result: "failed", step: "train", version: null, why: "w" } as const;
  writeRetrainStatus(root, ended);
  expect(await readRetrainStatus(root)).toEqual(ended);
});

test("a run that failed shows in the metric that the alert looks at", async () => {
  const folder = mkdtempSync(join(root, "watch-"));
  const ended = { run: "r", endedMs: 1_000, step: "train", version: null, why: "w" };
  writeRetrainStatus(folder, { ...ended, result: "failed" });
  const metrics = new MetricRegistry();
  const watch = new RetrainWatch(folder, metrics);
  try {
    const deadline = Date.now() + 45_000;
    while (!/^keel_retrain_failed 1$/m.test(exposition(metrics)) && Date.now() < deadline) await Bun.sleep(5);
    expect(exposition(metrics)).toMatch(/^keel_retrain_failed 1$/m);
    expect(exposition(metrics)).toMatch(/^keel_retrain_ended_timestamp_seconds 1$/m);
  } finally {
    watch.stop();
  }
});
