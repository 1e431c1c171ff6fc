import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import type { BenchReport } from "../../src/bench/report.ts";
import { runCommandLine } from "../../src/command/cli.ts";
import type { Command } from "../../src/command/command.ts";
import { type Examination, examineModel } from "../../src/command/model/examine.ts";
import type { ListedModel } from "../../src/command/model/list.ts";
import { model } from "../../src/command/model.ts";
import { EXIT, ModelRefusedError } from "../../src/core/errors.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../../src/feature/schema.ts";
import { BUILTIN_MODELS, DEFAULT_MODEL } from "../../src/inference/builtin.ts";
import type { ModelCard } from "../../src/inference/card.ts";
import { cpuIsas } from "../../src/inference/cpu.ts";
import { builtinModelNames } from "../../src/inference/model.ts";
import { writeOnnx } from "../../src/inference/onnx/writer.ts";
import { DEFAULT_ENGINE_SETTINGS } from "../../src/inference/settings.ts";
import { MALFORMED_MODELS } from "../inference/malformed-models.ts";
import { lstmGraph, SMALL } from "../inference/test-model.ts";
import { SMALL_WINDOW, windowedCard, windowedGraph } from "../inference/windowed-model.ts";

const isas = await cpuIsas();
const root = mkdtempSync(join(tmpdir(), "keel-model-verb-"));
afterAll(() => rmSync(root, { recursive: true }));

async function run(...args: string[]) {
  let stdout = "";
  let stderr = "";
  const exitCode = await runCommandLine(["model", ...args, "--json"], {
    env: {},
    stdout: { write: (text: string) => (stdout += text) },
    stderr: { write: (text: string) => (stderr += text) },
    shutdown: new AbortController().signal,
    verbs: { model: async (): Promise<Command> => model },
  });
  return {
    exitCode,
    stdout,
    stderr,
    result: JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as unknown,
  };
}

async function check(target: string) {
  const { exitCode, stdout, result } = await run("check", target);
  return { exitCode, stdout, found: result as Examination };
}

/** A folder with a model: the built-in one, changed. */
async function folder(name: string, change: { card?: (card: ModelCard) => void; cardText?: string }) {
  const at = join(root, name);
  mkdirSync(at, { recursive: true });
  const { cardPath, onnxPath } = BUILTIN_MODELS[DEFAULT_MODEL];
  const card = (await Bun.file(cardPath).json()) as ModelCard;
  change.card?.(card);
  await Bun.write(join(at, "model.onnx"), Bun.file(onnxPath));
  await Bun.write(join(at, "card.json"), change.cardText ?? JSON.stringify(card));
  return at;
}

async function file(name: string, bytes: Uint8Array | string): Promise<string> {
  const path = join(root, name);
  await Bun.write(path, bytes);
  return path;
}

const failed = ({ checks }: Examination): string[] =>
  checks.filter(({ ok }) => !ok).map((each) => each.check);
const verdicts = ({ engines }: Examination) =>
  Object.fromEntries(engines.map(({ engine, isa, verdict }) => [isa ?? engine, verdict]));

