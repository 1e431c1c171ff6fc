import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { SignatureChecker, Signer } from "../../src/core/signature.ts";
import { BUILTIN_MODELS } from "../../src/inference/builtin.ts";
import { Registry } from "../../src/learn/registry/registry.ts";
import { S3Store } from "../../src/learn/registry/s3-store.ts";
import { freePort } from "../support/services.ts";

/** Built by `test/support/install-s3.sh`. */
const program = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "keel-test", "s3", "versitygw");
const isThere = existsSync(program);
if (!isThere) console.log("skipped: the S3-compatible server is not there (test/support/install-s3.sh)");

const KEY = "desk";
const SECRET = "not-a-secret-of-anybody";
const author = { who: "desk", why: "a test" };
const lineage = { parent: null, dataset: null, code: { keel: "0.0.0", commit: null } };
const pem = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();

function model(name: string): { card: Uint8Array; onnx: Uint8Array<ArrayBuffer> } {
  const { cardPath, onnxPath } = BUILTIN_MODELS["lstm-residual-int8"];
  const card = { ...JSON.parse(readFileSync(cardPath, "utf8")), name };
  return {
    card: new TextEncoder().encode(JSON.stringify(card)),
    onnx: new Uint8Array(readFileSync(onnxPath)),
  };
}

describe.skipIf(!isThere)("a registry in an S3-compatible service", () => {
  const root = mkdtempSync(join(tmpdir(), "keel-s3-"));
  const port = freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const bucket = join(root, "data", "models");
  let server: Bun.Subprocess;

  const store = (secret = SECRET, prefix = "desk/a"): S3Store =>
    new S3Store({ bucket: "models", prefix, endpoint, region: "us-east-1", keyId: KEY, secret });
  const open = (secret?: string): Promise<Registry> =>
    Registry.open({
      store: store(secret),
      signer: new Signer(pem, "registry"),
      trusted: [new SignatureChecker(pem, "registry")],
      nowMs: Date.now,
    });

  beforeAll(async () => {
    mkdirSync(bucket, { recursive: true });
    mkdirSync(join(root, "meta"), { recursive: true });
    server = Bun.spawn(
      [program, "--access", KEY, "--secret", SECRET, "--port", `127.0.0.1:${port}`].concat([
        "posix",
        "--sidecar",
        join(root, "meta"),
        join(root, "data"),
      ]),
      { stdout: "ignore", stderr: "ignore" },
    );
    for (const untilMs = performance.now() + 45_000; performance.now() < untilMs; ) {
      const up = await fetch(endpoint).then(
        () => true,
        () => false,
      );
      if (up) return;
      await Bun.sleep(50);
    }
    throw new Error("the S3-compatible server does not answer");
  }, 120_000);
  afterAll(async () => {
    server.kill();
    await server.exited;
    rmSync(root, { recursive: true, force: true });
  });

  test("gives back what was added, to another client", async () => {
    const added = model("alpha");
    const { version } = await (await open()).add({ ...added, lineage }, author);
    const other = await open();
    const read = await other.read(version);
    expect(read.onnx).toEqual(added.onnx);
    expect(await other.verify()).toEqual([]);
    expect(readdirSync(join(bucket, "desk", "a")).sort()).toEqual(["blobs", "history", "probes"]);
  });

  test("creates an object once, whoever comes second", async () => {
    const key = "blobs/ab";
    const made = await Promise.all(
      Array.from({ length: 6 }, (_, writer) => store().create(key, new TextEncoder().encode(String(writer)))),
    );
    expect(made.filter((created) => created)).toHaveLength(1);
    const kept = new TextDecoder().decode((await store().get(key, 10)) ?? undefined);
    expect(kept).toBe(String(made.indexOf(true)));
    expect(await store().create(key, new TextEncoder().encode("again"))).toBe(false);
  });

  test("takes every change of several writers at once, one after the other", async () => {
    const names = ["b", "c", "d", "e"];
    await Promise.all(names.map(async (name) => (await open()).add({ ...model(name), lineage }, author)));
    const after = await open();
    expect(after.history.map(({ entry }) => entry.sequence)).toEqual([1, 2, 3, 4, 5]);
    await after.promote("latest", author);
    expect((await open()).head).toBe(after.head);
  });

  test("refuses an object that was changed in the bucket", async () => {
    const registry = await open();
    const { onnxSha256 } = await registry.manifest("latest");
    const path = join(bucket, "desk", "a", "blobs", onnxSha256);
    const good = readFileSync(path);
    const bad = Buffer.from(good);
    bad[100] ^= 1;
    writeFileSync(path, bad);
    expect(registry.read("latest")).rejects.toThrow("found SHA-256");
    writeFileSync(path, good);
  });

  test("says so where the key is not the service's, and where an object is too large", async () => {
    expect(open("another")).rejects.toThrow(/status 403 SignatureDoesNotMatch/);
    expect(store().get("blobs/ab", 0)).rejects.toThrow("found 1 bytes, expected at most 0");
  });
});
