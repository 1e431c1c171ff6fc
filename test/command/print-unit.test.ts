import { describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HANDOVER_DROP_IN, UNITS, unit } from "../../src/command/print/unit.ts";
import { path } from "../../src/config/types.ts";
import { VARIABLES } from "../../src/config/variables.ts";

const ANALYZE = Bun.which("systemd-analyze");
const options = { binary: "/bin/true", env: {}, gpu: false };
if (ANALYZE === null) console.warn("skipped: systemd-analyze is not installed");

/** Writes the units to a folder and runs systemd-analyze on them. */
function analyze(args: readonly string[], given = options): { exitCode: number; text: string } {
  const folder = mkdtempSync(join(tmpdir(), "keel-units-"));
  try {
    for (const name of UNITS) writeFileSync(join(folder, name), unit(name, given));
    const run = Bun.spawnSync([ANALYZE ?? "", ...args], { cwd: folder });
    return { exitCode: run.exitCode, text: `${run.stdout}${run.stderr}` };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe.skipIf(ANALYZE === null)("systemd", () => {
  test.each([false, true])("accepts the units without a word, with graphics devices: %p", (gpu) => {
    const files = UNITS.map((name) => `./${name}`);
    expect(analyze(["verify", ...files], { ...options, gpu })).toEqual({ exitCode: 0, text: "" });
  });

  test("finds the service little exposed", () => {
    const { text } = analyze(["security", "--offline=true", "./keel.service"]);
    const exposure = Number(/Overall exposure level for keel.service: ([\d.]+)/.exec(text)?.[1]);
    expect(exposure).toBeLessThanOrEqual(2);
  });
});

test("secret files become credentials under the names that keel looks for", () => {
  const text = unit("keel.service", {
    ...options,
    env: {
      KEEL_FIX_PASSWORD_FILE: "/etc/keel/password",
      KEEL_HTTP_TOKEN_FILE: "/etc/keel/token",
      KEEL_SEED: "3",
    },
  });
  expect(text).toContain("LoadCredential=fix_password:/etc/keel/password\n");
  expect(text).toContain("LoadCredential=http_token:/etc/keel/token\n");
  expect(text).toContain("UnsetEnvironment=KEEL_FIX_PASSWORD_FILE KEEL_HTTP_TOKEN_FILE\n");
});

test("folders outside of the state folder can be written to, each once, by the desk and by the training", () => {
  const env = {
    KEEL_JOURNAL_DIR: "/data/journal",
    KEEL_OUTCOMES_DIR: "/data/outcomes",
    KEEL_REGISTRY: "/srv/registry",
    KEEL_FIX_STORE_DIR: "/data/journal",
  };
  for (const name of ["keel.service", "keel-retrain.service"] as const) {
    const paths = [...unit(name, { ...options, env }).matchAll(/^ReadWritePaths=(.*)$/gm)].map(
      ([, one]) => one,
    );
    expect(paths).toEqual(["/data/journal", "/data/outcomes", "/srv/registry"]);
  }
  const bucket = unit("keel.service", { ...options, env: { KEEL_REGISTRY: "s3://models/desk" } });
  expect(bucket).not.toContain("ReadWritePaths=");
});

test("folders in the state folder, which the first start makes, are not named: systemd would end that start", () => {
  const env = {
    KEEL_STATE_DIR: "/var/lib/keel",
    KEEL_JOURNAL_DIR: "/var/lib/keel/journal",
    KEEL_OUTCOMES_DIR: "/var/lib/private/keel/outcomes",
    KEEL_FIX_MESSAGE_LOG_DIR: "/var/lib/keel/../keel/log/",
    KEEL_REGISTRY: "/var/lib/keel-registry",
  };
  for (const name of ["keel.service", "keel-retrain.service"] as const) {
    const paths = [...unit(name, { ...options, env }).matchAll(/^ReadWritePaths=(.*)$/gm)].map(
      ([, one]) => one,
    );
    expect(paths).toEqual(["/var/lib/keel-registry"]);
  }
});

test("every variable that names a folder to write to is one of them", () => {
  const folders = Object.entries(VARIABLES).filter(
    ([name, { type }]) => type === path && /_DIR$/.test(name) && name !== "KEEL_VULKAN_DIR",
  );
  for (const [name] of folders) {
    const text = unit("keel.service", { ...options, env: { [name]: "/data/of-its-own" } });
    expect([name, text.includes("ReadWritePaths=/data/of-its-own\n")]).toEqual([name, true]);
  }
});

test("the folder of the socket is made below /run, and can be written to elsewhere", () => {
  const own = unit("keel.service", { ...options, env: { KEEL_HTTP: "unix:/run/keel/http.sock" } });
  expect(own).toContain("RuntimeDirectory=keel\n");
  const other = unit("keel.service", { ...options, env: { KEEL_HTTP: "unix:/srv/desk/http.sock" } });
  expect(other).toContain("ReadWritePaths=/srv/desk\n");
  expect(unit("keel.service", { ...options, env: { KEEL_HTTP: "127.0.0.1:9464" } })).not.toContain("Runtime");
});

test("two desks fit below what slows a service down: a handover holds both", () => {
  const residentMb = 460;
  const [, high] = /^MemoryHigh=(\d+)G$/m.exec(unit("keel.service", options)) ?? [];
  expect(Number(high) * 1_024).toBeGreaterThan(2 * residentMb * 1.5);
});

test("the watchdog waits longer than the loop may take to stop", () => {
  const text = unit("keel.service", options);
  expect(text).toContain("Type=notify\n");
  expect(text).toContain("WatchdogSec=10\n");
  expect(text).toContain("Restart=on-failure\n");
});

test("a reload hands over where the drop-in is installed, and systemd accepts it", () => {
  const text = unit(HANDOVER_DROP_IN, options);
  expect(text).toContain("ExecReload=\nExecReload=/bin/true run --handover --detach\n");
  if (ANALYZE === null) return;
  const folder = mkdtempSync(join(tmpdir(), "keel-units-"));
  mkdirSync(join(folder, "keel.service.d"));
  writeFileSync(join(folder, "keel.service"), unit("keel.service", options));
  writeFileSync(join(folder, "keel.service.d", HANDOVER_DROP_IN), text);
  const run = Bun.spawnSync([ANALYZE, "verify", "./keel.service"], {
    cwd: folder,
    env: { ...process.env, SYSTEMD_UNIT_PATH: `${folder}:` },
  });
  rmSync(folder, { recursive: true });
  expect(`${run.stdout}${run.stderr}`).toBe("");
});
