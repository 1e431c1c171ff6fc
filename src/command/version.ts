import { EXIT } from "../core/errors.ts";
import { defineCommand } from "./command.ts";

export const version = defineCommand({
  name: "version",
  summary: "Show version, commit, what is embedded and what the host offers",
  usage: "[options]",
  options: {},
  environment: false,
  async run({ out }) {
    out.line("keel 0.1.0");
    out.result({ version: "0.1.0" });
    return EXIT.ok;
  },
});
