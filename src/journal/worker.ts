/**
 * The journal's own thread: takes records out of the ring and appends them to segment files. It polls, so that the desk's
 * thread never has to wake it.
 *
 * @module
 */
import { Collector } from "../core/background.ts";
import { RING_NONE, RingConsumer } from "../core/ring.ts";
import {
  CONTROL,
  type JournalWorkerReply,
  type JournalWorkerStart,
  type JournalWorkerWarning,
} from "./control.ts";
import { CRC_FROM, TWO_32 } from "./format.ts";
import { RECORD } from "./record.ts";
import { SegmentFiles } from "./segments.ts";

declare const self: Worker;

/** Longest sleep between looks at an idle ring; what a crash of the process can lose. */
const IDLE_MS = 5;
/** Sleep before a disk that had no room is tried again. */
const STALLED_MS = 250;
const STALLED = -1;
/** Out of space, or of the user's quota. */
const NO_ROOM: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT"]);
/** Records taken before the clock is looked at. */
const BURST = 4_096;
/** Records after which what they left is collected. */
const COLLECT_RECORDS = 16_384;

self.onmessage = (message: MessageEvent<JournalWorkerStart>) => {
  const { memory, control, options } = message.data;
  const words = new Int32Array(control);
  let reply: JournalWorkerReply;
  try {
    const files = new SegmentFiles(options, (unretired) => {
      Atomics.add(words, CONTROL.unretired, 1);
      self.postMessage({ unretired } satisfies JournalWorkerWarning);
    });
    Atomics.store(words, CONTROL.ready, 1);
    Atomics.notify(words, CONTROL.ready);
    reply = drain(new RingConsumer(memory), words, files);
  } catch (error) {
    Atomics.store(words, CONTROL.failed, 1);
    reply = {
      failure: error instanceof Error ? error.message : String(error),
      records: 0,
      bytes: 0,
      segments: 0,
      digest: null,
    };
  }
  Atomics.store(words, CONTROL.done, 1);
  Atomics.notify(words, CONTROL.done);
  self.postMessage(reply);
};

function drain(ring: RingConsumer, words: Int32Array, files: SegmentFiles): JournalWorkerReply {
  let records = 0;
  let failure: string | null = null;
  const collector = new Collector(COLLECT_RECORDS);
  const take = (): number => {
    const taken = takeBurst(ring, files);
    records += taken;
    if (taken === BURST) return taken;
    files.flush();
    files.tick(performance.now());
    collector.worked(taken);
    return taken;
  };
  try {
    for (;;) {
      const closing = Atomics.load(words, CONTROL.closing) !== 0;
      const taken = closing ? take() : orStalled(words, take);
      if (taken === BURST) continue;
      if (closing && taken === 0) break;
      const idleMs = taken === STALLED ? STALLED_MS : IDLE_MS;
      if (!closing) Atomics.wait(words, CONTROL.closing, 0, idleMs);
    }
    files.end();
  } catch (error) {
    Atomics.store(words, CONTROL.failed, 1);
    failure = error instanceof Error ? error.message : String(error);
  }
  return { failure, records, bytes: files.writtenBytes, segments: files.segment, digest: files.lastDigest };
}

/** A disk without room may get some again: what could not be written waits in the ring. @returns what was taken */
function orStalled(words: Int32Array, take: () => number): number {
  try {
    const taken = take();
    Atomics.store(words, CONTROL.stalled, 0);
    return taken;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && NO_ROOM.has(String(error.code)))) throw error;
    Atomics.store(words, CONTROL.stalled, 1);
    return STALLED;
  }
}

function takeBurst(ring: RingConsumer, files: SegmentFiles): number {
  let taken = 0;
  while (taken < BURST) {
    const at = ring.peek();
    if (at === RING_NONE) break;
    const end = at + ring.length;
    const word = at >> 2;
    ring.u32[word + 1] = Bun.hash.crc32(ring.bytes.subarray(at + CRC_FROM, end));
    files.append(ring.bytes.subarray(at, end), ring.u32[word + 5] * TWO_32 + ring.u32[word + 4]);
    const isLink = ring.u32[word + 2] === RECORD.link;
    ring.release();
    if (isLink) files.settle();
    taken += 1;
  }
  return taken;
}
