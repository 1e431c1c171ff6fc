import { expect, test } from "bun:test";
import fc from "fast-check";
import { compareVersions, type Identity, refusal } from "../../src/failover/handover/messages.ts";

const own: Identity = { protocol: 1, keel: "1.2.0", pid: 1, formats: { journal: 3, books: 2 } };

test.each([
  ["1.2.3", "1.2.4"],
  ["1.9.0", "1.10.0"],
  ["0.9.9", "1.0.0"],
  ["1.0.0-rc.1", "1.0.0"],
  ["1.0.0-rc.2", "1.0.0-rc.10"],
  ["1.0.0-1", "1.0.0-alpha"],
  ["1.0.0-alpha", "1.0.0-alpha.1"],
])("%p is before %p", (one, other) => {
  expect(compareVersions(one, other)).toBeLessThan(0);
  expect(compareVersions(other, one)).toBeGreaterThan(0);
  expect(compareVersions(one, one)).toBe(0);
});

test("versions are in one order", () => {
  const version = fc
    .tuple(fc.nat(20), fc.nat(20), fc.nat(20), fc.constantFrom("", "-rc.1", "-rc.2", "-beta"))
    .map(([major, minor, patch, pre]) => `${major}.${minor}.${patch}${pre}`);
  fc.assert(
    fc.property(version, version, version, (a, b, c) => {
      expect(Math.sign(compareVersions(a, b)) + Math.sign(compareVersions(b, a))).toBe(0);
      if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0)
        expect(compareVersions(a, c)).toBeLessThanOrEqual(0);
    }),
  );
});

test("the same version and a later one may take over, also where they write files of later versions", () => {
  expect(refusal(own, own)).toBeNull();
  expect(refusal(own, { ...own, keel: "1.2.1", formats: { journal: 4, books: 2, more: 1 } })).toBeNull();
});

test("an earlier version may not, nor one that does not understand what is written, nor one that speaks otherwise", () => {
  expect(refusal(own, { ...own, keel: "1.1.9" })).toContain("keel 1.1.9 may not take over from keel 1.2.0");
  expect(refusal(own, { ...own, formats: { journal: 2, books: 2 } })).toBe(
    "journal: the running keel 1.2.0 writes version 3, keel 1.2.0 understands version 2: a downgrade is not possible",
  );
  expect(refusal(own, { ...own, formats: { journal: 3 } })).toContain("books: ");
  expect(refusal(own, { ...own, protocol: 2 })).toContain("speaks version 1, the new one version 2");
});
