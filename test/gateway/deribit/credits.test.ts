import { expect, test } from "bun:test";
import { Secret } from "../../../src/core/secret.ts";
import { clientSignature, Login } from "../../../src/feed/deribit/login.ts";
import { applyLimits, quotesOf, readPositions } from "../../../src/gateway/deribit/account.ts";
import {
  Credits,
  DEFAULT_BUDGET,
  POOL,
  poolOf,
  RequestBudget,
} from "../../../src/gateway/deribit/credits.ts";
import { actionOf } from "../../../src/gateway/deribit/rpc-error.ts";
import { InstrumentTable } from "../../../src/market/instrument.ts";

test("credits refill with time up to the most there may be, and never by a clock that goes back", () => {
  const credits = new Credits(10, 5);
  expect(credits.take(10, 0)).toBe(true);
  expect(credits.take(1, 100_000)).toBe(false);
  expect(credits.left(1_000_000)).toBeCloseTo(5, 9);
  expect(credits.left(500_000)).toBeCloseTo(5, 9);
  expect(credits.left(60_000_000)).toBe(10);
});

test("a pool that the venue refused rests longer each time, and other pools do not", () => {
  const budget = new RequestBudget(DEFAULT_BUDGET);
  const first = budget.refused(POOL.massQuotes, 1_000_000);
  const second = budget.refused(POOL.massQuotes, 1_000_000);
  expect([first, second]).toEqual([1_050_000, 1_100_000]);
  expect(budget.has(POOL.massQuotes, 1_099_000)).toBe(false);
  expect(budget.has(POOL.massQuotes, 1_250_000)).toBe(true);
  expect(budget.has(POOL.trading, 1_000_000)).toBe(true);
  budget.succeeded(POOL.massQuotes);
  expect(budget.refused(POOL.massQuotes, 2_000_000)).toBe(2_050_000);
});

test("the venue's limits narrow the budget and never widen it", () => {
  const budget = new RequestBudget(DEFAULT_BUDGET);
  const rate = (burst: number, perSecond: number) => ({ burst, rate: perSecond });
  applyLimits(
    {
      limits: {
        matching_engine: { trading: { total: rate(1_000, 1_000) }, maximum_mass_quotes: rate(2, 1) },
      },
    },
    budget,
  );
  expect(budget.pool(POOL.trading).left(0)).toBe(20);
  expect(budget.pool(POOL.massQuotes).left(0)).toBe(2);
  applyLimits({ limits: { matching_engine: { trading: { total: rate(Number.NaN, -1) } } } }, budget);
  applyLimits(null, budget);
  expect(budget.pool(POOL.trading).left(0)).toBe(20);
});

test.each([
  ["private/mass_quote", POOL.massQuotes],
  ["private/cancel_all", POOL.cancelAll],
  ["private/cancel_all_by_currency", POOL.trading],
  ["private/buy", POOL.trading],
  ["private/subscribe", POOL.subscribe],
  ["private/get_positions", POOL.other],
])("%s is counted in its own pool", (method, pool) => {
  expect(poolOf(method)).toBe(pool);
});

test.each([
  [10_028, "retry"],
  [10_047, "retry"],
  [13_009, "login"],
  [11_044, "gone"],
  [13_043, "frozen"],
  [13_042, "forbidden"],
  [10_043, "refused"],
  [99_999, "refused"],
] as const)("error %i asks for %s", (code, action) => {
  expect(actionOf(code)).toBe(action);
});

test("a signature is the venue's: HMAC-SHA256 of time, nonce and data", () => {
  // Deribit API, "Authentication": the worked example with its own (misspelt) secret.
  const signature = clientSignature(new Secret("AMANDASECRECT"), 1_576_074_319_000, "1iqt2wls", "");
  expect(signature).toBe("56590594f97921b09b18f166befe0d1319b198bbcdad7ca73382de2f88fe9aa1");
});

test("a token is refreshed by its own refresh token until it is dead, and by the key afterwards", () => {
  const login = new Login({ clientId: "id", clientSecret: new Secret("hidden-key"), grant: "credentials" });
  expect(login.params(0)).toMatchObject({ grant_type: "client_credentials" });
  expect(login.granted({ access_token: "access-1", refresh_token: "refresh-1", expires_in: 100 }, 0)).toBe(
    true,
  );
  expect(login.refreshUs).toBe(80e6);
  expect(login.params(99e6)).toEqual({ grant_type: "refresh_token", refresh_token: "refresh-1" });
  expect(login.params(100e6)).toMatchObject({ grant_type: "client_credentials" });
  expect(login.redact("hidden-key access-1 refresh-1")).toBe("[secret] [secret] [secret]");
  for (const bad of [null, {}, { access_token: "a", refresh_token: "b", expires_in: "900" }, []]) {
    expect(login.granted(bad, 0)).toBe(false);
  }
});

test("answers in another form than documented are refused with what was wrong", () => {
  const table = new InstrumentTable(1);
  expect(() => readPositions({ not: "a list" }, table)).toThrow("private/get_positions");
  expect(() => readPositions([{ instrument_name: "X", size: "1" }], table)).toThrow("size");
  expect(readPositions([{ instrument_name: "X", size: -2.5 }], table)[0].size).toBe("-2.5");
  expect(quotesOf([], table)).toEqual([]);
});
