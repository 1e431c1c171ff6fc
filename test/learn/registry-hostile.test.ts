import { afterAll, describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KeelError } from "../../src/core/errors.ts";
import { Secret } from "../../src/core/secret.ts";
import { SignatureChecker, Signer } from "../../src/core/signature.ts";
import { BUILTIN_MODELS } from "../../src/inference/builtin.ts";
import { decodeEntry, encodeEntry, GENESIS, sha256 } from "../../src/learn/registry/entry.ts";
import { FolderStore } from "../../src/learn/registry/folder-store.ts";
import { openRegistry } from "../../src/learn/registry/open.ts";
import { Registry } from "../../src/learn/registry/registry.ts";
import { SeenHistories } from "../../src/learn/registry/seen-history.ts";
import type { RegistryStore } from "../../src/learn/registry/store.ts";
import { versionName } from "../../src/learn/registry/version.ts";

const root = mkdtempSync(join(tmpdir(), "keel-registry-hostile-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
function folder(): string {
  folders += 1;
  return join(root, String(folders));
}

const pem = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();
const signer = new Signer(pem, "registry");
const trusted = [new SignatureChecker(pem, "registry")];
const author = { who: "desk", why: "a test" };
const lineage = { parent: null, dataset: null, code: { keel: "0.0.0", commit: null } };
const { cardPath, onnxPath } = BUILTIN_MODELS["lstm-residual-int8"];
const onnx = new Uint8Array(readFileSync(onnxPath));

function model(name: string): { card: Uint8Array; onnx: Uint8Array<ArrayBuffer> } {
  const card = { ...JSON.parse(readFileSync(cardPath, "utf8")), name };
  return { card: new TextEncoder().encode(JSON.stringify(card)), onnx };
}

function open(store: RegistryStore | string): Promise<Registry> {
  const at = typeof store === "string" ? new FolderStore(store) : store;
  return Registry.open({ store: at, signer, trusted, nowMs: Date.now });
}

async function withVersions(store: RegistryStore | string, ...names: string[]): Promise<Registry> {
  const registry = await open(store);
  for (const name of names) await registry.add({ ...model(name), lineage }, author);
  return registry;
}

async function crown(registry: Registry, version: string): Promise<void> {
  while (registry.stageOf(version) !== "champion") await registry.promote(version, author);
}

const failureOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "nothing was thrown",
    (error: unknown) => (error instanceof KeelError ? `${error.code}: ${error.message}` : String(error)),
  );

/** A folder that keeps, answers for, or forgets an entry other than it should, once. */
class Unreliable implements RegistryStore {
  readonly name: string;
  next: "keeps" | "loses the answer" | "answers as the second" | "loses the object" | "fails" = "keeps";
  readonly #folder: string;
  readonly #inner: FolderStore;

  constructor(at: string) {
    this.name = at;
    this.#folder = at;
    this.#inner = new FolderStore(at);
  }

  get(key: string, bytesMax: number): Promise<Uint8Array<ArrayBuffer> | null> {
    return this.#inner.get(key, bytesMax);
  }

  async create(key: string, bytes: Uint8Array): Promise<boolean> {
    const how = key.startsWith("history/") ? this.next : "keeps";
    if (how === "keeps") return this.#inner.create(key, bytes);
    this.next = "keeps";
    if (how === "fails") throw new KeelError("registry-store", "503");
    await this.#inner.create(key, bytes);
    if (how === "loses the answer") throw new KeelError("registry-store", "timed out");
    if (how === "answers as the second") return false;
    unlinkSync(join(this.#folder, key));
    return true;
  }
}

describe("rolling back", () => {
  test("goes on to the champion before, never forward to the one that was taken back, and ends at the first", async () => {
    const at = folder();
    const registry = await withVersions(at, "alpha", "beta", "gamma");
    const [alpha, beta, gamma] = registry.list().map(({ version }) => version);
    expect(await failureOf(registry.rollback(author))).toContain("nothing to roll back to");
    await crown(registry, alpha);
    expect(await failureOf(registry.rollback(author))).toContain("nothing to roll back to");
    await crown(registry, beta);
    await crown(registry, gamma);
    expect((await registry.rollback(author)).version).toBe(beta);
    expect((await registry.rollback(author)).version).toBe(alpha);
    expect(await failureOf(registry.rollback(author))).toContain("nothing to roll back to");
    expect([alpha, beta, gamma].map((version) => registry.stageOf(version))).toEqual([
      "champion",
      "retired",
      "retired",
    ]);
    // Another process reads the same from the history.
    const again = await open(at);
    expect(await failureOf(again.rollback(author))).toContain("nothing to roll back to");
    // One that was taken back may earn its place again, and is then the one after alpha.
    await again.setStage(gamma, "candidate", author);
    await crown(again, gamma);
    expect((await again.rollback(author)).version).toBe(alpha);
  });

  test("by two operators at once is one step each, and no more than there are", async () => {
    const at = folder();
    const first = await withVersions(at, "alpha", "beta");
    const [alpha, beta] = first.list().map(({ version }) => version);
    await crown(first, alpha);
    await crown(first, beta);
    const second = await open(at);
    const ended = await Promise.all([
      failureOf(first.rollback({ who: "one", why: "" })),
      failureOf(second.rollback({ who: "other", why: "" })),
    ]);
    expect(ended.filter((each) => each === "nothing was thrown")).toHaveLength(1);
    await first.refresh();
    expect([first.champion, first.stageOf(beta)]).toEqual([alpha, "retired"]);
  });
});

describe("a store", () => {
  test.each(["loses the answer", "answers as the second"] as const)(
    "that keeps an entry and %s: what was done is not done twice",
    async (how) => {
      const store = new Unreliable(folder());
      const registry = await withVersions(store, "alpha", "beta");
      const [alpha, beta] = registry.list().map(({ version }) => version);
      await crown(registry, alpha);
      await registry.promote(beta, author);
      await registry.promote(beta, author);
      store.next = how;
      // Done again it would take the champion away, too.
      expect(await registry.rollback(author)).toMatchObject({ version: beta, stage: "shadow" });
      expect(registry.champion).toBe(alpha);
      expect((await open(store)).head).toBe(registry.head);
    },
  );

  test("that loses an entry it answered for is found out at once, and one that fails changes nothing", async () => {
    const store = new Unreliable(folder());
    const registry = await withVersions(store, "alpha");
    const [alpha] = registry.list().map(({ version }) => version);
    store.next = "loses the object";
    expect(await failureOf(registry.promote(alpha, author))).toContain("registry-missing");
    store.next = "fails";
    expect(await failureOf(registry.promote(alpha, author))).toContain("503");
    expect(registry.stageOf(alpha)).toBe("candidate");
    expect((await registry.promote(alpha, author)).stage).toBe("shadow");
  });

  test("that loses an entry later: nobody writes behind the gap, where no one would read it", async () => {
    const at = folder();
    const registry = await withVersions(at, "alpha");
    const [alpha] = registry.list().map(({ version }) => version);
    await registry.promote(alpha, author);
    unlinkSync(join(at, "history", "00000002"));
    expect(await failureOf(registry.promote(alpha, author))).toContain("registry-chain");
    // Another process begins from what is left; the one that knew more does not follow it.
    const other = await open(at);
    await other.setStage(alpha, "retired", author);
    expect(await failureOf(registry.promote(alpha, author))).toContain("another entry");
  });

  test("that holds other bytes under a model's digest: the model is not added", async () => {
    const at = folder();
    const registry = await withVersions(at, "alpha");
    writeFileSync(join(at, "blobs", sha256(onnx)), onnx.subarray(0, 100));
    expect(await failureOf(registry.add({ ...model("beta"), lineage }, author))).toContain("registry-digest");
    expect(registry.list()).toHaveLength(1);
  });
});

describe("names", () => {
  test("a version that is not named by its manifest is refused, though the key signed it", async () => {
    const at = folder();
    const registry = await withVersions(at, "alpha");
    const { manifestSha256 } = registry.list()[0];
    const forged = (name: string) =>
      encodeEntry(
        {
          ...{ sequence: 2, previous: registry.head, timeMs: 0, ...author },
          event: { kind: "add", version: name, manifestSha256 },
        },
        signer,
      );
    writeFileSync(join(at, "history", "00000002"), forged("alpha@0123456789ab"));
    expect(await failureOf(open(at))).toContain("is not the name of the manifest");
    // The digits are right and the name is another model's: its manifest says so.
    const borrowed = versionName("beta", manifestSha256);
    writeFileSync(join(at, "history", "00000002"), forged(borrowed));
    const opened = await open(at);
    expect(await failureOf(opened.read(borrowed))).toContain("found the manifest of alpha@");
  });

  test("an alias is of a version and never of an alias, and may not pass for a digest", async () => {
    const registry = await withVersions(folder(), "alpha", "beta");
    const [alpha, beta] = registry.list().map(({ version }) => version);
    await registry.setAlias("one", alpha, author);
    await registry.setAlias("two", "one", author);
    await registry.setAlias("one", "two", author);
    expect([registry.resolve("one"), registry.resolve("two")]).toEqual([alpha, alpha]);
    // Moved on, the other stays: there is nothing to go round in.
    await registry.setAlias("one", beta, author);
    expect([registry.resolve("one"), registry.resolve("two")]).toEqual([beta, alpha]);
    expect(await failureOf(registry.setAlias("beef", alpha, author))).toContain("digits of a digest");
    await registry.setAlias("two", null, author);
    expect(await failureOf(Promise.resolve().then(() => registry.resolve("two")))).toContain(
      "registry-missing",
    );
  });
});

describe("a history that goes back", () => {
  const settings = (address: string) => ({
    ...{ address, key: new Secret(pem), trustFile: undefined },
    s3: { endpoint: undefined, region: "", keyId: undefined, secret: undefined },
  });
  const opened = (address: string, stateDir: string) => openRegistry(settings(address), Date.now, stateDir);
  const entry = (at: string, sequence: number): string =>
    join(at, "history", String(sequence).padStart(8, "0"));
  /** Three entries, which a process of the host has seen. */
  const seen = async (): Promise<{ readonly at: string; readonly state: string }> => {
    const [at, state] = [folder(), folder()];
    await withVersions(at, "a", "b", "c");
    expect((await opened(at, state)).list()).toHaveLength(3);
    return { at, state };
  };

  test("is noticed by the next process of a host that has seen what was cut off, until it is told to forget", async () => {
    const { at, state } = await seen();
    unlinkSync(entry(at, 3));
    const failure = await failureOf(opened(at, state));
    expect(failure).toStartWith(
      `registry-chain: ${at}: found a history of 2 entries, expected entry 3 with SHA-256`,
    );
    expect(failure).toContain(join(state, "registries-seen.json"));
    // By a link to it as well, and not by a host that has seen nothing: for that the shorter history is whole.
    const link = folder();
    symlinkSync(at, link);
    expect(await failureOf(opened(link, state))).toStartWith("registry-chain");
    expect((await opened(at, folder())).list()).toHaveLength(2);
    unlinkSync(join(state, "registries-seen.json"));
    expect((await opened(at, state)).list()).toHaveLength(2);
  });

  test("is noticed when the whole folder is put back to what it was, and when it went on in another way", async () => {
    const { at, state } = await seen();
    const backup = folder();
    cpSync(at, backup, { recursive: true });
    const registry = await opened(at, state);
    await crown(registry, registry.list()[0]?.version ?? "");
    rmSync(at, { recursive: true });
    cpSync(backup, at, { recursive: true });
    expect(await failureOf(opened(at, state))).toStartWith(
      `registry-chain: ${at}: found a history of 3 entries`,
    );
    const other = await withVersions(at, "d", "e", "f", "g");
    expect(other.history).toHaveLength(7);
    expect(await failureOf(opened(at, state))).toStartWith(
      `registry-chain: ${at}: found entry 6 with SHA-256`,
    );
  });

  test("is noticed by any process where an entry behind the gap is left", async () => {
    for (const gone of [[2], [1, 2], [2, 3, 4]]) {
      const at = folder();
      await withVersions(at, "a", "b", "c", "d", "e");
      for (const sequence of gone) unlinkSync(entry(at, sequence));
      expect(await failureOf(opened(at, folder()))).toContain(
        "the store has lost it, or the history was changed",
      );
    }
  });

  test("what a host remembers is of each registry, only goes on, and is not needed to read", async () => {
    const { at, state } = await seen();
    const other = folder();
    await withVersions(other, "a");
    await opened(other, state);
    const path = join(state, "registries-seen.json");
    const { registries } = JSON.parse(readFileSync(path, "utf8"));
    expect(Object.values(registries).map((each) => (each as { sequence: number }).sequence)).toEqual([3, 1]);
    const memory = new SeenHistories(path).of(at);
    memory.keep({ sequence: 2, sha256: "0".repeat(64), atMs: 1 });
    expect(memory.last()?.sequence).toBe(3);
    writeFileSync(path, "{");
    expect(await failureOf(opened(at, state))).toStartWith(`registry-seen: ${path}`);
    writeFileSync(path, JSON.stringify({ version: 99 }));
    expect(await failureOf(opened(at, state))).toContain("version 99");
    // A state directory that cannot be made.
    expect((await opened(at, "/dev/null/state")).list()).toHaveLength(3);
  });
});

test("bytes that decode to a signed text without being it are no entry", () => {
  const place = { sequence: 1, previous: GENESIS };
  const event = { kind: "alias", alias: "one", version: null } as const;
  const good = encodeEntry({ ...place, timeMs: 0, who: "d\ufffdsk", why: "", event }, signer);
  expect(decodeEntry("entry", good, place, trusted).entry.who).toBe("d\ufffdsk");
  const marked = Uint8Array.from([0xef, 0xbb, 0xbf, ...good]);
  expect(() => decodeEntry("entry", marked, place, trusted)).toThrow("no JSON");
  const at = good.indexOf(0xef);
  const broken = Uint8Array.from([...good.subarray(0, at), 0xff, ...good.subarray(at + 3)]);
  expect(() => decodeEntry("entry", broken, place, trusted)).toThrow("no JSON");
});
