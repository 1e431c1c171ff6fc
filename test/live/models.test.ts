import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { executionReports } from "../../src/command/report/write.ts";
import { SignatureChecker, Signer } from "../../src/core/signature.ts";
import type { ModelAct } from "../../src/desk/model-act.ts";
import { BUILTIN_MODELS } from "../../src/inference/builtin.ts";
import { type ModelCard, modelLabel } from "../../src/inference/card.ts";
import { JournalReader } from "../../src/journal/reader.ts";
import { type JournalRecord, RECORD } from "../../src/journal/record.ts";
import { replay } from "../../src/journal/replay.ts";
import { showDecision } from "../../src/journal/show.ts";
import { DecisionComparer } from "../../src/journal/verify.ts";
import { readOutcomes } from "../../src/learn/outcomes/file.ts";
import { journalOutcomes } from "../../src/learn/outcomes/journal.ts";
import type { OutcomeTable } from "../../src/learn/outcomes/table.ts";
import { FolderStore } from "../../src/learn/registry/folder-store.ts";
import { Registry } from "../../src/learn/registry/registry.ts";
import type { Stage } from "../../src/learn/registry/stage.ts";
import type { ModelDirector } from "../../src/live/model-director.ts";
import { engineForReplay } from "../../src/live/replay-engine.ts";
import { skipUnlessNative } from "../support/native.ts";
import { Harness } from "./harness.ts";

const noEngine = await skipUnlessNative("champion and challengers, which the cpu engine alone runs");

