import { expect, test } from "bun:test";
import { Logger } from "../../src/core/log.ts";
import { ProblemLog } from "../../src/live/problem-log.ts";

function bed() {
  const lines: string[] = [];
  const feeds = [{ problem: "" }, { problem: "" }];
  const log = new Logger({ format: "text", level: "info", sink: (line) => lines.push(line) });
  return { feeds, lines, problems: new ProblemLog(feeds, log) };
}

test("each new trouble of a feed is logged once", () => {
  const { feeds, lines, problems } = bed();
  problems.tell();
  feeds[1].problem = "deribit: found no instrument BTC-PERPETUA among the 12 of BTC future";
  problems.tell();
  problems.tell();
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain("BTC-PERPETUA");
  feeds[1].problem = "deribit: no data of BTC-PERPETUAL for 5000 ms";
  problems.tell();
  expect(lines).toHaveLength(2);
});

test("what was logged in other words is not told again", () => {
  const { feeds, lines, problems } = bed();
  feeds[0].problem = "binance-usdm: connection closed with code 1006";
  problems.told(0);
  problems.tell();
  expect(lines).toEqual([]);
});
