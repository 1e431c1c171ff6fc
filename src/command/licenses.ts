import { EXIT, KeelError } from "../core/errors.ts";
import { defineCommand } from "./command.ts";

export const licenses = defineCommand({
  name: "licenses",
  summary: "Show the licences of everything in the executable that others wrote",
  usage: "",
  details: "The result holds `text`.",
  options: {},
  environment: false,
  async run({ out }) {
    const { THIRD_PARTY } = await import("../release/third-party.ts");
    if (THIRD_PARTY === null) {
      throw new KeelError(
        "from-source",
        "licences are put into the executable when it is built; from source they lie in node_modules",
      );
    }
    out.raw(THIRD_PARTY);
    out.result({ text: THIRD_PARTY });
    return EXIT.ok;
  },
});
