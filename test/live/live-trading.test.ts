import { expect, test } from "bun:test";
import { type Config, loadConfig } from "../../src/config.ts";
import { Logger } from "../../src/core/log.ts";
import { NoGateway } from "../../src/gateway/no-gateway.ts";
import type { JournalSink } from "../../src/journal/record.ts";
import { LiveInputs } from "../../src/live/live-inputs.ts";
import { LiveTrading } from "../../src/live/live-trading.ts";
import { DeskBed } from "../desk/desk-bed.ts";

const log = new Logger({ format: "text", level: "error", sink: () => {} });
const JOURNALLED = { KEEL_JOURNAL_DIR: "/nowhere/journal" };

/** A desk whose journal loses what it is told to, and an exchange's protection that is on or not. */
class Bed {
  readonly desk = new DeskBed(null).desk;
  readonly journal = { failed: false, dropped: 0, frozen: false };
  readonly commands: string[] = [];
  readonly trading: LiveTrading;

  constructor(config: Config) {
    const clock = { wallUs: () => 1_700_000_000e6, monotonicNs: () => 0 };
    const sink: JournalSink = {
      dropped: 0,
      text: (_type, _subject, _timeUs, payload) => void this.commands.push(JSON.parse(payload).command),
      bytes: () => {},
    };
    const { journal } = this;
    class Frozen extends NoGateway {
      resetProtection(): boolean {
        const was = journal.frozen;
        journal.frozen = false;
        return was;
      }
    }
    const gateway = new Frozen();
    this.trading = new LiveTrading({
      ...{ config, desk: this.desk, gateway: () => gateway, inputs: new LiveInputs(clock, sink), clock, log },
      onSides: () => {},
      journalFailed: () => journal.failed,
      recordsLost: () => journal.dropped,
    });
  }

  get state(): string {
    return this.desk.gate.tradingState;
  }
}

const bed = (lost: "reduce" | "quote"): Bed =>
  new Bed(loadConfig({ ...JOURNALLED, KEEL_JOURNAL_LOST: lost }));

test("a journal that can write no more has the desk reduce, and no operator resets that", () => {
  const one = bed("reduce");
  const { trading, journal, commands } = one;
  journal.failed = true;
  trading.onTimer();
  expect(one.state).toBe("reducing");
  expect(trading.askReset()).toContain("the journal can write no more");
  trading.onTimer();
  expect(one.state).toBe("reducing");
  expect(commands).toEqual(["reduce"]);
});

test("what resets without an operator lasts until the timer: nothing is traded without a record", () => {
  const one = bed("reduce");
  one.journal.failed = true;
  one.trading.onTimer();
  expect(one.trading.resetKill()).toBe(true);
  expect(one.state).toBe("active");
  one.trading.onTimer();
  expect(one.state).toBe("reducing");
});

test("records that were lost are passed over by a reset, and the next one has the desk reduce again", () => {
  const one = bed("reduce");
  one.journal.dropped = 3;
  one.trading.onTimer();
  expect(one.state).toBe("reducing");
  expect(one.trading.askReset()).toBe(true);
  one.trading.onTimer();
  expect(one.state).toBe("active");
  one.journal.dropped = 4;
  for (let turn = 0; turn < 3; turn += 1) one.trading.onTimer();
  expect(one.state).toBe("reducing");
  expect(one.commands).toEqual(["reduce", "reset", "reduce"]);
});

test("a desk that may trade without a record goes on, and is reset", () => {
  const one = bed("quote");
  one.journal.failed = true;
  one.trading.onTimer();
  expect(one.state).toBe("active");
  one.trading.reduce("operator");
  expect(one.trading.askReset()).toBe(true);
});

test("a reset that lifts the exchange's protection alone has reset something", () => {
  const one = bed("quote");
  expect(one.trading.askReset()).toBe(false);
  one.journal.frozen = true;
  expect(one.trading.askReset()).toBe(true);
  expect(one.trading.askReset()).toBe(false);
});
