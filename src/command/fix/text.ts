import type { RunningSession } from "./running.ts";
import type { DescribedSession, ReplayedMessage } from "./store.ts";

const UNKNOWN = "not known";

export function sessionLine(session: DescribedSession): string {
  const held = session.heldBy === null ? "" : `  run by process ${session.heldBy}`;
  return `${session.session}  out ${session.nextOutgoing ?? UNKNOWN}  in ${session.nextIncoming ?? UNKNOWN}  changed ${session.changed}${held}`;
}

export function describeLines(session: DescribedSession | RunningSession): string[] {
  const lines: [string, string][] = [
    ["session", session.session],
    ["version", session.version],
    ["comp ids", `${session.senderCompId} (we) – ${session.targetCompId}`],
  ];
  if ("state" in session) {
    const { startedUs } = session;
    lines.push(
      ["counterparty", session.counterparty],
      ["state", session.state],
      ["next out", String(session.nextOutgoing)],
      ["next in", String(session.nextIncoming)],
      ["started at 1", startedUs === null ? UNKNOWN : new Date(startedUs / 1_000).toISOString()],
    );
    for (const [name, count] of Object.entries(session.counters)) {
      if (count > 0) lines.push([name, String(count)]);
    }
  } else {
    const exact = session.outgoingExact
      ? ""
      : ", the end of what was reserved: the last process did not close the store";
    const open = session.heldBy === null ? exact : `, the end of what process ${session.heldBy} has reserved`;
    lines.push(
      [
        "next out",
        session.nextOutgoing === null
          ? `${UNKNOWN}: no valid record in the log; keel will not run this session`
          : `${session.nextOutgoing}${session.outgoingExact ? "" : open}`,
      ],
      ["next in", String(session.nextIncoming ?? UNKNOWN)],
      ["started at 1", session.started ?? UNKNOWN],
      ["changed", session.changed],
      ["kept", `${session.keptMessages} messages`],
      [
        "file",
        `${session.fileBytes} bytes${session.skippedBytes > 0 ? `, ${session.skippedBytes} damaged` : ""}`,
      ],
      ["run by", session.heldBy === null ? "no process" : `process ${session.heldBy}`],
    );
  }
  return lines.map(([name, value]) => `${name.padEnd(14)}${value}`);
}

export function replayLines(messages: readonly ReplayedMessage[], brief: boolean): string[] {
  const lines: string[] = [];
  for (const { direction, seq, sendingTime, name, type, possDup, fields } of messages) {
    const again = possDup ? ", possible duplicate" : "";
    const head = `${direction.padEnd(3)} ${String(seq).padStart(6)}  ${sendingTime}  ${name} (${type})${again}`;
    const text = fields.map(({ tag, value }) => `${tag}=${value}`).join(" ");
    lines.push(brief ? `${head}  ${text}` : head);
    if (brief) continue;
    for (const field of fields)
      lines.push(`      ${`${field.name} (${field.tag})`.padEnd(34)} ${field.value}`);
  }
  return lines;
}