describe("keel model check", () => {
  test("passes the built-in model on every engine and instruction set of this host", async () => {
    const { exitCode, stdout, found } = await check(DEFAULT_MODEL);
    expect(exitCode).toBe(EXIT.ok);
    expect(found.refused).toBeNull();
    expect(found.checks.map(({ check: name, ok }) => `${name} ${ok}`)).toEqual(
      ["card", "digest", "schema", "onnx", "interface"].map((name) => `${name} true`),
    );
    for (const label of [...isas, "wasm"]) expect(verdicts(found)[label]).toBe("passes");
    for (const { verdict, difference } of found.engines) {
      if (verdict === "passes") expect(difference).toBeGreaterThanOrEqual(0);
    }
    expect(found.operators.every(({ cpu, count }) => cpu && count > 0)).toBe(true);
    expect(found.slotBytes).toBeGreaterThan(0);
    expect(stdout).toContain("may be used on this host");
  });

  test("tells all that is wrong with a card, and still asks the engines", async () => {
    const path = await folder("other-features", {
      card: (card) => Object.assign(card, { schemaHash: "0".repeat(16), onnxSha256: "0".repeat(64) }),
    });
    const { exitCode, found } = await check(path);
    expect(exitCode).toBe(EXIT.modelRefused);
    expect(failed(found)).toEqual(["digest", "schema"]);
    expect(verdicts(found).wasm).toBe("passes");
    expect(found.refused).toContain("SHA-256");
  });

  test("refuses a model that computes something else than its card says", async () => {
    const path = await folder("wrong", {
      card: (card) => {
        card.selfTest.probabilities[0][0] += 0.1;
      },
    });
    const { exitCode, found } = await check(path);
    expect(exitCode).toBe(EXIT.modelRefused);
    expect(failed(found)).toEqual([]);
    expect(verdicts(found).wasm).toBe("wrong");
    expect(found.refused).toContain("self-test row 0, head down50");
  });

  test("looks at the ONNX file even when the card is none", async () => {
    const { exitCode, found } = await check(await folder("no-card", { cardText: "{" }));
    expect(exitCode).toBe(EXIT.modelRefused);
    expect(failed(found)).toEqual(["card"]);
    expect(found.operators.length).toBeGreaterThan(3);
    expect(found.engines).toEqual([]);
  });

  test("runs an ONNX file without a card where its inputs and outputs say how", async () => {
    const { exitCode, found } = await check(await file("step.onnx", writeOnnx(lstmGraph(SMALL))));
    expect(exitCode).toBe(EXIT.ok);
    expect([found.card, found.version, found.states.map(({ name }) => name)]).toEqual([
      false,
      null,
      ["h", "c"],
    ]);
    expect(found.inputs).toEqual(["features: float [B,11]", "h: float [B,13]", "c: float [B,13]"]);
    for (const label of [...isas, "wasm"]) expect(verdicts(found)[label]).toBe("runs");
  });

  test("runs a windowed ONNX file without a card on WebAssembly", async () => {
    const { exitCode, found } = await check(
      await file("window.onnx", writeOnnx(windowedGraph(SMALL_WINDOW))),
    );
    expect(exitCode).toBe(EXIT.ok);
    expect(found.window).toMatchObject({ length: 5, layout: "B1TF", input: "lob", output: "classes" });
    expect(verdicts(found)).toMatchObject({ wasm: "runs" });
    for (const { engine, verdict } of found.engines) if (engine !== "wasm") expect(verdict).toBe("refuses");
  });

  test("says of other graphs what they take and what was expected", async () => {
    const graph = { ...lstmGraph(SMALL), inputs: [{ name: "x", dims: ["B", 11] }] };
    const { exitCode, found } = await check(await file("other.onnx", writeOnnx(graph)));
    expect(exitCode).toBe(EXIT.modelRefused);
    expect(found.refused).toContain("inputs x: float [B,11]: neither a step model");
  });

  test("names operators that the cpu engine lacks", async () => {
    const spec = lstmGraph(SMALL);
    const nodes = [...spec.nodes, { operator: "Det", inputs: ["features"], outputs: ["unused"] }];
    const { found } = await check(await file("det.onnx", writeOnnx({ ...spec, nodes })));
    expect(found.operators).toContainEqual({ operator: "Det", count: 1, cpu: false });
    const cpu = found.engines.find(({ engine }) => engine === "cpu");
    if (isas.length > 0)
      expect(cpu).toMatchObject({ verdict: "refuses", detail: expect.stringContaining("(Det)") });
  });

  test("a name that is nothing ends with exit code 5", async () => {
    const { exitCode, stderr } = await run("check", join(root, "nothing"));
    expect(exitCode).toBe(EXIT.modelRefused);
    expect(stderr).toContain("neither a built-in model nor a folder");
  });
});

