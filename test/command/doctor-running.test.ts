import { afterAll, expect, test } from "bun:test";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EngineReport } from "../../src/command/check-engine.ts";
import { http } from "../../src/command/doctor/network.ts";
import { loadConfig } from "../../src/config.ts";
import { runIsolated } from "../../src/core/child.ts";
import { Logger } from "../../src/core/log.ts";
import { BUILTIN_MODELS } from "../../src/inference/builtin.ts";
import { openRegistry } from "../../src/learn/registry/open.ts";
import { SEEN_FILE } from "../../src/learn/registry/seen-history.ts";
import { RunLock } from "../../src/live/run-lock.ts";
import { HttpServer } from "../../src/monitor/http.ts";
import { quietTarget } from "../support/quiet-target.ts";

const folder = mkdtempSync(join(tmpdir(), "keel-doctor-running-"));
const servers: HttpServer[] = [];
afterAll(() => {
  for (const server of servers) server.stop();
  rmSync(folder, { recursive: true });
});

/** The HTTP side of something that tells `status`. */
function serving(status: unknown, token: string | null = null): string {
  const server = new HttpServer(
    { hostname: "127.0.0.1", port: 0, token, viewToken: token },
    quietTarget({ status: () => status }),
  );
  servers.push(server);
  return `127.0.0.1:${server.port}`;
}

async function found(address: string, stateDir: string): Promise<readonly [string, string]> {
  const env = { KEEL_HTTP: address, KEEL_STATE_DIR: stateDir };
  const [finding] = await http.run({ config: loadConfig(env), env, offline: true });
  return [finding?.status ?? "", finding?.detail ?? ""];
}

const DESK = { engine: "cpu", model: "m" };

test("an address that the keel of this state folder has is no fault, another keel's is a warning, anybody's else fails", async () => {
  const state = mkdtempSync(join(folder, "state-"));
  const desk = serving(DESK);
  expect(await found(desk, state)).toEqual(["warn", `taken by a keel, and none runs with ${state}`]);
  expect((await found(serving({}), state))[0]).toBe("fail");
  const lock = RunLock.take(state, new Logger({ format: "text", level: "error", sink: () => {} }));
  const by = `the keel that runs with ${state} (process ${process.pid})`;
  expect(await found(desk, state)).toEqual(["ok", `taken by ${by}`]);
  expect((await found(serving({}), state))[0]).toBe("fail");
  const [status, detail] = await found(serving(DESK, "a token of its own"), state);
  expect(status).toBe("warn");
  expect(detail).toMatch(new RegExp(`process ${process.pid} runs with .*401`));
  lock.release();
});

test("a model of the registry is checked as a desk would take it, and the state folder is left alone", async () => {
  const stateDir = mkdtempSync(join(folder, "state-"));
  const address = join(folder, "registry");
  const s3 = { endpoint: undefined, region: "us-east-1", keyId: undefined, secret: undefined };
  const open = (at: string) =>
    openRegistry({ address: at, key: undefined, trustFile: undefined, s3 }, () => Date.now(), stateDir);
  const registry = await open(address);
  const { cardPath, onnxPath } = BUILTIN_MODELS["lstm-residual-int8"];
  const author = { who: "desk", why: "a test" };
  const added = {
    ...{ card: readFileSync(cardPath), onnx: new Uint8Array(readFileSync(onnxPath)) },
    lineage: { parent: null, dataset: "ab".repeat(32), code: { keel: "0.0.0", commit: null } },
  };
  const { version } = await registry.add(added, author);
  for (const stage of ["shadow", "canary", "champion"] as const)
    await registry.setStage(version, stage, author);
  cpSync(address, join(folder, "before"), { recursive: true });
  await registry.add({ ...added, lineage: { ...added.lineage, dataset: "cd".repeat(32) } }, author);
  await open(address);
  const env = {
    ...process.env,
    ...{
      KEEL_STATE_DIR: stateDir,
      KEEL_REGISTRY: address,
      KEEL_MODEL: "registry:champion",
      KEEL_DEVICE: "cpu",
    },
  };
  const seen = readFileSync(join(stateDir, SEEN_FILE), "utf8");
  const end = await runIsolated<EngineReport>("check-engine", env);
  expect(end).toMatchObject({ result: { engine: "cpu", source: `registry:champion, ${version}` } });
  expect(readdirSync(stateDir)).toEqual([SEEN_FILE]);
  expect(readFileSync(join(stateDir, SEEN_FILE), "utf8")).toBe(seen);
  rmSync(address, { recursive: true });
  cpSync(join(folder, "before"), address, { recursive: true });
  const putBack = await runIsolated<EngineReport>("check-engine", env);
  expect(putBack).toMatchObject({ error: { code: "registry-chain" } });
  expect(readFileSync(join(stateDir, SEEN_FILE), "utf8")).toBe(seen);
});
