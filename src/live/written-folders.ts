import { join, relative } from "node:path";
import type { Config } from "../config.ts";

/**
 * Folders that a run writes to, whose disks must not fill, by what each is for. What lies in the state folder by default is that one's,
 * and a registry that is no folder has no disk here.
 */
export function writtenFolders(
  config: Pick<Config, "stateDir" | "journal" | "outcomes" | "registry" | "fix" | "fixAccept">,
): Map<string, string> {
  const { stateDir, journal, outcomes, registry, fix, fixAccept } = config;
  const session = fix ?? fixAccept;
  const folders = new Map([["state", stateDir]]);
  const add = (purpose: string, path: string | undefined): void => {
    if (path !== undefined) folders.set(purpose, path);
  };
  add("journal", journal?.dir);
  add("outcomes", outcomes?.dir);
  if (registry !== undefined && !registry.address.startsWith("s3://")) add("registry", registry.address);
  if (session !== undefined && relative(join(stateDir, "fix"), session.storeDir) !== "") {
    add("fix", session.storeDir);
  }
  add("messages", session?.messageLogDir);
  return folders;
}
