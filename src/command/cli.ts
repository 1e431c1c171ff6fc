import { EXIT, type ExitCode, KeelError } from "../core/errors.ts";
import { type Logger, loggerFromEnvironment } from "../core/log.ts";
import { nearest } from "../core/nearest.ts";
import { type ParsedArguments, parseArguments } from "./arguments.ts";
import { type Command, type Environment, UsageError } from "./command.ts";
import { commandHelp, overview } from "./help.ts";
import { StreamOutput, type TextSink } from "./output.ts";
import { INTERNAL_VERBS, VERBS, type VerbTable } from "./verbs.ts";

/** The process as a command sees it; a test gives its own. */
export interface Host {
  readonly env: Environment;
  readonly stdout: TextSink;
  readonly stderr: TextSink;
  readonly shutdown: AbortSignal;
  readonly log?: Logger;
  readonly verbs?: VerbTable;
}

/** Runs one command line (without the executable's name) and answers its exit code. Never throws. */
export async function runCommandLine(args: readonly string[], host: Host): Promise<ExitCode> {
  const verbs = host.verbs ?? VERBS;
  const [verb = "--help", ...rest] = args;
  try {
    if (verb === "--help" || verb === "-h" || verb === "help") return await help(rest, verbs, host.stdout);
    const load = verbs[verb === "--version" ? "version" : verb] ?? INTERNAL_VERBS[verb];
    if (load === undefined) throw unknownVerb(verb, Object.keys(verbs));
    return await runVerb(await load(), rest, host);
  } catch (error) {
    return report("keel", error, host.stderr);
  }
}

async function runVerb(command: Command, args: readonly string[], host: Host): Promise<ExitCode> {
  const name = `keel ${command.name}`;
  let parsed: ParsedArguments;
  try {
    parsed = parseArguments(command, args);
  } catch (error) {
    const out = new StreamOutput(host.stdout, args.includes("--json"));
    return fail(name, error, host.stderr, out);
  }
  if (parsed.help) {
    host.stdout.write(`${commandHelp(command)}\n`);
    return EXIT.ok;
  }
  const out = new StreamOutput(host.stdout, parsed.json);
  try {
    const config = command.environment ? (await import("../config.ts")).loadConfig(host.env) : undefined;
    const exitCode = await command.run({
      options: parsed.options as CommandOptions,
      positionals: parsed.positionals,
      config,
      env: host.env,
      log: host.log ?? loggerFromEnvironment(host.env),
      out,
      get shutdown() {
        return host.shutdown;
      },
    });
    out.finish();
    return exitCode;
  } catch (error) {
    return fail(name, error, host.stderr, out);
  }
}

type CommandOptions = Parameters<Command["run"]>[0]["options"];

async function help(args: readonly string[], verbs: VerbTable, stdout: TextSink): Promise<ExitCode> {
  const [verb] = args;
  if (verb !== undefined) {
    const load = verbs[verb];
    if (load === undefined) throw unknownVerb(verb, Object.keys(verbs));
    stdout.write(`${commandHelp(await load())}\n`);
    return EXIT.ok;
  }
  const commands = await Promise.all(Object.values(verbs).map((load) => load()));
  stdout.write(`${overview(commands)}\n`);
  return EXIT.ok;
}

function unknownVerb(verb: string, known: readonly string[]): UsageError {
  const near = nearest(verb, known);
  const hint = near === undefined ? "" : `, did you mean ${near}?`;
  return new UsageError(`${JSON.stringify(verb)} is not a verb of keel${hint} (verbs: ${known.join(", ")})`);
}

function fail(name: string, error: unknown, stderr: TextSink, out: StreamOutput): ExitCode {
  const exitCode = report(name, error, stderr);
  out.result({
    error: {
      code: error instanceof KeelError || ofSystem(error) ? error.code : "internal",
      message: error instanceof Error ? error.message : String(error),
      exitCode,
    },
  });
  out.finish();
  return exitCode;
}

/** Some messages begin with the verb, or with the verb and its action: it is not said twice. */
function report(name: string, error: unknown, stderr: TextSink): ExitCode {
  if (error instanceof KeelError) {
    const isNamed =
      /^(?:keel )?([a-z]+)(?: [a-z]+)?: /.exec(error.message)?.[1] === name.replace(/^keel /, "");
    stderr.write(isNamed ? `keel ${error.message.replace(/^keel /, "")}\n` : `${name}: ${error.message}\n`);
    return error.exitCode;
  }
  if (ofSystem(error)) {
    stderr.write(`${name}: ${error.message}\n`);
    return EXIT.failed;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  stderr.write(`${name}: internal error: ${text}\n`);
  return EXIT.failed;
}

/** What the host refused: a folder that is not there, a file that may not be written, a disk without room. The message names call and path. */
function ofSystem(error: unknown): error is Error & { readonly code: string } {
  return error instanceof Error && "syscall" in error && "code" in error && typeof error.code === "string";
}
