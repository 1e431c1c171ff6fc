import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HttpServer } from "../../src/monitor/http.ts";
import { removeDeadSocket } from "../../src/monitor/socket-file.ts";
import { quietTarget } from "../support/quiet-target.ts";

const folder = mkdtempSync(join(tmpdir(), "keel-socket-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const serve = (unix: string): HttpServer =>
  new HttpServer({ hostname: "", port: 0, unix, token: null }, quietTarget());

test("a process that was killed keeps nobody from its socket's name", async () => {
  const unix = join(folder, "killed.sock");
  const script = `Bun.serve({ unix: ${JSON.stringify(unix)}, fetch: () => new Response() }); console.log("listens")`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
  await child.stdout.getReader().read();
  child.kill("SIGKILL");
  await child.exited;
  expect(existsSync(unix)).toBe(true);
  await removeDeadSocket(unix);
  const server = serve(unix);
  expect((await fetch("http://localhost/healthz", { unix })).status).toBe(200);
  await server.stop();
});

test("a socket that somebody listens on stays, and is not taken from them", async () => {
  const unix = join(folder, "alive.sock");
  const server = serve(unix);
  await removeDeadSocket(unix);
  expect(() => serve(unix)).toThrow(`KEEL_HTTP: cannot listen on ${unix}`);
  expect((await fetch("http://localhost/healthz", { unix })).status).toBe(200);
  await server.stop();
});

test("a file that is no socket is left alone, and told", async () => {
  const file = join(folder, "notes.txt");
  writeFileSync(file, "kept");
  await expect(removeDeadSocket(file)).rejects.toThrow("a file that is no socket is there");
  expect(existsSync(file)).toBe(true);
  await removeDeadSocket(join(folder, "nothing.sock"));
});
