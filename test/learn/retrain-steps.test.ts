import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CpuEngine, cpuIsas } from "../../src/inference/cpu.ts";
import type { RowSource } from "../../src/learn/dataset/row.ts";
import { FolderStore } from "../../src/learn/registry/folder-store.ts";
import { Registry } from "../../src/learn/registry/registry.ts";
import { DEFAULT_GATE_LIMITS } from "../../src/learn/retrain/gate.ts";
import { type RetrainOptions, retrain } from "../../src/learn/retrain/job.ts";
import { StepFailedError } from "../../src/learn/retrain/run-folder.ts";
import { commandTrainer, linearTrainer, runCommand, type Trainer } from "../../src/learn/retrain/trainer.ts";
import { skipUnless } from "../support/shared-data.ts";
import { regimeSource } from "./regime-bed.ts";

const root = mkdtempSync(join(tmpdir(), "keel-retrain-steps-"));
afterAll(() => {
  for (const name of readdirSync(root, { recursive: true })) chmodSync(join(root, String(name)), 0o755);
  rmSync(root, { recursive: true, force: true });
});

const hasCpu = (await cpuIsas()).length > 0;
const AUTHOR = { who: "a test", why: "to begin with" };
const recording = regimeSource("recording", { seed: 3, startUs: 1_700_000_000e6, changed: false }, 60);
const LIMITS = {
  ...DEFAULT_GATE_LIMITS,
  ...{ calibrationMax: 1, stepUsMax: 5_000, meanGain: -1, headLossMax: 1, outcomesMin: 20 },
};

const open = (name: string): Promise<Registry> =>
  Registry.open({ store: new FolderStore(join(root, name)), signer: null, trusted: null, nowMs: () => 1e12 });

const registry = await open("registry");

type Quantise = NonNullable<RetrainOptions["quantiser"]>["quantise"];
// By one name each, so that all of it is one run, whose steps are done once.
const trainedBy = (train: Trainer) => ({ name: "trainer", train });
const program = (script: string) => trainedBy(commandTrainer(["sh", "-c", script, "trainer"]));
const quantisedBy = (quantise: Quantise) => ({ name: "quantiser", quantise });
const copied: Quantise = async (from, { out }) => cpSync(from, out, { recursive: true });

const job = (more: Partial<RetrainOptions> = {}) =>
  retrain({
    sources: [recording],
    runs: join(root, "runs"),
    registry,
    champion: null,
    trainer: trainedBy(linearTrainer),
    quantiser: quantisedBy(copied),
    limits: LIMITS,
    splits: [
      ["train", 0.5],
      ["validation", 0.1],
      ["test", 0.4],
    ],
    embargoUs: 1e6,
    leakCheck: false,
    seed: 1,
    start: (model) => CpuEngine.start(model, 1, 1),
    ...more,
  });

async function brokenIn(more: Partial<RetrainOptions>): Promise<StepFailedError> {
  const before = { champion: registry.champion, versions: registry.list().length };
  let failed: unknown = null;
  try {
    await job(more);
  } catch (error) {
    failed = error;
  }
  expect({ champion: registry.champion, versions: registry.list().length }).toEqual(before);
  if (!(failed instanceof StepFailedError)) throw failed ?? new Error("nothing failed");
  return failed;
}

