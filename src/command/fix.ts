import { EXIT, type ExitCode } from "../core/errors.ts";
import { defineCommand, UsageError } from "./command.ts";

const ACTIONS = ["ls", "show", "replay", "set", "reset"] as const;

export const fix = defineCommand({
  name: "fix",
  summary: "Look into FIX sessions: state, sequence numbers, messages; reset them",
  usage: "ls | show | replay | set | reset [SESSION] [options]",
  details: `ls      the sessions in the store
show    state and sequence numbers of a session: from its store, or with --url from the process that runs it
replay  messages of a session in readable form: those kept for resending, or with --log all that were logged
set     other sequence numbers, agreed with the counterparty; while no process runs the session
reset   both sequences start at 1: in the store while no process runs the session, or with --url by a logout and a
        logon with ResetSeqNumFlag in the process that does

SESSION is a name that ls shows; it may be left out where there is only one. Secrets are never shown.

The result of ls holds \`sessions\`; that of show the session; that of replay \`messages\` (direction, seq, sendingTime, type,
name, possDup, fields). Exit code 6 when there is no such session, 3 when the process does not answer.`,
  options: {
    store: {
      type: "string",
      value: "DIR",
      description: "Folder of the sessions; default KEEL_FIX_STORE_DIR",
    },
    url: {
      type: "string",
      value: "URL",
      description:
        "Of the process that runs the session (KEEL_HTTP), e.g. http://127.0.0.1:9464 or unix:/path",
    },
    log: {
      type: "string",
      value: "DIR",
      description: "replay: folder of the message log, KEEL_FIX_MESSAGE_LOG_DIR",
    },
    from: {
      type: "number",
      value: "N",
      integer: true,
      min: 1,
      default: 1,
      description: "replay: first MsgSeqNum",
    },
    to: { type: "number", value: "N", integer: true, min: 1, description: "replay: last MsgSeqNum" },
    direction: {
      type: "string",
      choices: ["in", "out", "both"],
      default: "both",
      description: "replay: with --log, only what came in or went out",
    },
    brief: { type: "boolean", description: "replay: one line a message" },
    "next-out": { type: "number", value: "N", integer: true, min: 1, description: "set: our next MsgSeqNum" },
    "next-in": {
      type: "number",
      value: "N",
      integer: true,
      min: 1,
      description: "set: the counterparty's next",
    },
    force: { type: "boolean", description: "set: let our next number be one that may have been used" },
  },
  positionals: ["ACTION", "SESSION?"],
  environment: true,
  async run({ options, positionals, config, out }): Promise<ExitCode> {
    const [given = "", named] = positionals;
    const action = ACTIONS.find((known) => known === given);
    if (action === undefined) {
      throw new UsageError(`fix: found ${JSON.stringify(given)}, expected one of ${ACTIONS.join(", ")}`);
    }
    const store = await import("./fix/store.ts");
    const { describeLines, replayLines, sessionLine } = await import("./fix/text.ts");
    const storeDir = options.store ?? config.fix?.storeDir ?? store.defaultStoreDir(config.stateDir);
    if (options.url !== undefined && (action === "show" || action === "reset")) {
      const { RunningProcess } = await import("./running-process.ts");
      const { show, reset } = await import("./fix/running.ts");
      const running = new RunningProcess(options.url, config);
      const result = await (action === "show" ? show(running) : reset(running));
      for (const line of describeLines(result)) out.line(line);
      out.result(result);
      return EXIT.ok;
    }
    if (action === "ls") {
      const sessions = store.list(storeDir);
      if (sessions.length === 0) out.line(`no session in ${storeDir}`);
      for (const session of sessions) out.line(sessionLine(session));
      out.result({ sessions });
      return EXIT.ok;
    }
    const session = store.pick(storeDir, named);
    if (action === "replay") {
      const range = { from: options.from, to: options.to ?? Number.POSITIVE_INFINITY };
      const messages =
        options.log === undefined
          ? store.keptMessages(storeDir, session, range)
          : store.loggedMessages(options.log, session, range, options.direction);
      for (const line of replayLines(messages, options.brief)) out.line(line);
      out.result({ messages });
      return EXIT.ok;
    }
    if (action === "set") {
      const numbers = { out: options["next-out"], in: options["next-in"], force: options.force };
      if (numbers.out === undefined && numbers.in === undefined) {
        throw new UsageError("fix set: --next-out N or --next-in N is missing");
      }
      store.setNumbers(storeDir, session, numbers);
    }
    if (action === "reset") store.resetStore(storeDir, session, Date.now() * 1_000);
    const described = store.describe(storeDir, session);
    for (const line of describeLines(described)) out.line(line);
    out.result(described);
    return EXIT.ok;
  },
});
