import { expect, test } from "bun:test";
import { runCommandLine } from "../../src/command/cli.ts";
import { type Command, defineCommand } from "../../src/command/command.ts";
import { commandHelp } from "../../src/command/help.ts";
import { VERBS } from "../../src/command/verbs.ts";
import { EXIT, KeelError } from "../../src/core/errors.ts";

const echo = defineCommand({
  name: "echo",
  summary: "Say what was understood",
  usage: "[options] [WORD…]",
  options: {
    seconds: { type: "number", min: 1, max: 60, integer: true, default: 5, description: "How long" },
    offset: { type: "number", description: "Where from" },
    mode: { type: "string", choices: ["fast", "slow"], default: "fast", description: "How" },
    tag: { type: "string", multiple: true, description: "Label" },
    loud: { type: "boolean", short: "l", description: "Shout" },
  },
  positionals: ["WORD…"],
  environment: false,
  async run({ options, positionals, out }) {
    out.line("understood");
    out.result({ ...options, positionals });
    out.line("after the result");
    return EXIT.ok;
  },
});

const failing = defineCommand({
  name: "failing",
  summary: "Fail",
  usage: "",
  options: {},
  environment: false,
  run(): Promise<never> {
    throw new KeelError("no-luck", "the dice: found 3, expected 6", EXIT.unreachable);
  },
});

const naming = defineCommand({
  name: "naming",
  summary: "Fail in its own name",
  usage: "",
  options: {},
  positionals: ["TEXT"],
  environment: false,
  run({ positionals: [text] }): Promise<never> {
    throw new KeelError("named", text, EXIT.badConfiguration);
  },
});

async function run(...args: string[]) {
  let stdout = "";
  let stderr = "";
  const exitCode = await runCommandLine(args, {
    env: {},
    stdout: { write: (text: string) => (stdout += text) },
    stderr: { write: (text: string) => (stderr += text) },
    shutdown: new AbortController().signal,
    verbs: {
      echo: async (): Promise<Command> => echo,
      failing: async (): Promise<Command> => failing,
      naming: async (): Promise<Command> => naming,
    },
  });
  return { exitCode, stdout, stderr, last: stdout.trimEnd().split("\n").at(-1) ?? "" };
}

test("without a verb the list of verbs is shown", async () => {
  const { exitCode, stdout } = await run();
  expect(exitCode).toBe(EXIT.ok);
  expect(stdout).toContain("echo     Say what was understood");
});

test("an unknown verb is refused with the nearest one", async () => {
  const { exitCode, stderr } = await run("ehco");
  expect(exitCode).toBe(EXIT.badConfiguration);
  expect(stderr).toBe(
    'keel: "ehco" is not a verb of keel, did you mean echo? (verbs: echo, failing, naming)\n',
  );
});

test.each([
  ["naming: nothing there", "keel naming: nothing there"],
  ["naming set: nothing there", "keel naming set: nothing there"],
  ["keel naming: nothing there", "keel naming: nothing there"],
  ["the file: nothing there", "keel naming: the file: nothing there"],
])("a message that begins with the verb, as %j, is told with it once", async (text, told) => {
  const { stderr } = await run("naming", text);
  expect(stderr).toBe(`${told}\n`);
});

test("the result is one JSON object on the last line, whenever it was given", async () => {
  const { exitCode, last } = await run(
    "echo",
    "--json",
    "--seconds=7",
    "--tag",
    "a",
    "--tag",
    "b",
    "-l",
    "x",
    "y",
  );
  expect(exitCode).toBe(EXIT.ok);
  expect(JSON.parse(last)).toEqual({
    seconds: 7,
    mode: "fast",
    tag: ["a", "b"],
    loud: true,
    positionals: ["x", "y"],
  });
});

test("without --json the result is not shown", async () => {
  const { stdout } = await run("echo");
  expect(stdout).toBe("understood\nafter the result\n");
});

test("a number may be negative without an equals sign", async () => {
  const { last } = await run("echo", "--json", "--offset", "-2.5");
  expect(JSON.parse(last).offset).toBe(-2.5);
});

test.each([
  [["--secnods", "3"], "--secnods is not an option of keel echo, did you mean --seconds?"],
  [["--seconds", "0"], '--seconds: found "0", expected a whole number from 1 to 60'],
  [["--seconds", "2.5"], '--seconds: found "2.5", expected a whole number from 1 to 60'],
  [["--seconds", ""], '--seconds: found "", expected a whole number from 1 to 60'],
  [["--seconds"], "--seconds needs a value: a whole number from 1 to 60"],
  [["--mode", "medium"], '--mode: found "medium", expected one of fast, slow'],
  [["--loud=yes"], '--loud takes no value, found "yes"'],
])("bad arguments %p are refused with what was expected", async (args, message) => {
  const { exitCode, stderr } = await run("echo", ...args);
  expect(exitCode).toBe(EXIT.badConfiguration);
  expect(stderr).toContain(message);
});

test("a surplus argument is refused with the usage", async () => {
  const { exitCode, stderr } = await run("failing", "surplus");
  expect(exitCode).toBe(EXIT.badConfiguration);
  expect(stderr).toContain('keel failing: "surplus" is one argument too many (usage: keel failing)');
});

test("a failure ends with its own exit code and names itself in the JSON line", async () => {
  const { exitCode, stderr, last } = await run("failing", "--json");
  expect(exitCode).toBe(EXIT.unreachable);
  expect(stderr).toBe("keel failing: the dice: found 3, expected 6\n");
  expect(JSON.parse(last)).toEqual({
    error: { code: "no-luck", message: "the dice: found 3, expected 6", exitCode: EXIT.unreachable },
  });
});

test("--help shows every option with what it takes", async () => {
  const { stdout } = await run("echo", "--help");
  expect(stdout).toMatchInlineSnapshot(`
    "Say what was understood.

    Usage: keel echo [options] [WORD…]

    Options:
          --seconds N       How long (a whole number from 1 to 60; default 5)
          --offset N        Where from
          --mode fast|slow  How (default fast)
          --tag TEXT        Label (may repeat)
      -l, --loud            Shout
      -h, --help            Show this help
          --json            End with the result as one JSON object on the last line
                            of stdout
    "
  `);
});

test("what goes on in a table of a verb's help stands below its text", async () => {
  const help = commandHelp(await VERBS.retrain());
  expect(help).toContain(
    `
train     KEEL_TRAIN_COMMAND, given --dataset, --out, --scratch and --seed;
          without one the baseline is the candidate
quantise  `,
  );
});

test("no verb's help is wider than 80 columns", async () => {
  for (const load of Object.values(VERBS)) {
    const lines = commandHelp(await load()).split("\n");
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
  }
});
