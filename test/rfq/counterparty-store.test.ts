import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Counterparty } from "../../src/rfq/counterparty.ts";
import { CounterpartyStore } from "../../src/rfq/counterparty-store.ts";
import { DEFAULT_RFQ_PARAMETERS } from "../../src/rfq/parameters.ts";

const folder = mkdtempSync(join(tmpdir(), "keel-counterparties-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, "counterparties.json");

/** Takes every quote, and the market moves against us by twice the half-spread after each trade. */
function toxic(): Counterparty {
  const counterparty = new Counterparty("ACME", DEFAULT_RFQ_PARAMETERS);
  for (let trade = 0; trade < 30; trade += 1) {
    counterparty.requests += 1;
    counterparty.onQuote();
    counterparty.onTrade(1_000);
    counterparty.onMarkout(2);
  }
  return counterparty;
}

test("a counterparty's tier, hit ratio and markout outlive the run", async () => {
  const before = toxic();
  expect(before.tier).toBe(4);
  const store = new CounterpartyStore(path);
  await store.save([before.saved()]);
  const [saved] = new CounterpartyStore(path).load();
  const after = new Counterparty("ACME", DEFAULT_RFQ_PARAMETERS, saved);
  expect([after.tier, after.markout, after.hitRatio]).toEqual([4, before.markout, before.hitRatio]);
  expect(after.saved()).toEqual(before.saved());
  store.saveSync([before.saved()]);
  expect(new CounterpartyStore(path).load()).toEqual([saved]);
  expect(readdirSync(folder)).toEqual(["counterparties.json"]);
});

test("no file means that nobody is known", () => {
  expect(new CounterpartyStore(join(folder, "none.json")).load()).toEqual([]);
});

test("a damaged file, another version and a cut one are errors that name the file", () => {
  const text = readFileSync(path, "utf8");
  for (const broken of [
    text.replace('"trades":30', '"trades":31'),
    text.replace('"version":1', '"version":2'),
    text.slice(0, text.length / 2),
    "[]",
    "",
  ]) {
    writeFileSync(path, broken);
    expect(() => new CounterpartyStore(path).load()).toThrow("counterparties.json");
  }
  writeFileSync(path, text);
});
