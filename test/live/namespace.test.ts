import { afterAll, expect, test } from "bun:test";
import { Namespace } from "./failover/namespace.ts";

const missing = Namespace.missing();
if (missing !== null) console.log(`skipped: ${missing}`);
const network = missing === null ? new Namespace() : null;
afterAll(() => network?.remove());

/** Sends a number every 50 ms, and prints each one that comes back. */
const CLIENT = `
const [host, port] = process.argv.slice(1);
let number = 0;
const socket = await Bun.connect({ hostname: host, port: Number(port), socket: {
  data: (_socket, chunk) => process.stdout.write(chunk),
  error: () => {},
} });
setInterval(() => socket.write(String((number += 1)) + " "), 50);
`;

/** Waits until it holds. @throws Error naming it when it does not in time */
async function until(what: string, holds: () => boolean): Promise<void> {
  for (let attempt = 0; attempt < 1_500; attempt += 1) {
    if (holds()) return;
    await Bun.sleep(20);
  }
  throw new Error(`not within 30 s: ${what}`);
}

test.skipIf(network === null)(
  "what is sent into a network that is down vanishes, no end is told, and everything is delivered late",
  async () => {
    if (network === null) return;
    let got = "";
    let closes = 0;
    const server = Bun.listen({
      hostname: network.host,
      port: 0,
      socket: {
        data: (socket, chunk) => {
          got += chunk.toString();
          socket.write(chunk);
        },
        close: () => {
          closes += 1;
        },
      },
    });
    const command = [process.execPath, "-e", CLIENT, network.host, String(server.port)];
    const client = Bun.spawn(network.command(command), { stdout: "pipe", stderr: "inherit" });
    let back = "";
    void (async () => {
      for await (const text of client.stdout.pipeThrough(new TextDecoderStream())) back += text;
    })();
    const numbers = (text: string): string[] => text.trim().split(" ");
    const gone: ((network: Namespace) => void)[] = [(n) => n.unplug(), (n) => n.mute(), (n) => n.deafen()];
    try {
      for (const take of gone) {
        const had = numbers(back).length;
        await until("there and back", () => numbers(back).length > had + 3);
        take(network);
        await Bun.sleep(150);
        const [sent, returned] = [got, back];
        await Bun.sleep(300);
        // One way may stay open; nothing makes the round.
        expect(got === sent || back === returned).toBe(true);
        network.plug();
        await until("late", () => numbers(back).length > numbers(returned).length + 6);
      }
      expect(closes).toBe(0);
      const whole = numbers(back).slice(0, -1);
      expect(whole).toEqual(whole.map((_, i) => String(i + 1)));
    } finally {
      client.kill();
      await client.exited;
      server.stop(true);
    }
  },
  120_000,
);
