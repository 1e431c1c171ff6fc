import { expect, test } from "bun:test";
import { runCommandLine } from "../../src/command/cli.ts";
import type { Command } from "../../src/command/command.ts";
import { explain } from "../../src/command/explain.ts";
import { EXIT } from "../../src/core/errors.ts";
import type { Explanation } from "../../src/quote/explanation.ts";

async function run(args: readonly string[], env: Record<string, string> = {}) {
  let stdout = "";
  let stderr = "";
  const exitCode = await runCommandLine(["explain", ...args], {
    env,
    stdout: { write: (text: string) => (stdout += text) },
    stderr: { write: (text: string) => (stderr += text) },
    shutdown: new AbortController().signal,
    verbs: { explain: async (): Promise<Command> => explain },
  });
  return { exitCode, stdout, stderr };
}

async function explained(args: readonly string[], env: Record<string, string> = {}): Promise<Explanation> {
  const { exitCode, stdout } = await run([...args, "--json"], env);
  expect(exitCode).toBe(EXIT.ok);
  return JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "");
}

test("the mission's scenario gives exactly 15 bp and a size of 0.7", async () => {
  const { widenBp, sizeFactor, reasons, parts, calm, quote } = await explained([
    "--down",
    "0.7",
    "--withdraw-bid",
    "0.6",
  ]);
  expect(widenBp).toBe(15);
  expect(sizeFactor).toBe(0.7);
  expect(reasons).toEqual(["base", "modelMove", "modelWithdraw"]);
  expect(parts.map(({ part }) => part)).toEqual(["base", "down50", "bidWithdraw50", "adverse move"]);
  expect(calm.bid - quote.bid).toBeCloseTo(0.5 * 15e-4, 3);
  expect(quote.ask - calm.ask).toBeCloseTo(0.5 * 15e-4, 3);
  expect(quote.bidSize / calm.bidSize).toBeCloseTo(0.7, 1);
});

test("without a prediction nothing is added", async () => {
  const { widenBp, sizeFactor, reasons, calm, quote } = await explained([]);
  expect([widenBp, sizeFactor, reasons]).toEqual([0, 1, ["base"]]);
  expect(quote).toEqual(calm);
});

test("the option has the delta that was asked for", async () => {
  for (const delta of [-0.9, -0.25, 0.05, 0.5, 0.95]) {
    const { option } = await explained(["--delta", String(delta), "--days", "30"]);
    expect(option.delta).toBeCloseTo(delta, 4);
    expect(option.type).toBe(delta < 0 ? "put" : "call");
  }
});

test("a position shows as a skew", async () => {
  const { reasons, parts } = await explained(["--position", "300"]);
  expect(reasons).toContain("inventory");
  expect(parts.map(({ part }) => part)).toContain("skew position");
});

test("parameters of the environment are used", async () => {
  const { widenBp } = await explained(["--down", "0.6"], { KEEL_QUOTE_ADVERSE_MOVE_BP: "40" });
  expect(widenBp).toBe(20);
});

test("the text names the reason of each part", async () => {
  const { stdout } = await run(["--down", "0.7", "--withdraw-bid", "0.6"]);
  expect(stdout).toContain("widened by 15 bp, size × 0.7");
  expect(stdout).toContain(
    "P(a fall within 50 ms) = 0.7 lies 62.5 % of the way from neutral 0.2 to certainty",
  );
});

test("a probability above one is refused", async () => {
  const { exitCode, stderr } = await run(["--down", "1.2"]);
  expect(exitCode).toBe(EXIT.badConfiguration);
  expect(stderr).toContain('--down: found "1.2", expected a number from 0 to 1');
});
