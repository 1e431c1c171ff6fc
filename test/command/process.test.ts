import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { VERBS } from "../../src/command/verbs.ts";
import { EXIT } from "../../src/core/errors.ts";

const main = join(import.meta.dir, "../../src/main.ts");

async function keel(args: readonly string[], env: Record<string, string> = {}) {
  const child = Bun.spawn([process.execPath, main, ...args], {
    env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { stdout, stderr, exitCode, last: stdout.trimEnd().split("\n").at(-1) ?? "" };
}

describe("every verb", () => {
  test.each(Object.keys(VERBS))("%s has help and a name that is its own", async (verb) => {
    const command = await VERBS[verb]?.();
    expect(command?.name).toBe(verb);
    const { stdout, exitCode } = await keel([verb, "--help"]);
    expect(exitCode).toBe(EXIT.ok);
    expect(stdout).toContain(`Usage: keel ${verb}`);
    expect(stdout).toContain("--json");
  });

  test.each(Object.keys(VERBS))("%s refuses an option it does not have", async (verb) => {
    const command = await VERBS[verb]?.();
    expect(command?.options).not.toHaveProperty("no-such-option");
    const { stderr, exitCode } = await keel([verb, "--no-such-option"]);
    expect(exitCode).toBe(EXIT.badConfiguration);
    expect(stderr).toContain(`--no-such-option is not an option of keel ${verb}`);
  });

  test("is in the README's list", async () => {
    const readme = await Bun.file(join(import.meta.dir, "../../README.md")).text();
    expect(Object.keys(VERBS).filter((verb) => !readme.includes(`| \`${verb}\` |`))).toEqual([]);
  });
});

test("an unknown verb ends with exit code 2", async () => {
  const { stderr, exitCode } = await keel(["dotcor"]);
  expect(exitCode).toBe(EXIT.badConfiguration);
  expect(stderr).toContain("did you mean doctor?");
});

test("a bad environment ends with exit code 2 and the JSON line lists what is wrong", async () => {
  const { last, exitCode } = await keel(["doctor", "--json"], { KEEL_SEED: "x", KEEL_LOGG: "json" });
  expect(exitCode).toBe(EXIT.badConfiguration);
  const { findings } = JSON.parse(last) as { findings: { subject: string }[] };
  expect(findings.map(({ subject }) => subject)).toEqual(["KEEL_LOGG", "KEEL_SEED"]);
});

test("version tells what the host offers", async () => {
  const { last, exitCode } = await keel(["version", "--json"]);
  expect(exitCode).toBe(EXIT.ok);
  expect(JSON.parse(last)).toMatchObject({
    compiled: false,
    bun: Bun.version,
    host: { cores: expect.any(Number) },
  });
});

test("a slow reader gets everything before the process ends", async () => {
  const output = join(import.meta.dir, "../../src/command/output.ts");
  const program = `
    import { endStream } from ${JSON.stringify(output)};
    process.stdout.write("x".repeat(1_000_000));
    await endStream(process.stdout);
    process.exit(0);`;
  const child = Bun.spawn(["sh", "-c", `"$0" -e "$1" | (sleep 0.3; wc -c)`, process.execPath, program], {
    stdout: "pipe",
    stderr: "inherit",
  });
  expect(Number(await child.stdout.text())).toBe(1_000_000);
});

test("a reader that goes away is no failure", async () => {
  const child = Bun.spawn(["sh", "-c", `"$0" "$1" doctor --variables | head -n 1`, process.execPath, main], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  expect(stdout).toBe("| Variable | Value | Default | Unit | Meaning |\n");
  expect(stderr).toBe("");
});
