import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import packageJson from "../../package.json";
import { licenseText } from "../../src/release/licenses.ts";
import { bundledPackages } from "../../src/release/packages.ts";
import { billOfMaterials } from "../../src/release/sbom.ts";

const root = join(import.meta.dir, "../..");
const INPUTS = [
  "src/main.ts",
  "node_modules/zod/index.js",
  "node_modules/zod/v4/core/core.js",
  "node_modules/@platformatic/kafka/dist/index.js",
  "../elsewhere/node_modules/webgpu/index.js",
];
const packages = bundledPackages(root, INPUTS);

test("the packages of a bundle are each there once, in the version and with the digest of the lock file", () => {
  expect(packages.map(({ name }) => name)).toEqual(["@platformatic/kafka", "webgpu", "zod"]);
  for (const { name, version, sha512 } of packages) {
    expect(Object.entries(packageJson.dependencies)).toContainEqual([name, version]);
    expect(sha512).toMatch(/^[0-9a-f]{128}$/);
  }
});

test("licences hold the text of every package and what the runtime links", () => {
  const text = licenseText(packages, Bun.version);
  for (const { name, version, texts } of packages) {
    expect(text).toContain(`${name} ${version}, `);
    expect(texts.length).toBeGreaterThan(0);
    for (const legal of texts) expect(text).toContain(legal.text.trim());
  }
  expect(text).toContain("JavaScriptCore and WebKit's WebCore: LGPL-2.0-only");
});

describe("the bill of materials", () => {
  const subject = {
    version: "1.2.3",
    commit: "abc",
    date: "2026-01-31T12:00:00Z",
    bun: Bun.version,
    sha256: "0".repeat(64),
    packages,
    embedded: [{ name: "model.onnx", bytes: 1, sha256: "1".repeat(64) }],
  };

  test("fits its schema and names what is inside with its digest", async () => {
    const bill = JSON.parse(await billOfMaterials(subject));
    expect(bill).toMatchObject({ bomFormat: "CycloneDX", specVersion: "1.6" });
    const zod = bill.components.find(({ name }: { name: string }) => name === "zod");
    expect(zod.purl).toBe(`pkg:npm/zod@${packageJson.dependencies.zod}`);
    expect(zod.hashes[0].alg).toBe("SHA-512");
    const kafka = bill.components.find(({ name }: { name: string }) => name === "@platformatic/kafka");
    expect(kafka.purl).toStartWith("pkg:npm/%40platformatic/kafka@");
  });

  test("is the same for the same release", async () => {
    expect(await billOfMaterials(subject)).toBe(await billOfMaterials(subject));
  });
});
