import { EXIT } from "../core/errors.ts";
import { defineCommand, UsageError } from "./command.ts";

export const print = defineCommand({
  name: "print",
  summary: "Print what others build on: the messages of the JSON gateway as JSON Schema",
  usage: "api",
  details: `api  what clients of the JSON gateway may send (\`client\`) and are sent (\`server\`), as JSON Schema

The schema is of draft 2020-12 and made from the definitions that check the messages. It is the result, too.`,
  options: {},
  positionals: ["WHAT"],
  environment: false,
  async run({ positionals: [what], out }) {
    if (what !== "api") throw new UsageError(`print: found ${JSON.stringify(what)}, expected api`);
    const { apiSchema } = await import("../gateway/json/messages.ts");
    const schema = apiSchema();
    out.line(JSON.stringify(schema, null, 2));
    out.result(schema);
    return EXIT.ok;
  },
});
