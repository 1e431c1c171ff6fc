import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../src/config.ts";

const folder = mkdtempSync(join(tmpdir(), "keel-deribit-config-"));
const secret = join(folder, "secret");
writeFileSync(secret, "s3cret-of-the-key\n", { mode: 0o600 });
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function configured(url: string): string | undefined {
  return loadConfig({
    KEEL_GATEWAY: "deribit",
    KEEL_DERIBIT_CLIENT_ID: "key",
    KEEL_DERIBIT_CLIENT_SECRET_FILE: secret,
    KEEL_DERIBIT_URL: url,
  }).deribit?.url;
}

describe("Deribit's URL", () => {
  test.each([
    "wss://test.deribit.com/ws/api/v2",
    "wss://10.1.2.3/ws/api/v2",
    "ws://127.0.0.1:9001/ws/api/v2",
    "ws://localhost:9001/ws/api/v2",
    "ws://[::1]:9001/ws/api/v2",
  ])("%s is taken", (url) => {
    expect(configured(url)).toBe(url);
  });

  test.each([
    "ws://www.deribit.com/ws/api/v2",
    "ws://10.1.2.3:9001/ws/api/v2",
    "ws://127.0.0.1.example/ws/api/v2",
    "ws://localhost.example/ws/api/v2",
  ])("%s would send login and orders in the clear, and is refused", (url) => {
    expect(() => configured(url)).toThrow("KEEL_DERIBIT_URL");
    expect(() => configured(url)).toThrow("expected wss://");
  });
});
