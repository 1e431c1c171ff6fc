import { lstatSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { KeelError } from "../core/errors.ts";

/**
 * Takes away the socket that a process left behind which was killed: nothing else does, and nobody could listen under its name again.
 * One that somebody listens on stays.
 *
 * @throws KeelError when something else than a socket is there
 */
export async function removeDeadSocket(path: string): Promise<void> {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there === undefined) return;
  if (!there.isSocket()) {
    throw new KeelError(
      "http-bind",
      `KEEL_HTTP: cannot listen on ${path}: a file that is no socket is there`,
    );
  }
  if (await isDead(path)) rmSync(path, { force: true });
}

function isDead(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code === "ECONNREFUSED"));
  });
}