describe("keel model check never crashes", () => {
  const schema = { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT };
  const options = { schema, settings: DEFAULT_ENGINE_SETTINGS, run: true };

  async function examine(onnx: Uint8Array, card: string | null): Promise<void> {
    const at = join(root, "fuzz");
    rmSync(at, { recursive: true, force: true });
    mkdirSync(at, { recursive: true });
    await Bun.write(join(at, "model.onnx"), onnx);
    if (card !== null) await Bun.write(join(at, "card.json"), card);
    const found = await examineModel(at, options).catch((error: unknown) => error);
    if (found instanceof Error) expect(found).toBeInstanceOf(ModelRefusedError);
    else expect(found).toHaveProperty("refused");
  }

  const step = writeOnnx(lstmGraph({ featureCount: 3, hidden: 2, heads: 2, seed: 1 }));
  const windowed = writeOnnx(windowedGraph(SMALL_WINDOW));
  const card = JSON.stringify(windowedCard(SMALL_WINDOW, windowed));
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
  const changed = (bytes: Uint8Array, at: readonly (readonly [number, number])[]): Uint8Array => {
    const copy = bytes.slice();
    for (const [position, value] of at) copy[position % copy.length] = value;
    return copy;
  };

  test.each(MALFORMED_MODELS)("on $name, and tells what is wrong", async ({ name, bytes, told }) => {
    const { exitCode, found } = await check(await file(`${name}.onnx`, bytes));
    const cpu = found.engines.find(({ engine }) => engine === "cpu");
    if (isas.length > 0) expect(`${found.refused} ${cpu?.detail}`).toMatch(told);
    expect(exitCode).toBe(found.refused === null ? EXIT.ok : EXIT.modelRefused);
    expect(cpu?.verdict ?? "refuses").not.toBe("runs");
  });

  test("on noise and on truncated files", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.option(fc.string()), (bytes, text) =>
        examine(bytes, text),
      ),
      { numRuns: 100, seed: 1 },
    );
    for (let length = 0; length < step.length; length += 97) await examine(step.subarray(0, length), null);
  });

  test("on changed ONNX files without a card", async () => {
    const property = fc.asyncProperty(fc.constantFrom(step, windowed), changes, (bytes, at) =>
      examine(changed(bytes, at), null),
    );
    await fc.assert(property, { numRuns: 200, seed: 2 });
  }, 120_000);

  test("on changed cards", async () => {
    const property = fc.asyncProperty(changes, (at) =>
      examine(windowed, new TextDecoder().decode(changed(new TextEncoder().encode(card), at))),
    );
    await fc.assert(property, { numRuns: 60, seed: 3 });
  }, 120_000);
});

describe("keel model ls", () => {
  beforeAll(async () => {
    await folder("shelf/good", {});
    await folder("shelf/stale", { card: (card) => Object.assign(card, { schemaHash: "f".repeat(16) }) });
    mkdirSync(join(root, "shelf/empty"), { recursive: true });
    mkdirSync(join(root, "shelf/half"), { recursive: true });
    await file("shelf/half/card.json", "{}");
  });

  test("lists the built-in models and those of a folder, bad ones with the reason", async () => {
    const { exitCode, stdout, result } = await run("ls", join(root, "shelf"));
    expect(exitCode).toBe(EXIT.ok);
    const { models } = result as { models: ListedModel[] };
    const builtin = models.filter(({ source }) => source === "built-in");
    const others = models.slice(builtin.length);
    expect(builtin.map(({ name }) => name)).toEqual(builtinModelNames());
    for (const { engines, schemaOk, digestOk, refused } of builtin) {
      expect([engines.includes("wasm"), schemaOk, digestOk, refused]).toEqual([true, true, true, null]);
    }
    expect(others.map(({ source }) => source)).toEqual(
      ["good", "half", "stale"].map((name) => join(root, "shelf", name)),
    );
    expect(others.map(({ schemaOk }) => schemaOk)).toEqual([true, null, false]);
    expect(others[0].refused).toBeNull();
    expect(others[1].refused).toContain("no file");
    expect(others[2].refused).toContain("feature schema ffffffffffffffff");
    expect(stdout).toContain("not ok");
  });

  test("a folder that is not there is named", async () => {
    const { exitCode, stderr } = await run("ls", join(root, "no-shelf"));
    expect(exitCode).toBe(EXIT.badInputFile);
    expect(stderr).toContain("expected a folder of models");
  });
});

test("keel model bench times every engine at every batch size", async () => {
  const { exitCode, result } = await run("bench", DEFAULT_MODEL, "--seconds", "0.02");
  expect(exitCode).toBe(EXIT.ok);
  const { rows } = result as BenchReport;
  const names = rows.map(({ name }) => name);
  for (const batch of ["", "/batch16", "/batch128"]) {
    expect(names).toContain(`inference/wasm/${DEFAULT_MODEL}/step${batch}`);
    if (isas.length > 0) expect(names).toContain(`inference/cpu/${DEFAULT_MODEL}/step${batch}`);
  }
  for (const { n, p50, p99, p999, max } of rows) {
    expect(n).toBeGreaterThanOrEqual(20);
    expect(p50 <= p99 && p99 <= p999 && p999 <= max).toBe(true);
  }
});

test.each([
  [[], "ACTION is missing (usage: keel model ls [FOLDER]"],
  [["chekc", "x"], 'model: found "chekc", expected one of ls, check, bench'],
  [["check"], "model check: needs a model, found nothing"],
])("arguments %p are refused", async (args, message) => {
  const { exitCode, stderr } = await run(...args);
  expect(exitCode).toBe(EXIT.badConfiguration);
  expect(stderr).toContain(message);
});
