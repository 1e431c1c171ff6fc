import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PYTHON = Bun.env.KEEL_TRAIN_PYTHON ?? "python3";
const CHECKS = join(import.meta.dir, "train_check.py");
const folder = mkdtempSync(join(tmpdir(), "keel-training-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Why the trainer cannot run here; null where it can. */
function missing(): string | null {
  if (Bun.which(PYTHON) === null) return `no ${PYTHON}`;
  const found = Bun.spawnSync([PYTHON, "-c", "import torch, onnx, sklearn"], { stderr: "pipe" });
  if (found.success) return null;
  return `${PYTHON} without ${/No module named '(\w+)'/.exec(found.stderr.toString())?.[1] ?? "torch, onnx or scikit-learn"}`;
}

const reason = missing();
if (reason !== null) console.warn(`training not tested: ${reason}; KEEL_TRAIN_PYTHON may name another`);

async function run(command: readonly string[]): Promise<string> {
  const env = { ...Bun.env, OMP_NUM_THREADS: "1" };
  const child = Bun.spawn([PYTHON, ...command], { env, stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (status !== 0) throw new Error(stderr.split("\n").slice(-12).join("\n"));
  return stdout;
}

describe.skipIf(reason !== null)("training", () => {
  const checks: Record<string, string> = {
    compare: "on two processes gives the weights of one process with the whole batch",
    accumulation: "in parts gives the weights of the whole batch",
    precision: "in bf16 comes near f32; what cannot be computed is refused",
    graphs: "in 8 bits computes what the graph computes, and graphs can be read back",
    gradients: "in 8 bits lets gradients through to every weight",
    pruning: "drops units that nothing reads without a change",
    quiet: "refuses a capture in which an outcome never comes",
    built: "leaves out of a dataset's split what cannot be trained on or scored there",
    pieces:
      "begins anew where a dataset has left out time, in training and in scoring, and learns nothing over it",
    chunks: "in parts of a size that is held computes what it computes at once",
    losses: "tells of INT8 that costs more than it may",
    bootstrap: "resamples blocks as rows drawn one by one",
  };
  const told = new Map<string, string>();

  beforeAll(async () => {
    const out = join(folder, "weights");
    const group = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"];
    await run([...group, CHECKS, out, "parallel"]);
    const lines = (await run([CHECKS, out, ...Object.keys(checks)])).trim().split("\n");
    for (const line of lines) told.set(line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2));
  }, 180_000);

  for (const [name, behaviour] of Object.entries(checks)) {
    test(behaviour, () => expect(told.get(name)).toBe("ok"));
  }
});
