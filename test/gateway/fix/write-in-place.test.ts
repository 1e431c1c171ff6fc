import { afterAll, expect, test } from "bun:test";
import type { Socket, TLSOptions } from "bun";
import { CertificateFolder, whyNoCertificates } from "../../support/certificates.ts";

const LOOPBACK = "127.0.0.1";
const certificates = whyNoCertificates === null ? new CertificateFolder() : null;
afterAll(() => certificates?.remove());

/** Writes to a connection that its peer has just reset. @returns the handlers that were called meanwhile, and what each write returned */
async function writeToReset(
  server: TLSOptions | undefined,
): Promise<{ readonly during: readonly string[]; readonly writes: readonly number[] }> {
  const during: string[] = [];
  let inside = false;
  const note = (handler: string): void => {
    if (inside) during.push(handler);
  };
  const accepted = Promise.withResolvers<Socket<undefined>>();
  const opened = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  const listener = Bun.listen<undefined>({
    hostname: LOOPBACK,
    port: 0,
    ...(server === undefined ? {} : { tls: server }),
    socket: {
      data: (socket) => accepted.resolve(socket),
    },
  });
  try {
    const socket = await Bun.connect({
      hostname: LOOPBACK,
      port: listener.port,
      ...(server === undefined ? {} : { tls: { rejectUnauthorized: false } }),
      socket: {
        open: () => {
          if (server === undefined) opened.resolve();
        },
        handshake: () => opened.resolve(),
        data: () => note("data"),
        drain: () => note("drain"),
        end: () => note("end"),
        error: () => note("error"),
        close: () => {
          note("close");
          closed.resolve();
        },
      },
    });
    await opened.promise;
    socket.write("hello");
    const peer = await accepted.promise;
    peer.terminate();
    const bytes = new Uint8Array(1 << 20);
    const writes: number[] = [];
    inside = true;
    for (let at = 0; at < 20; at += 1) writes.push(socket.write(bytes, 0, at % 2 === 0 ? 300 : bytes.length));
    inside = false;
    await closed.promise;
    return { during, writes };
  } finally {
    listener.stop(true);
  }
}

// Quotes are written in the middle of a decision, before it is told and counted: that no handler comes in between is Bun's doing.
test("a socket's handlers are not called inside of a write, also when the connection was reset", async () => {
  const { during, writes } = await writeToReset(undefined);
  expect(during).toEqual([]);
  expect(writes.some((taken) => taken < 0)).toBe(true);
});

if (certificates === null) console.log(`skipped: writes over TLS, ${whyNoCertificates}`);
test.skipIf(certificates === null)("nor over TLS", async () => {
  const { cert, key } = certificates?.make("localhost") ?? {};
  const { during, writes } = await writeToReset({ cert, key });
  expect(during).toEqual([]);
  expect(writes.some((taken) => taken < 0)).toBe(true);
});