describe.skipIf(skipUnless(hasCpu, "the native library"))("a retraining of which a step breaks", () => {
  test("goes to the shadow when none does", async () => {
    const { version, problems } = await job({ trainer: null, quantiser: null });
    expect(problems).toEqual([]);
    expect(registry.stageOf(version ?? "")).toBe("shadow");
    await registry.setStage(version ?? "", "champion", AUTHOR);
  });

  test("names the dataset, and leaves the champion", async () => {
    const unreadable: RowSource = {
      ...recording,
      name: "unreadable",
      play: async () => {
        throw new Error("the disk is gone");
      },
    };
    const { step, message } = await brokenIn({ sources: [unreadable] });
    expect([step, message.includes("the disk is gone")]).toEqual(["dataset", true]);
  });

  test("names the training, with what the program called its error", async () => {
    const script = `echo "ValueError: no rows of ETH" >&2; for i in 1 2 3 4 5; do echo "traceback $i" >&2; done; exit 3`;
    const { step, message } = await brokenIn({ trainer: program(script) });
    expect(step).toBe("train");
    expect(message).toContain("sh ended with 3: ValueError: no rows of ETH");
    const none = await brokenIn({ trainer: program("exit 0") });
    expect(none.message).toContain("found no card.json");
  });

  test("ends when it is told to, with its program", async () => {
    const stop = new AbortController();
    const marker = join(root, "began");
    const running = brokenIn({
      trainer: program(`touch ${marker}; exec sleep 300`),
      signal: stop.signal,
    });
    while (!existsSync(marker)) await Bun.sleep(10);
    stop.abort("SIGTERM");
    const { step, message } = await running;
    expect([step, message.includes("was stopped by SIGTERM")]).toEqual(["train", true]);
  });

  test("names the quantising", async () => {
    const quantise: Quantise = () => runCommand(["sh", "-c", "exit 4"], () => {});
    const { step, message } = await brokenIn({ quantiser: quantisedBy(quantise) });
    expect([step, message.includes("ended with 4")]).toEqual(["quantise", true]);
  });

  test("names the evaluation when the engine does not start", async () => {
    let starts = 0;
    const start: RetrainOptions["start"] = async (model) => {
      starts += 1;
      if (starts > 1) throw new Error("no engine");
      return CpuEngine.start(model, 1, 1);
    };
    const { step } = await brokenIn({ start });
    expect(step).toBe("evaluate");
  });

  test("is refused, and registers nothing, when the candidate is no better than the champion", async () => {
    const { champion } = registry;
    const { version, problems, resumed } = await job();
    expect([version, resumed]).toEqual([null, 5]);
    expect(problems.map(({ reason }) => reason)).toEqual(["not-better"]);
    expect(registry.champion).toBe(champion);
  });

  test("names the registration when the store cannot be written, and does only that the next time", async () => {
    const empty = await open("full");
    const add = empty.add.bind(empty);
    empty.add = async () => {
      throw new Error("no space left");
    };
    const failed = await job({ registry: empty }).catch((error: unknown) => error);
    expect(failed instanceof StepFailedError ? failed.step : "").toBe("register");
    empty.add = add;
    const { version, resumed } = await job({ registry: empty });
    expect([resumed, empty.stageOf(version ?? "")]).toEqual([6, "shadow"]);
    // The same run for another registry: it is registered there as well.
    const other = await open("other");
    expect(other.stageOf((await job({ registry: other })).version ?? "")).toBe("shadow");
  });

  test("does again what has changed and what follows it, and nothing before that", async () => {
    const done: string[] = [];
    const own = await open("changing");
    const work = async (
      trainer: string,
      quantiser: string,
      more: Partial<RetrainOptions> = {},
      code: { readonly trainer?: string; readonly quantiser?: string } = {},
    ) => {
      done.length = 0;
      const { resumed, version } = await job({
        registry: own,
        trainer: {
          ...{ name: trainer, code: code.trainer ?? "1" },
          train: async (task) => {
            done.push("train");
            await linearTrainer(task);
          },
        },
        quantiser: {
          ...{ name: quantiser, code: code.quantiser ?? "1" },
          quantise: async (from, { out }) => {
            done.push("quantise");
            cpSync(from, out, { recursive: true });
            const path = join(out, "card.json");
            const card = JSON.parse(readFileSync(path, "utf8")) as object;
            writeFileSync(path, JSON.stringify({ ...card, description: quantiser }));
          },
        },
        ...more,
      });
      return { resumed, done: [...done], version };
    };
    const first = await work("t", "q");
    expect(first.done).toEqual(["train", "quantise"]);
    expect(await work("t", "q")).toEqual({ ...first, resumed: 7, done: [] });
    const second = await work("t", "q2");
    // Dataset, baseline and training are taken; quantising and what follows is done.
    expect(second).toMatchObject({ resumed: 3, done: ["quantise"] });
    expect(second.version).not.toBe(first.version);
    // The quantiser of before: all of it is there still.
    expect(await work("t", "q")).toEqual({ ...first, resumed: 7, done: [] });
    // Its code has changed, and it comes to the same: what follows is done.
    expect(await work("t", "q", {}, { quantiser: "2" })).toMatchObject({ resumed: 6, done: ["quantise"] });
    expect(await work("t", "q", {}, { trainer: "2" })).toMatchObject({ resumed: 6, done: ["train"] });
    expect(await work("t", "q", { limits: { ...LIMITS, meanGain: -2 } })).toMatchObject({
      resumed: 6,
      done: [],
    });
  });

  test("names the profile when a desk would refuse the model", async () => {
    const quantise: Quantise = async (from, { out }) => {
      cpSync(from, out, { recursive: true });
      const path = join(out, "model.onnx");
      const bytes = readFileSync(path);
      bytes[bytes.length >> 1] ^= 0xff;
      writeFileSync(path, bytes);
    };
    const { step } = await brokenIn({ quantiser: { name: "flips bits", quantise } });
    expect(step).toBe("profile");
  });

  test("gives programs none of keel's own variables", async () => {
    Bun.env.KEEL_REGISTRY_S3_SECRET_FILE = "/etc/secret";
    const lines: string[] = [];
    await runCommand(["env"], (line) => lines.push(line));
    delete Bun.env.KEEL_REGISTRY_S3_SECRET_FILE;
    expect(lines.filter((line) => line.startsWith("KEEL_"))).toEqual([]);
    expect(lines.some((line) => line.startsWith("PATH="))).toBe(true);
  });
});
