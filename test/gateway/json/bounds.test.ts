import { expect, test } from "bun:test";
import { readClientMessageText } from "../../../src/gateway/json/messages.ts";

/** Messages of a given length that are as bad as they come: one per way in which a reader might go over its input twice. */
const WORST: Readonly<Record<string, (length: number) => string>> = {
  "names that are none": (length) =>
    `{"op":"subscribe","channel":"quotes","names":[${"1,".repeat(length / 2)}1]}`,
  "empty legs": (length) =>
    `{"op":"rfq","requestId":"a","quantity":"1","legs":[${"{},".repeat(length / 3)}{}]}`,
  "unknown fields": (length) =>
    `{"op":"ping",${Array.from({ length: length / 9 }, (_, field) => `"${field}":1`).join(",")}}`,
  "open brackets": (length) => "[".repeat(length),
  "open objects": (length) => '{"a":'.repeat(length / 5),
  "nested brackets": (length) => `{"op":"ping","id":${"[".repeat(length / 2)}${"]".repeat(length / 2)}}`,
  digits: (length) => `{"op":"ping","id":${"9".repeat(length)}}`,
  prototypes: (length) => `{"op":"ping",${'"__proto__":{},'.repeat(length / 15)}"a":1}`,
};
const SHORT = 4_096;
const LONG = 16 * SHORT;
const TRIES = 7;

/** The least processor time of several tries, µs. */
function leastCpuUs(text: string): number {
  let least = Number.POSITIVE_INFINITY;
  for (let at = 0; at < TRIES; at += 1) {
    const started = process.cpuUsage();
    for (let again = 0; again < 4; again += 1) readClientMessageText(text);
    const { user, system } = process.cpuUsage(started);
    least = Math.min(least, (user + system) / 4);
  }
  return least;
}

test.each(Object.keys(WORST))("reading %s takes time in proportion to their length", (what) => {
  const make = WORST[what] ?? (() => "");
  const short = leastCpuUs(make(SHORT));
  const long = leastCpuUs(make(LONG));
  // Sixteen times the length: a reader that goes over it once per character would take 256 times as long.
  expect(long).toBeLessThan(Math.max(short, 50) * 100);
});