const root = mkdtempSync(join(tmpdir(), "keel-models-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
/** As fills and outcomes name the two models. */
const LABELS = ["lstm-residual-int8", "lstm-residual-pruned-int8"].map((builtin) => {
  const card = JSON.parse(readFileSync(BUILTIN_MODELS[builtin].cardPath, "utf8")) as ModelCard;
  return modelLabel(card);
});
const author = { who: "desk", why: "a test" };
const pem = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();
const keyFile = join(root, "registry.pem");
writeFileSync(keyFile, pem);

function open(folder: string): Promise<Registry> {
  return Registry.open({
    store: new FolderStore(folder),
    signer: new Signer(pem, "registry"),
    trusted: [new SignatureChecker(pem, "registry")],
    nowMs: Date.now,
  });
}

async function add(
  registry: Registry,
  builtin: string,
  change: (card: Record<string, unknown>) => void = () => {},
): Promise<string> {
  const { cardPath, onnxPath } = BUILTIN_MODELS[builtin];
  const card = JSON.parse(readFileSync(cardPath, "utf8")) as Record<string, unknown>;
  change(card);
  const { version } = await registry.add(
    {
      card: new TextEncoder().encode(JSON.stringify(card)),
      onnx: new Uint8Array(readFileSync(onnxPath)),
      lineage: { parent: null, dataset: null, code: { keel: "0.0.0", commit: null } },
    },
    author,
  );
  return version;
}

async function champion(registry: Registry, version: string): Promise<void> {
  for (const stage of ["shadow", "canary", "champion"] as const) {
    await registry.setStage(version, stage, author);
  }
}

function start(folder: string, more: Readonly<Record<string, string>>): Promise<Harness> {
  return Harness.start({
    KEEL_DEVICE: "cpu",
    KEEL_REGISTRY: folder,
    KEEL_REGISTRY_KEY_FILE: keyFile,
    KEEL_MODEL: "registry:champion",
    KEEL_CHALLENGERS: "2",
    // The machine that tests run on may be slow; and what a simulated market labels is not what is tested here.
    KEEL_CHALLENGE_STEP_US_MAX: "1000000",
    KEEL_CHALLENGE_CALIBRATION_MAX: "1",
    KEEL_CHALLENGE_SHED_MAX: "1",
    KEEL_CHALLENGE_BLOCK_MS: "100",
    KEEL_CHALLENGE_CANARY_SHARE: "0.8",
    KEEL_CHALLENGE_CANARY_SLICE_MS: "100",
    ...more,
  });
}

const directorOf = (harness: Harness): ModelDirector => {
  const { models } = harness.live;
  if (models === null) throw new Error("the desk has no models to change");
  return models;
};

function recorded(harness: Harness): JournalRecord[] {
  const reader = new JournalReader(join(harness.folder, "journal"));
  // A payload is valid until the next record is read.
  return Array.from(reader.records(), (record) => ({ ...record, payload: new Uint8Array(record.payload) }));
}

const stages = (registry: Registry): Record<string, Stage> =>
  Object.fromEntries(registry.list().map(({ version, stage }) => [version, stage]));

describe.skipIf(noEngine)("a desk whose policy promotes by itself", () => {
  const folder = join(root, "auto");
  let registry: Registry;
  let harness: Harness;
  let first: string;
  let second: string;
  let records: JournalRecord[];

  beforeAll(async () => {
    registry = await open(folder);
    first = await add(registry, "lstm-residual-int8");
    await champion(registry, first);
    second = await add(registry, "lstm-residual-pruned-int8");
    harness = await start(folder, {
      KEEL_PROMOTE: "auto",
      KEEL_OUTCOMES_DIR: join(root, "outcomes"),
      // No worse than by one nat: whatever the market is, a model of the same kind passes.
      KEEL_CHALLENGE_MARGIN: "1",
      KEEL_CHALLENGE_SHADOW_BLOCKS: "5",
      KEEL_CHALLENGE_CANARY_BLOCKS: "20",
      KEEL_CHALLENGE_GUARD_BLOCKS: "10",
    });
    await harness.untilQuoting();
    const director = directorOf(harness);
    await harness.until("another champion", () => director.running === second, 60_000);
    const quoted = harness.desk.counters.predictions;
    await harness.until("its predictions", () => harness.desk.counters.predictions > quoted + 50);
    await harness.stop();
    await director.ended();
    records = recorded(harness);
    await registry.refresh();
  }, 120_000);
  afterAll(() => harness.remove());

  test("brings a candidate through shadow and canary to champion, and says why at each step", () => {
    expect(stages(registry)).toEqual({ [first]: "retired", [second]: "champion" });
    const steps = registry.history.flatMap(({ entry }) =>
      entry.event.kind === "move" && entry.who !== author.who
        ? [[entry.event.moves.at(-1)?.to, entry.why]]
        : [],
    );
    expect(steps.map(([to]) => to)).toEqual(["shadow", "canary", "champion"]);
    expect(steps[1][1]).toMatch(/^not-worse: log loss .* blocks$/);
  });

  test("has the canary in force in slices of time before that", () => {
    const acts = records
      .filter(({ type }) => type === RECORD.model)
      .map(
        ({ payload }) =>
          JSON.parse(new TextDecoder().decode(payload)) as { do: string; underlyings: number[] },
      );
    const kinds = acts.map((act) => act.do);
    expect(kinds[0]).toBe("load");
    expect(kinds).toContain("exchange");
    expect(acts.some((act) => act.do === "force" && act.underlyings.length === 1)).toBe(true);
  });

  test("quotes on without a gap, and nothing that it must not", () => {
    expect(harness.violations).toEqual([]);
    expect(harness.desk.counters.predictions).toBeGreaterThan(20);
  });

  test("replays bit for bit, with every change of the model", async () => {
    const comparer = new DecisionComparer(showDecision);
    const warnings: string[] = [];
    await replay(records, {
      engineFor: (start) =>
        engineForReplay(start, undefined, { info: () => {}, warn: (line) => warnings.push(line) }),
      decisions: comparer,
      onRecord: (record) => comparer.recorded(record),
    });
    expect(warnings).toEqual([]);
    const found = comparer.finish();
    expect(found.difference).toBeNull();
    expect(found.compared).toBeGreaterThan(20);
  });

  test("credits what it predicted, quoted and traded to the model that was in force then, live and from the journal", async () => {
    interface Named {
      readonly table: OutcomeTable;
      readonly timeUs: number;
      readonly model: string;
    }
    const live: Named[] = [];
    readOutcomes(join(root, "outcomes"), (table, { time_us: timeUs, model }) => {
      live.push({ table, timeUs, model });
    });
    // The one underlying's model by the journal's acts: number of the record, and label from then on.
    let [inForce, beside] = [LABELS[0], LABELS[1]];
    const spans: { fromUs: number; model: string }[] = [{ fromUs: 0, model: inForce }];
    for (const { type, payload, timeUs } of records) {
      if (type !== RECORD.model) continue;
      const act = JSON.parse(new TextDecoder().decode(payload)) as ModelAct;
      if (act.do === "exchange") [inForce, beside] = [beside, inForce];
      const isForced = act.do === "force" && act.underlyings.includes(0);
      spans.push({ fromUs: timeUs, model: isForced ? beside : inForce });
    }
    expect(spans.length).toBeGreaterThan(3);
    const modelAt = (timeUs: number): string => spans.findLast(({ fromUs }) => fromUs <= timeUs)?.model ?? "";
    for (const table of ["prediction", "quote"] as const) {
      const of = live.filter((row) => row.table === table);
      expect(new Set(of.map(({ model }) => model))).toEqual(new Set(LABELS));
      // What leaves in the very turn of a change may bear its time.
      const odd = of.filter(({ timeUs, model }) => model !== modelAt(timeUs));
      expect(odd.every(({ timeUs }) => spans.some(({ fromUs }) => Math.abs(fromUs - timeUs) < 2_000))).toBe(
        true,
      );
      expect(odd.length).toBeLessThan(0.05 * of.length);
    }
    const replayed: Named[] = [];
    await journalOutcomes(
      new JournalReader(join(harness.folder, "journal")),
      (start) => engineForReplay(start, undefined, { info: () => {}, warn: () => {} }),
      {
        outcome: (table, { time_us: timeUs, model }) => {
          replayed.push({ table, timeUs, model });
        },
      },
    );
    const inOrder = (rows: readonly Named[]): string[] =>
      rows.map(({ table, timeUs, model }) => `${table} ${timeUs} ${model}`).sort();
    expect(inOrder(replayed)).toEqual(inOrder(live));
    const [day] = await executionReports(
      { outcomes: join(root, "outcomes"), journal: undefined, run: undefined, fromUs: 0, toUs: Infinity },
      () => {},
    );
    const told = Object.fromEntries(
      day.models.map(({ name, predictions, quotes }) => [name, [predictions, quotes.count]]),
    );
    const count = (model: string, table: OutcomeTable): number =>
      live.filter((row) => row.model === model && row.table === table).length;
    expect(told).toEqual(
      Object.fromEntries(LABELS.map((model) => [model, [count(model, "prediction"), count(model, "quote")]])),
    );
  });

  test("keeps the outcomes of each model, would-be quotes among them", () => {
    for (const version of [first, second]) {
      const counts = { prediction: 0, quote: 0, fill: 0, unfilled: 0 };
      const parts = readOutcomes(join(root, "outcomes", "models", version), (table) => {
        counts[table] += 1;
      });
      expect(parts[0].header.model).toBe(version);
      expect(counts.prediction).toBeGreaterThan(20);
      expect(counts.quote).toBeGreaterThan(20);
    }
    expect(readdirSync(join(root, "outcomes", "models")).sort()).toEqual([first, second].sort());
  });
});

describe.skipIf(noEngine)("a desk that a person promotes on", () => {
  const folder = join(root, "manual");
  let registry: Registry;
  let harness: Harness;
  let director: ModelDirector;
  let first: string;
  let second: string;
  let lying: string;

  beforeAll(async () => {
    registry = await open(folder);
    first = await add(registry, "lstm-residual-int8");
    await champion(registry, first);
    second = await add(registry, "lstm-residual-pruned-int8");
    // Its card says that it computes something else than it does.
    lying = await add(registry, "lstm-residual", (card) => {
      const selfTest = card.selfTest as { probabilities: number[][] };
      selfTest.probabilities[0][0] = 1 - selfTest.probabilities[0][0];
    });
    await registry.setStage(lying, "shadow", author);
    harness = await start(folder, { KEEL_CHALLENGE_SHADOW_BLOCKS: "2", KEEL_CHALLENGE_MARGIN: "1" });
    await harness.untilQuoting();
    director = directorOf(harness);
  }, 120_000);
  afterAll(async () => {
    await harness.stop();
    await director.ended();
    harness.remove();
  });

  test("refuses a model that does not compute what its card says, by name, and goes on", async () => {
    await harness.until("the refusal", () => director.refusals === 1);
    expect(JSON.stringify(director.view())).toContain("self-test row 0");
    await registry.refresh();
    expect(registry.stageOf(lying)).toBe("shadow");
    expect(director.running).toBe(first);
  }, 120_000);

  test("waits with a verdict, changes nothing by itself, and does what it is told", async () => {
    expect((await director.promote(second, author)).stage).toBe("shadow");
    await harness.until("a verdict that waits", () => director.waiting > 0);
    await registry.refresh();
    expect(registry.stageOf(second)).toBe("shadow");
    await director.promote(second, author);
    await harness.until("the canary in force", () => director.canaryUnderlyings.length === 1);
    await director.promote(second, author);
    await harness.until("another champion", () => director.running === second);
  }, 120_000);

  test("calls the old champion back, which stayed warm", async () => {
    const loads = (): number =>
      recorded(harness).filter(
        ({ type, payload }) => type === RECORD.model && new TextDecoder().decode(payload).includes('"load"'),
      ).length;
    const before = loads();
    expect((await director.rollback(author)).version).toBe(first);
    await harness.until("the old champion", () => director.running === first);
    expect(director.rollbacks).toBe(1);
    expect(loads()).toBe(before);
    await registry.refresh();
    expect(stages(registry)).toMatchObject({ [first]: "champion", [second]: "retired" });
  }, 120_000);
});

test("a desk does not start with a champion that was changed where it lies", async () => {
  const folder = join(root, "changed");
  const registry = await open(folder);
  const version = await add(registry, "lstm-residual-int8");
  await champion(registry, version);
  const path = join(folder, "blobs", (await registry.manifest(version)).onnxSha256);
  const bytes = readFileSync(path);
  bytes[1_000] ^= 1;
  writeFileSync(path, bytes);
  expect(start(folder, {})).rejects.toThrow(/model.onnx: found SHA-256/);
});
