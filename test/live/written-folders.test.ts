import { expect, test } from "bun:test";
import { loadConfig } from "../../src/config.ts";
import { writtenFolders } from "../../src/live/written-folders.ts";

const FIX = {
  ...{ KEEL_FIX_HOST: "fix.example", KEEL_FIX_SENDER_COMP_ID: "DESK" },
  KEEL_FIX_TARGET_COMP_ID: "COUNTERPARTY",
};
const folders = (env: Record<string, string>): Record<string, string> =>
  Object.fromEntries(writtenFolders(loadConfig({ KEEL_STATE_DIR: "/s", ...env })));

test("every folder that is written to is watched for room", () => {
  const env = {
    ...FIX,
    KEEL_JOURNAL_DIR: "/journal",
    KEEL_OUTCOMES_DIR: "/outcomes",
    KEEL_REGISTRY: "/registry",
    KEEL_FIX_STORE_DIR: "/fix",
    KEEL_FIX_MESSAGE_LOG_DIR: "/messages",
  };
  expect(folders(env)).toEqual({
    ...{ state: "/s", journal: "/journal", outcomes: "/outcomes", registry: "/registry" },
    ...{ fix: "/fix", messages: "/messages" },
  });
});

test("what lies in the state folder is told once, and a bucket not at all", () => {
  const bucket = { KEEL_REGISTRY: "s3://models/desk", KEEL_REGISTRY_S3_ENDPOINT: "https://s3.example" };
  expect(folders({ ...FIX, ...bucket })).toEqual({ state: "/s" });
});
