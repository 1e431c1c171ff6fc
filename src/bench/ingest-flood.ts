/**
 * A flood: another process sends a capture's frames over a WebSocket as fast as it can, and one subject after the other takes
 * them in this one.
 *
 * @module
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { THIS_PROGRAM } from "../core/child.ts";
import { KeelError } from "../core/errors.ts";
import { Histogram } from "../core/histogram.ts";
import { type IngestInput, type IngestScript, type IngestSubject, tellOther } from "./ingest-input.ts";
import { type BenchRow, rowOf } from "./report.ts";

const HOST = "127.0.0.1";
const START = "go";
/** At its socket the sender stops for what the receiver has not read. */
const UNREAD_BYTES_MAX = 1 << 22;
/** Frames that leave by one write. */
const FRAMES_PER_WRITE = 64;

/** What a subject made of a flood: time of each message within the subject, and how fast the whole stream came in. */
class Flooded {
  readonly subject: IngestSubject;
  readonly #perMessage = new Histogram();
  #levels = 0;
  #wallNs = 0;

  constructor(subject: IngestSubject) {
    this.subject = subject;
  }

  record(ns: number, levels: number): void {
    this.#perMessage.record(ns);
    this.#levels += levels;
  }

  ended(wallNs: number): void {
    this.#wallNs += wallNs;
  }

  row(): BenchRow {
    const { count, mean } = this.#perMessage;
    return rowOf(`ingest/flood/${this.subject.name}`, this.#perMessage, "us", {
      mean: Math.round(mean) / 1_000,
      perSecond: Math.round((count * 1e9) / this.#wallNs),
      levels: this.#levels,
      levelsPerSecond: Math.round((this.#levels * 1e9) / this.#wallNs),
    });
  }
}

/** Floods each of `subjects` `rounds` times, after once that does not count, by turns. */
export async function runFlood(
  { inputs }: IngestScript,
  subjects: readonly IngestSubject[],
  rounds: number,
): Promise<BenchRow[]> {
  const folder = mkdtempSync(join(tmpdir(), "keel-flood-"));
  const path = join(folder, "frames");
  const frames = inputs.flatMap((input) => (input.type === "frame" ? [input.text] : []));
  writeFileSync(path, frames.join("\n"));
  const sender = Bun.spawn([...THIS_PROGRAM, "flood-frames", path], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  try {
    const port = await readPort(sender.stdout);
    const flooded = subjects.map((subject) => new Flooded(subject));
    for (const each of subjects.map((subject) => new Flooded(subject))) await flood(port, inputs, each);
    for (let round = 0; round < rounds; round += 1) {
      for (const each of round % 2 === 0 ? flooded : flooded.toReversed()) await flood(port, inputs, each);
    }
    return flooded.map((each) => each.row());
  } finally {
    sender.stdin.end();
    sender.kill();
    await sender.exited;
    rmSync(folder, { recursive: true });
  }
}

async function readPort(stdout: ReadableStream<Uint8Array>): Promise<number> {
  let text = "";
  for await (const bytes of stdout) {
    text += new TextDecoder().decode(bytes);
    if (text.includes("\n")) return Number(text);
  }
  throw new KeelError("flood-sender", "the process that sends the flood ended before it listened");
}

/** Everything once, over one connection. */
function flood(port: number, inputs: readonly IngestInput[], to: Flooded): Promise<void> {
  const { subject } = to;
  let at = 0;
  const others = (): void => {
    for (; at < inputs.length && inputs[at].type !== "frame"; at += 1) tellOther(subject, inputs[at]);
  };
  subject.restart();
  others();
  Bun.gc(true);
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://${HOST}:${port}`);
    let startNs = 0;
    socket.onopen = () => socket.send(START);
    socket.onerror = () => reject(new KeelError("flood-sender", "the connection to the flood broke"));
    socket.onmessage = ({ data }: MessageEvent<string>) => {
      const before = Bun.nanoseconds();
      if (startNs === 0) startNs = before;
      const input = inputs[at];
      if (input?.type !== "frame") return;
      subject.onFrame(data, input.timeUs);
      const after = Bun.nanoseconds();
      to.record(after - before, input.levels);
      at += 1;
      others();
      if (at < inputs.length) return;
      to.ended(after - startNs);
      socket.onerror = null;
      socket.close();
      resolve();
    };
  });
}

/** The sending process: prints its port, sends the frames of a file, one a line, to whoever says so, and ends with its input. */
export async function sendFlood(path: string): Promise<void> {
  const frames = (await Bun.file(path).text()).split("\n");
  const sent = new WeakMap<object, number>();
  const send = (socket: Bun.ServerWebSocket<undefined>): void => {
    let at = sent.get(socket) ?? 0;
    while (at < frames.length && socket.getBufferedAmount() < UNREAD_BYTES_MAX / 2) {
      const end = Math.min(at + FRAMES_PER_WRITE, frames.length);
      socket.cork(() => {
        for (; at < end; at += 1) socket.send(frames[at]);
      });
    }
    sent.set(socket, at);
  };
  const server = Bun.serve({
    hostname: HOST,
    port: 0,
    fetch: (request, upgrading) =>
      upgrading.upgrade(request) ? undefined : new Response(null, { status: 426 }),
    websocket: {
      backpressureLimit: UNREAD_BYTES_MAX,
      open: () => {},
      message: (socket) => {
        sent.set(socket, 0);
        send(socket);
      },
      drain: send,
    },
  });
  process.stdout.write(`${server.port}\n`);
  for await (const _ of Bun.stdin.stream());
  await server.stop(true);
}
