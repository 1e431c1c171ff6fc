import type { SessionIdentity } from "./builder.ts";
import { BEGIN_STRING, type FixVersion } from "./tags.ts";

/** Name of a session's own folder: version and both comp ids, encoded so that no two sessions share one. */
export function sessionFolder(identity: SessionIdentity): string {
  return [BEGIN_STRING[identity.version], identity.senderCompId, identity.targetCompId]
    .map((part) => encodeURIComponent(part).replaceAll("-", "%2D"))
    .join("-");
}

/** Reads a name made by {@link sessionFolder}; undefined when it is none. */
export function sessionOfFolder(name: string): SessionIdentity | undefined {
  const [begin, sender, target, ...more] = name.split("-");
  if (sender === undefined || target === undefined || more.length > 0) return undefined;
  const version = (Object.keys(BEGIN_STRING) as FixVersion[]).find((known) => BEGIN_STRING[known] === begin);
  if (version === undefined) return undefined;
  try {
    return { version, senderCompId: decodeURIComponent(sender), targetCompId: decodeURIComponent(target) };
  } catch {
    return undefined;
  }
}
