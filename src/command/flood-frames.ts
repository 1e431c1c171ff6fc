import { EXIT } from "../core/errors.ts";
import { defineCommand } from "./command.ts";

/** Internal: the other process of `bench ingest`. */
export const floodFrames = defineCommand({
  name: "flood-frames",
  summary: "Send a file's lines over a WebSocket as fast as it goes (used by bench)",
  usage: "FILE",
  options: {},
  positionals: ["FILE"],
  environment: false,
  async run({ positionals }) {
    await (await import("../bench/ingest-flood.ts")).sendFlood(positionals[0] ?? "");
    return EXIT.ok;
  },
});
