import { describe, expect, test } from "bun:test";
import { Rng } from "../../src/core/rng.ts";
import {
  Backoff,
  CONNECTION,
  ConnectionSupervisor,
  VERDICT,
  type Verdict,
} from "../../src/feed/supervisor.ts";
import { ScriptedPort } from "./scripted-port.ts";

const SECOND = 1_000_000;

function supervisor(silenceMs = 1_000): { port: ScriptedPort; connection: ConnectionSupervisor } {
  const port = new ScriptedPort();
  return { port, connection: new ConnectionSupervisor({ feed: 0, port, seed: 1, silenceMs }) };
}

/** The timer as a process that runs has it, every 10 ms. @returns its last verdict */
function watch(connection: ConnectionSupervisor, fromUs: number, toUs: number): Verdict {
  let verdict: Verdict = VERDICT.fine;
  for (let timeUs = fromUs; timeUs <= toUs && verdict === VERDICT.fine; timeUs += 10_000)
    verdict = connection.onTimer(timeUs);
  return verdict;
}

test("delays double up to the cap, jittered between half and all", () => {
  const backoff = new Backoff(new Rng(1), { baseMs: 100, capMs: 1_000 });
  for (const ceilingMs of [100, 200, 400, 800, 1_000, 1_000]) {
    const delayUs = backoff.nextUs();
    expect(delayUs).toBeGreaterThanOrEqual(ceilingMs * 500);
    expect(delayUs).toBeLessThanOrEqual(ceilingMs * 1_000);
  }
  backoff.reset();
  expect(backoff.nextUs()).toBeLessThanOrEqual(100_000);
});

test("two seeds wait for different times", () => {
  const delay = (seed: number): number => new Backoff(new Rng(seed), { baseMs: 100, capMs: 1_000 }).nextUs();
  expect(delay(1)).not.toBe(delay(2));
  expect(delay(1)).toBe(delay(1));
});

test("a connection that lived for a while reconnects from the base again", () => {
  const { port, connection } = supervisor();
  connection.start(0);
  let timeUs = 0;
  for (let i = 0; i < 8; i += 1) {
    connection.onClose(timeUs);
    timeUs += 31 * SECOND;
    connection.onTimer(timeUs);
  }
  expect(port.connects).toBe(9);
  connection.onOpen(timeUs);
  timeUs += 6 * SECOND;
  connection.onClose(timeUs);
  connection.onTimer(timeUs + 200_000);
  expect(port.connects).toBe(10);
});

test("a connection that is lost at once does not", () => {
  const { port, connection } = supervisor();
  connection.start(0);
  let timeUs = 0;
  for (let i = 0; i < 8; i += 1) {
    connection.onOpen(timeUs);
    connection.onClose(timeUs + 1_000);
    timeUs += 31 * SECOND;
    connection.onTimer(timeUs);
  }
  connection.onOpen(timeUs);
  connection.onClose(timeUs);
  connection.onTimer(timeUs + 10 * SECOND);
  expect(port.connects).toBe(9);
});

test("a Retry-After is honoured", () => {
  const { port, connection } = supervisor();
  connection.start(0);
  connection.onClose(0);
  connection.holdUntil(20 * SECOND);
  connection.onTimer(19 * SECOND);
  expect(port.connects).toBe(1);
  connection.onTimer(20 * SECOND);
  expect(port.connects).toBe(2);
});

test("the first data may take longer than silence may last", () => {
  const { connection } = supervisor();
  connection.start(0);
  connection.onOpen(0);
  expect(watch(connection, 0, 15 * SECOND)).toBe(VERDICT.fine);
  expect(connection.onTimer(15 * SECOND + 10_000)).toBe(VERDICT.silent);
  connection.onData(16 * SECOND);
  expect(watch(connection, 16 * SECOND, 17 * SECOND)).toBe(VERDICT.fine);
  expect(connection.onTimer(17 * SECOND)).toBe(VERDICT.fine);
  expect(connection.onTimer(17 * SECOND + 1)).toBe(VERDICT.silent);
});

describe("a process that stood still", () => {
  function streaming(silenceMs = 1_000): ConnectionSupervisor {
    const { connection } = supervisor(silenceMs);
    connection.start(0);
    connection.onOpen(0);
    connection.onData(0);
    expect(watch(connection, 0, SECOND / 10)).toBe(VERDICT.fine);
    return connection;
  }

  test("judges no silence before it had time to read what waits", () => {
    const connection = streaming();
    expect(connection.onTimer(5 * SECOND)).toBe(VERDICT.unread);
    connection.onData(5 * SECOND + 1_000);
    expect(watch(connection, 5 * SECOND + 10_000, 6 * SECOND)).toBe(VERDICT.fine);
    expect(connection.onTimer(6 * SECOND + 10_000)).toBe(VERDICT.silent);
  });

  test("gives up what brings nothing in a quarter of the silence limit from then on", () => {
    const connection = streaming();
    expect(connection.onTimer(5 * SECOND)).toBe(VERDICT.unread);
    expect(connection.onTimer(5.25 * SECOND - 1)).toBe(VERDICT.unread);
    expect(connection.onTimer(5.25 * SECOND)).toBe(VERDICT.silent);
  });

  test("and does so again and again gives up a dead connection all the same", () => {
    const connection = streaming();
    expect(connection.onTimer(5 * SECOND)).toBe(VERDICT.unread);
    expect(connection.onTimer(10 * SECOND)).toBe(VERDICT.silent);
  });

  test("waits as long after every stall that data came before", () => {
    const connection = streaming();
    for (let timeUs = 5 * SECOND; timeUs < 50 * SECOND; timeUs += 5 * SECOND) {
      expect(connection.onTimer(timeUs)).toBe(VERDICT.unread);
      connection.onData(timeUs + 1_000);
      expect(watch(connection, timeUs + 10_000, timeUs + SECOND / 2)).toBe(VERDICT.fine);
    }
  });

  test("for less than a quarter of the limit is none: silence is judged as ever", () => {
    const connection = streaming();
    expect(watch(connection, SECOND / 10, 0.8 * SECOND)).toBe(VERDICT.fine);
    expect(connection.onTimer(1_040_000)).toBe(VERDICT.silent);
  });

  test("reads whether the connection was opened before it calls it too late", () => {
    const { connection } = supervisor();
    connection.start(0);
    expect(connection.onTimer(0)).toBe(VERDICT.fine);
    expect(connection.onTimer(20 * SECOND)).toBe(VERDICT.fine);
    expect(connection.onTimer(20.25 * SECOND)).toBe(VERDICT.connectTimeout);
  });
});

test("what is dropped is disconnected at the port, once", () => {
  const { port, connection } = supervisor();
  connection.start(0);
  connection.onOpen(0);
  connection.drop("silence", 1);
  connection.drop("silence", 1);
  expect(port.disconnects).toEqual(["silence"]);
  expect(connection.state).toBe(CONNECTION.waiting);
  expect(connection.onClose(2)).toBe(false);
  expect(connection.onOpen(2)).toBe(false);
});
