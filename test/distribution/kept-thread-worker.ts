/** A thread that does what it is told. */
import { keepBeat } from "../../src/distribution/kept-thread.ts";

declare const self: Worker;

self.onmessage = ({ data }: MessageEvent<{ beat?: SharedArrayBuffer; order?: string }>) => {
  if (data.beat !== undefined) keepBeat(data.beat);
  else if (data.order === "throw") throw new RangeError("what it was told");
  else if (data.order === "reject") void Promise.reject(new Error("what it was told"));
  else if (data.order === "exit") process.exit(0);
  else if (data.order === "hang") for (;;);
  else if (data.order === "flood") for (let i = 0; i < 200; i += 1) self.postMessage(String(i));
  else self.postMessage(data.order);
};
