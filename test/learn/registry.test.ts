import { afterAll, describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { SignatureChecker, Signer } from "../../src/core/signature.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../../src/feature/schema.ts";
import { BUILTIN_MODELS } from "../../src/inference/builtin.ts";
import { loadModel } from "../../src/inference/model.ts";
import { decodeEntry, encodeEntry, GENESIS } from "../../src/learn/registry/entry.ts";
import { FolderStore } from "../../src/learn/registry/folder-store.ts";
import { Registry } from "../../src/learn/registry/registry.ts";
import { illegal, STAGES, type Stage } from "../../src/learn/registry/stage.ts";

const root = mkdtempSync(join(tmpdir(), "keel-registry-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
function folder(): string {
  folders += 1;
  return join(root, String(folders));
}

const keys = generateKeyPairSync("ed25519");
const pem = keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
const signer = new Signer(pem, "registry");
const trusted = [new SignatureChecker(pem, "registry")];
const stranger = generateKeyPairSync("ed25519")
  .privateKey.export({ type: "pkcs8", format: "pem" })
  .toString();

const author = { who: "desk", why: "a test" };
const lineage = { parent: null, dataset: "ab".repeat(32), code: { keel: "0.0.0", commit: null } };

/** A shipped model under another name, so that each call gives another version. */
function model(name: string): { card: Uint8Array; onnx: Uint8Array<ArrayBuffer> } {
  const { cardPath, onnxPath } = BUILTIN_MODELS["lstm-residual-int8"];
  const card = { ...JSON.parse(readFileSync(cardPath, "utf8")), name };
  return {
    card: new TextEncoder().encode(JSON.stringify(card)),
    onnx: new Uint8Array(readFileSync(onnxPath)),
  };
}

function open(at: string, key: string | null = pem): Promise<Registry> {
  return Registry.open({
    store: new FolderStore(at),
    signer: key === null ? null : new Signer(key, "registry"),
    trusted,
    nowMs: () => 1_700_000_000_000,
  });
}

async function withVersions(at: string, ...names: string[]): Promise<Registry> {
  const registry = await open(at);
  for (const name of names) await registry.add({ ...model(name), lineage }, author);
  return registry;
}

async function champion(registry: Registry, reference: string): Promise<void> {
  for (const stage of ["shadow", "canary", "champion"] as const) {
    await registry.setStage(reference, stage, author);
  }
}

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "nothing was thrown",
    (error: unknown) => (error instanceof Error && "code" in error ? String(error.code) : String(error)),
  );

describe("a registry", () => {
  test("gives back what was added, byte for byte, to another process", async () => {
    const at = folder();
    const added = model("alpha");
    const { version } = await (await open(at)).add(
      {
        ...added,
        lineage,
        metrics: { "test/auc/down50": 0.8 },
        trainingLog: new TextEncoder().encode("log"),
      },
      author,
    );
    const other = await open(at);
    const read = await other.read("latest");
    expect(read.version).toBe(version);
    expect(read.card).toEqual(new Uint8Array(added.card));
    expect(read.onnx).toEqual(added.onnx);
    expect(read.manifest.metrics).toEqual({ "test/auc/down50": 0.8 });
    expect(new TextDecoder().decode((await other.trainingLog(version)) ?? undefined)).toBe("log");
    expect(await other.verify()).toEqual([]);
  });

  test("adds the same model with the same lineage once", async () => {
    const registry = await withVersions(folder(), "alpha", "alpha");
    expect(registry.list()).toHaveLength(1);
    expect(registry.history).toHaveLength(1);
  });

  test("lays a version out as a folder that models are loaded from", async () => {
    const registry = await withVersions(folder(), "alpha");
    const path = await registry.materialise("latest", folder());
    const loaded = await loadModel(path, { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT });
    expect(loaded.card.name).toBe("alpha");
    expect(await registry.materialise("latest", join(path, ".."))).toBe(path);
    expect(readdirSync(join(path, "..")).length).toBe(1);
  });

  test("replaces the champion and retires it in one step", async () => {
    const registry = await withVersions(folder(), "alpha", "beta");
    const [alpha, beta] = registry.list().map(({ version }) => version);
    await champion(registry, alpha);
    await champion(registry, beta);
    expect(registry.champion).toBe(beta);
    expect(registry.stageOf(alpha)).toBe("retired");
    expect(registry.history.at(-1)?.entry.event).toEqual({
      kind: "move",
      moves: [
        { version: alpha, from: "champion", to: "retired" },
        { version: beta, from: "canary", to: "champion" },
      ],
    });
  });

  test("rolls a canary back to the shadow, and a champion to the one before", async () => {
    const registry = await withVersions(folder(), "alpha", "beta");
    const [alpha, beta] = registry.list().map(({ version }) => version);
    await champion(registry, alpha);
    await registry.promote(beta, author);
    await registry.promote(beta, author);
    await registry.rollback(author);
    expect(registry.stageOf(beta)).toBe("shadow");
    await registry.promote(beta, author);
    await registry.promote(beta, author);
    await registry.rollback(author);
    expect(registry.champion).toBe(alpha);
    expect(registry.stageOf(beta)).toBe("retired");
  });

  test("refuses a move that is not allowed, and changes nothing", async () => {
    const registry = await withVersions(folder(), "alpha", "beta");
    const [alpha, beta] = registry.list().map(({ version }) => version);
    await champion(registry, alpha);
    const before = registry.head;
    expect(await codeOf(registry.setStage(beta, "canary", author))).toBe("registry-stage");
    expect(await codeOf(registry.setStage(beta, "champion", author))).toBe("registry-stage");
    expect(await codeOf(registry.setStage(alpha, "shadow", author))).toBe("registry-stage");
    expect(registry.head).toBe(before);
    expect((await open(registry.name)).head).toBe(before);
  });

  test("names versions, and refuses names that are taken", async () => {
    const registry = await withVersions(folder(), "alpha");
    const version = registry.resolve("latest");
    await registry.setAlias("holiday", "latest", author);
    expect(registry.resolve("holiday")).toBe(version);
    expect(registry.resolve(version.split("@")[1].slice(0, 6))).toBe(version);
    expect(await codeOf(registry.setAlias("champion", version, author))).toBe("registry-stage");
    await registry.setAlias("holiday", null, author);
    expect(() => registry.resolve("holiday")).toThrow("no such version");
  });

  test("takes every change of several writers at once, one after the other", async () => {
    const at = folder();
    const names = ["a", "b", "c", "d", "e", "f"];
    await Promise.all(names.map(async (name) => (await open(at)).add({ ...model(name), lineage }, author)));
    const after = await open(at);
    expect(
      after
        .list()
        .map(({ version }) => version.split("@")[0])
        .sort(),
    ).toEqual(names);
    expect(after.history.map(({ entry }) => entry.sequence)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test("is the same one by a link to its folder", async () => {
    const at = folder();
    mkdirSync(at, { recursive: true });
    const link = folder();
    symlinkSync(at, link);
    await Promise.all(
      [at, link, `${link}/`].map(async (path, which) => {
        await (await open(path)).add({ ...model(`v${which}`), lineage }, author);
      }),
    );
    const after = await open(link);
    expect(after.head).toBe((await open(at)).head);
    expect(after.list()).toHaveLength(3);
    expect((await after.read("latest")).onnx).toEqual(model("any").onnx);
  });

  test("lets one of two promotions of different versions win", async () => {
    const at = folder();
    const first = await withVersions(at, "alpha", "beta");
    const [alpha, beta] = first.list().map(({ version }) => version);
    await first.setStage(alpha, "shadow", author);
    await first.setStage(beta, "shadow", author);
    const second = await open(at);
    const codes = await Promise.all([
      codeOf(first.setStage(alpha, "canary", author)),
      codeOf(second.setStage(beta, "canary", author)),
    ]);
    expect(codes.sort()).toEqual(["nothing was thrown", "registry-stage"]);
  });

  test("is not harmed by a writer that died before its object was in place", async () => {
    const at = folder();
    const registry = await withVersions(at, "alpha");
    writeFileSync(join(at, "history", ".new-1234"), "half of an ent");
    const after = await open(at);
    expect(after.head).toBe(registry.head);
    await after.promote("latest", author);
    expect((await open(at)).stageOf(after.resolve("latest"))).toBe("shadow");
  });
});

describe("a registry refuses", () => {
  test("a model that is not the one of its card", async () => {
    const registry = await open(folder());
    const { card, onnx } = model("alpha");
    const other = new Uint8Array(onnx);
    other[other.length >> 1] ^= 1;
    expect(await codeOf(registry.add({ card, onnx: other, lineage }, author))).toBe("registry-digest");
    expect(existsSync(join(registry.name, "history"))).toBe(false);
  });

  test("a model, a card or a manifest that was changed where it lies", async () => {
    for (const pick of ["onnxSha256", "cardSha256", "manifest"] as const) {
      const registry = await withVersions(folder(), "alpha");
      const [{ manifestSha256 }] = registry.list();
      const digest = pick === "manifest" ? manifestSha256 : (await registry.manifest("latest"))[pick];
      const path = join(registry.name, "blobs", digest);
      const bytes = readFileSync(path);
      bytes[bytes.length >> 1] ^= 1;
      writeFileSync(path, bytes);
      expect(await codeOf(registry.read("latest"))).toBe("registry-digest");
      expect(await registry.verify()).toHaveLength(1);
      rmSync(path);
      expect(await codeOf(registry.read("latest"))).toBe("registry-missing");
    }
  });

  test("what another key signed, and what nobody signed", async () => {
    const at = folder();
    await (
      await Registry.open({
        store: new FolderStore(at),
        signer: new Signer(stranger, "registry"),
        trusted: null,
        nowMs: Date.now,
      })
    ).add({ ...model("alpha"), lineage }, author);
    expect(await codeOf(open(at))).toBe("registry-signature");
    const own = folder();
    expect(await codeOf((await open(own, null)).add({ ...model("alpha"), lineage }, author))).toBe(
      "registry-signature",
    );
    expect(await codeOf((await open(own, stranger)).add({ ...model("alpha"), lineage }, author))).toBe(
      "registry-signature",
    );
  });

  test("a history of which any byte was changed", async () => {
    const registry = await withVersions(folder(), "alpha", "beta");
    await registry.promote("latest", author);
    const path = join(registry.name, "history", "00000002");
    const good = readFileSync(path);
    for (let at = 0; at < good.length; at += 7) {
      const bad = Buffer.from(good);
      bad[at] ^= 4;
      writeFileSync(path, bad);
      expect(await codeOf(open(registry.name))).toMatch(/^registry-(entry|chain|signature)$/);
    }
    writeFileSync(path, good);
    expect((await open(registry.name)).head).toBe(registry.head);
  });

  test("a history with an entry of another place", async () => {
    const registry = await withVersions(folder(), "alpha", "beta");
    const first = readFileSync(join(registry.name, "history", "00000001"));
    writeFileSync(join(registry.name, "history", "00000002"), first);
    expect(await codeOf(open(registry.name))).toBe("registry-chain");
  });
});

test("no bytes make an entry but those that were signed", () => {
  const place = { sequence: 1, previous: GENESIS };
  const entry = {
    ...place,
    timeMs: 1,
    ...author,
    event: { kind: "add", version: "a@0123456789ab", manifestSha256: "0".repeat(64) },
  } as const;
  expect(decodeEntry("x", encodeEntry(entry, signer), place, trusted).entry.event).toEqual(entry.event);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      expect(() => decodeEntry("x", bytes, place, trusted)).toThrow(/^x: found/);
    }),
  );
});

test("whatever is tried, there is at most one champion and one canary", () => {
  const versions = ["a", "b", "c"];
  const attempt = fc.record({
    version: fc.constantFrom(...versions),
    to: fc.constantFrom(...STAGES),
    replacing: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(attempt, { maxLength: 60 }), (attempts) => {
      const stages = new Map<string, Stage>(versions.map((version) => [version, "candidate"]));
      const champions: string[] = [];
      const at = (stage: Stage): string | null => versions.find((each) => stages.get(each) === stage) ?? null;
      for (const { version, to, replacing } of attempts) {
        const old = at("champion");
        const out = { version: old ?? "", from: "champion", to: "retired" } as const;
        const move = { version, from: stages.get(version) ?? "candidate", to };
        const moves = replacing && old !== null ? [out, move] : [move];
        const standing = { champion: old, canary: at("canary") };
        if (
          illegal(
            moves,
            (each) => stages.get(each),
            (each) => champions.includes(each),
            standing,
          ) !== null
        )
          continue;
        for (const done of moves) stages.set(done.version, done.to);
        if (to === "champion") champions.push(version);
        for (const only of ["champion", "canary"]) {
          expect([...stages.values()].filter((stage) => stage === only).length).toBeLessThanOrEqual(1);
        }
        if (old !== null) expect(at("champion")).not.toBeNull();
      }
    }),
  );
});
