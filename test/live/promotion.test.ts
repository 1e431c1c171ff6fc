import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BUILTIN_MODELS } from "../../src/inference/builtin.ts";
import { JournalReader } from "../../src/journal/reader.ts";
import { type JournalRecord, RECORD } from "../../src/journal/record.ts";
import { replay } from "../../src/journal/replay.ts";
import { showDecision } from "../../src/journal/show.ts";
import { DecisionComparer } from "../../src/journal/verify.ts";
import { FolderStore } from "../../src/learn/registry/folder-store.ts";
import { Registry } from "../../src/learn/registry/registry.ts";
import type { ModelDirector } from "../../src/live/model-director.ts";
import { engineForReplay } from "../../src/live/replay-engine.ts";
import { LiveWatch } from "../../src/live/watch.ts";
import { skipUnlessNative } from "../support/native.ts";
import { Harness } from "./harness.ts";

const noEngine = await skipUnlessNative("champion and challengers, which the cpu engine alone runs");
const person = { who: "desk", why: "a test" };

/** A built-in model whose probabilities are shifted by so many logits: 0 = as it is. */
async function add(registry: Registry, builtin: string, shift: number): Promise<string> {
  const { cardPath, onnxPath } = BUILTIN_MODELS[builtin];
  const card = JSON.parse(readFileSync(cardPath, "utf8")) as { heads: Record<string, unknown>[] };
  if (shift !== 0) for (const head of card.heads) head.platt = { slope: 1, intercept: shift };
  const { version } = await registry.add(
    {
      card: new TextEncoder().encode(JSON.stringify(card)),
      onnx: new Uint8Array(readFileSync(onnxPath)),
      lineage: { parent: null, dataset: null, code: { keel: "0.0.0", commit: null } },
    },
    person,
  );
  return version;
}

