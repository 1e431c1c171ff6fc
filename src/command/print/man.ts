/** The manual page keel(1), made from the same tables as `--help` and the README; man(7). @module */

import { VARIABLES } from "../../config/variables.ts";
import { EXIT, EXIT_MEANINGS } from "../../core/errors.ts";
import { usageLine } from "../arguments.ts";
import type { Command } from "../command.ts";
import { optionRows } from "../help.ts";

export interface ManOptions {
  readonly version: string;
  /** `2026-01-31`; of the commit. */
  readonly date: string;
  readonly commands: readonly Command[];
}

export function manPage({ version, date, commands }: ManOptions): string {
  return [
    `.TH KEEL 1 "${date}" "keel ${version}" "User Commands"`,
    ".SH NAME",
    "keel \\- quotes crypto options: market data in, a model on every change, FIX quotes out",
    ".SH SYNOPSIS",
    ".B keel",
    ".I VERB",
    "[options]",
    ".SH DESCRIPTION",
    "One executable for desks that quote crypto options. Configured by environment variables only.",
    ".SH VERBS",
    ...commands.flatMap(verb),
    ".SH EXIT STATUS",
    ...Object.entries(EXIT_MEANINGS).flatMap(([name, meaning]) =>
      tagged(String(EXIT[name as keyof typeof EXIT]), meaning),
    ),
    ".SH ENVIRONMENT",
    ...Object.entries(VARIABLES).flatMap(([name, { description, default: fallback, unit, type }]) => [
      ...tagged(
        name,
        `${description}. ${type.label}${unit === undefined ? "" : `, ${unit}`}${fallback === null ? "" : `; default ${fallback}`}.`,
      ),
    ]),
    ".SH SIGNALS",
    ...tagged(
      "SIGTERM, SIGINT",
      "Ends the verb in order: every quote is cancelled. A second one ends it at once.",
    ),
    ...tagged("SIGUSR1", "Trips the kill switch of keel run."),
    ...tagged("SIGHUP", "Has keel run read the risk limits anew."),
    ".SH FILES",
    ...tagged("$STATE_DIRECTORY, $KEEL_STATE_DIR", "Kill switch, books, sequence numbers."),
    ...tagged("$KEEL_JOURNAL_DIR", "The journal."),
    ...tagged("/etc/keel.env", "Where the unit of keel print unit reads the environment from."),
    ".SH SEE ALSO",
    ".BR systemd.service (5)",
    "",
  ].join("\n");
}

function verb(command: Command): string[] {
  const options = optionRows(command).flatMap(([head, text]) => tagged(head.trim(), text));
  return [`.SS "${roff(usageLine(command))}"`, roff(`${command.summary}.`), ...options];
}

function tagged(head: string, text: string): string[] {
  return [".TP", `.B ${roff(head)}`, roff(text)];
}

/** A backslash, a dash that is one, a point or quote at a line's beginning, and whatever is not ASCII, are written otherwise in troff. */
function roff(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll("\n", " ")
    .replace(/^(?=[.'])/, "\\&")
    .replace(/[^\x20-\x7e]/gu, (sign) => {
      const code = sign.codePointAt(0) ?? 0;
      return `\\[u${code.toString(16).toUpperCase().padStart(4, "0")}]`;
    });
}