describe.skipIf(noEngine)("a running desk that promotes by its policy", () => {
  const root = mkdtempSync(join(tmpdir(), "keel-promotion-"));
  let registry: Registry;
  let harness: Harness;
  let director: ModelDirector;
  let watch: LiveWatch;
  let shifted: string;
  let better: string;
  let worse: string;

  /** Rows of features that drift has seen of the model in force. */
  const watchedRows = (): number => watch.line.report?.drift[0]?.rows ?? 0;
  /** What the policy did, oldest first. */
  const moves = (): { version: string; to: string | undefined; why: string }[] =>
    registry.history.flatMap(({ entry }) =>
      entry.event.kind === "move" && entry.who !== person.who
        ? entry.event.moves.map(({ version, to }) => ({ version, to, why: entry.why }))
        : [],
    );

  beforeAll(async () => {
    const folder = join(root, "registry");
    registry = await Registry.open({
      store: new FolderStore(folder),
      signer: null,
      trusted: null,
      nowMs: Date.now,
    });
    shifted = await add(registry, "lstm-residual-int8", 2.5);
    for (const stage of ["shadow", "canary", "champion"] as const)
      await registry.setStage(shifted, stage, person);
    better = await add(registry, "lstm-residual-pruned-int8", 0);
    harness = await Harness.start({
      KEEL_DEVICE: "cpu",
      KEEL_REGISTRY: folder,
      KEEL_MODEL: "registry:champion",
      KEEL_CHALLENGERS: "2",
      KEEL_PROMOTE: "auto",
      KEEL_DRIFT: "watch",
      // The machine that tests run on may be slow, and the simulated market's labels are few.
      KEEL_CHALLENGE_STEP_US_MAX: "1000000",
      KEEL_CHALLENGE_CALIBRATION_MAX: "1",
      KEEL_CHALLENGE_SHED_MAX: "1",
      KEEL_CHALLENGE_BLOCK_MS: "100",
      KEEL_CHALLENGE_CANARY_SHARE: "1",
      KEEL_CHALLENGE_SHADOW_BLOCKS: "30",
      KEEL_CHALLENGE_CANARY_BLOCKS: "5",
      KEEL_CHALLENGE_GUARD_BLOCKS: "30",
    });
    await harness.untilQuoting();
    director = directorOf(harness);
    const found = harness.live.taps.find((tap) => tap instanceof LiveWatch);
    if (!(found instanceof LiveWatch)) throw new Error("the desk watches over its model");
    watch = found;
  }, 120_000);
  afterAll(async () => {
    await harness.stop();
    await director.ended();
    harness.remove();
    rmSync(root, { recursive: true, force: true });
  });

  test("brings a challenger that is better to champion by itself, and drift begins anew with it", async () => {
    await harness.until("rows that drift has counted", () => watchedRows() > 20);
    await harness.until("another champion", () => director.running === better, 90_000);
    await registry.refresh();
    expect(moves().map(({ to, version }) => [version, to])).toEqual(
      expect.arrayContaining([
        [better, "shadow"],
        [better, "canary"],
        [better, "champion"],
        [shifted, "retired"],
      ]),
    );
    const canary = moves().find(({ version, to }) => version === better && to === "canary");
    expect(canary?.why).toMatch(/^better: log loss −/);
    const atSwitch = watchedRows();
    await harness.until("a report of the new model's", () => watchedRows() < atSwitch || atSwitch === 0);
  }, 120_000);

  test("refuses a challenger that is worse by itself", async () => {
    worse = await add(registry, "lstm-residual-int8", 4);
    await harness.until("the refusal", () => director.refusals === 1, 90_000);
    // It is refused here first, and then written into the registry.
    for (let tries = 0; tries < 200 && registry.stageOf(worse) !== "retired"; tries += 1) {
      await Bun.sleep(50);
      await registry.refresh();
    }
    expect(registry.stageOf(worse)).toBe("retired");
    expect(moves().at(-1)).toMatchObject({ version: worse, to: "retired" });
    expect(moves().at(-1)?.why).toMatch(/^worse: log loss \+/);
    expect(director.running).toBe(better);
  }, 120_000);

  test("takes a worse champion that a person put in force back by itself", async () => {
    // The guard of the first promotion must be over before anything else is promoted.
    await harness.until("the guard is over", () => JSON.stringify(director.view()).includes('"guard":null'));
    const bad = await add(registry, "lstm-residual-int8", 3.5);
    for (const stage of ["shadow", "canary", "champion"] as const)
      await registry.setStage(bad, stage, person);
    await harness.until("the worse champion", () => director.running === bad);
    await harness.until("the old champion again", () => director.running === better, 90_000);
    expect(director.rollbacks).toBe(1);
    await registry.refresh();
    expect(registry.champion).toBe(better);
    expect(registry.stageOf(bad)).toBe("retired");
    expect(moves().at(-1)?.why).toMatch(/^better: the old champion was better/);
  }, 120_000);

  test("loses no event over three exchanges, and its journal gives the very same decisions", async () => {
    await harness.live.stop();
    const reader = new JournalReader(join(harness.folder, "journal"));
    const records: JournalRecord[] = [];
    for (const record of reader.records())
      records.push({ ...record, payload: new Uint8Array(record.payload) });
    const frames = records.filter(({ type }) => type === RECORD.feedFrame).length;
    expect(harness.desk.counters.frames).toBe(frames);
    expect(harness.live.journalDropped).toBe(0);
    const acts = records
      .filter(({ type }) => type === RECORD.model)
      .map(({ payload }) => (JSON.parse(new TextDecoder().decode(payload)) as { do: string }).do);
    expect(acts.filter((act) => act === "exchange")).toHaveLength(3);
    const comparer = new DecisionComparer(showDecision);
    const warnings: string[] = [];
    const { desk } = await replay(records, {
      engineFor: (start) =>
        engineForReplay(start, undefined, { info: () => {}, warn: (line) => warnings.push(line) }),
      decisions: comparer,
      onRecord: (record) => comparer.recorded(record),
    });
    expect(warnings).toEqual([]);
    expect(comparer.finish().difference).toBeNull();
    expect(desk.counters).toEqual(harness.desk.counters);
  }, 120_000);
});

function directorOf(harness: Harness): ModelDirector {
  const { models } = harness.live;
  if (models === null) throw new Error("the desk has no models to change");
  return models;
}
