import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Dictionary } from "../../../src/gateway/fix/dictionary.ts";
import {
  FIELD_TYPES,
  FIELD_VALUES,
  HEADER,
  MESSAGES,
  TRAILER,
} from "../../../src/gateway/fix/dictionary-tables.ts";
import { FixMessage } from "../../../src/gateway/fix/message.ts";
import { FixParser, PARSE } from "../../../src/gateway/fix/parser.ts";
import { REJECT, Violation } from "../../../src/gateway/fix/reject-reason.ts";
import { type FixVersion, TAG } from "../../../src/gateway/fix/tags.ts";
import { fix } from "./script.ts";

const VECTORS = join(import.meta.dir, "../../../../shared/vectors");
const present = existsSync(VECTORS);
if (!present) console.log(`skipped: comparison with FIX data dictionaries, no ${VECTORS}`);

const HEAD = "34=2|49=A|52=20260105-12:00:00|56=B";
const QUOTE = "117=1|296=1|302=S|311=BTC|304=2|295=2";

function check(version: FixVersion, type: string, body: string): [reason: number, tag: number] | "sound" {
  const message = new FixMessage(128);
  const bytes = Uint8Array.from(Buffer.from(fix(`35=${type}|${HEAD}|${body}`, `FIX.${version}`), "latin1"));
  expect(new FixParser(4_096).parse(bytes, 0, bytes.length, message)).toBe(PARSE.complete);
  const violation = new Violation();
  return new Dictionary(version).check(message, violation) ? "sound" : [violation.reason, violation.tag];
}

describe("Dictionary", () => {
  test.each(["4.4", "4.2"] as const)("takes a mass quote of FIX %s", (version) => {
    const entry = "55=X|207=deribit|132=0.5|133=1|134=1|135=0|60=20260105-12:00:00.123";
    expect(check(version, "i", `${QUOTE}|299=1|${entry}|299=2|${entry}`)).toBe("sound");
  });

  test.each([
    ["an entry too few", `${QUOTE}|299=1|55=X`, [REJECT.incorrectNumInGroup, TAG.noQuoteEntries]],
    [
      "a tag twice in an entry",
      `${QUOTE}|299=1|55=X|55=Y|299=2`,
      [REJECT.tagAppearsMoreThanOnce, TAG.symbol],
    ],
    ["a price of letters", `${QUOTE}|299=1|132=x|299=2`, [REJECT.incorrectDataFormat, TAG.bidPx]],
    [
      "a required field missing in a group",
      `${QUOTE.replace("304=2|", "")}|299=1|299=2`,
      [REJECT.requiredTagMissing, TAG.totNoQuoteEntries],
    ],
    ["a group count of letters", "117=1|296=x", [REJECT.incorrectDataFormat, TAG.noQuoteSets]],
    [
      "an entry that does not begin with its id",
      `${QUOTE}|55=X|299=1`,
      [REJECT.incorrectNumInGroup, TAG.noQuoteEntries],
    ],
    ["no QuoteID", "296=0", [REJECT.requiredTagMissing, TAG.quoteId]],
  ] as const)("finds %s", (_name, body, wanted) => {
    expect(check("4.4", "i", body)).toEqual([...wanted]);
  });

  test("lets user-defined and unknown types of the version through to the application", () => {
    expect(check("4.4", "U1", "9999=x")).toBe("sound");
    expect(check("4.4", "AE", "571=x")).toBe("sound");
    expect(check("4.2", "AE", "571=x")).toEqual([REJECT.invalidMsgType, Number.MIN_SAFE_INTEGER]);
  });

  test("has exactly one type for every field of every message", () => {
    const typed = Object.values(FIELD_TYPES).flatMap((tags) => tags.split(" ").map(Number));
    expect(new Set(typed).size).toBe(typed.length);
    for (const version of ["4.2", "4.4"] as const) {
      const used = [HEADER[version], TRAILER, ...Object.values(MESSAGES[version])].flatMap(
        (text) => text.match(/\d+/g) ?? [],
      );
      expect(used.map(Number).filter((tag) => !typed.includes(tag))).toEqual([]);
    }
  });
});

const SAME_TYPE: Record<string, string> = {
  PRICE: "float",
  QTY: "float",
  AMT: "float",
  FLOAT: "float",
  PRICEOFFSET: "float",
  PERCENTAGE: "float",
  EXCHANGE: "string",
  COUNTRY: "string",
  LOCALMKTDATE: "localDate",
  UTCTIMESTAMP: "utcTimestamp",
  MONTHYEAR: "monthYear",
  NUMINGROUP: "numInGroup",
  SEQNUM: "seqNum",
  MULTIPLEVALUESTRING: "multipleValue",
  DAYOFMONTH: "int",
};

interface PublishedField {
  readonly type: string;
  readonly values: readonly string[];
}

function publishedFields(file: string): Map<number, PublishedField> {
  const text = readFileSync(join(VECTORS, file), "utf8");
  const fields = new Map<number, PublishedField>();
  const pattern = /<field number=['"](\d+)['"][^>]*?type=['"](\w+)['"][^>]*?(?:\/>|>([\s\S]*?)<\/field>)/g;
  for (const [, number, type, inner] of text.matchAll(pattern)) {
    const values = [...(inner ?? "").matchAll(/enum=['"]([^'"]+)['"]/g)].map((match) => match[1]);
    fields.set(Number(number), { type: SAME_TYPE[type] ?? type.toLowerCase(), values });
  }
  return fields;
}

describe.skipIf(!present)("Dictionary beside the published one", () => {
  const published = present ? publishedFields("FIX44.xml") : new Map<number, PublishedField>();

  test("has the same type for every field of FIX 4.4", () => {
    const differences: string[] = [];
    for (const [type, tags] of Object.entries(FIELD_TYPES)) {
      for (const tag of tags.split(" ").map(Number)) {
        const theirs = published.get(tag);
        if (theirs !== undefined && theirs.type !== type)
          differences.push(`${tag}: ${type}, published ${theirs.type}`);
      }
    }
    expect(differences).toEqual([]);
  });

  test.each([
    ["FIX44.xml", "4.4"],
    ["FIX42.xml", "4.2"],
  ])("takes every enumerated value of %s", (file, version) => {
    const fields = publishedFields(file);
    const missing: string[] = [];
    for (const [key, values] of Object.entries(FIELD_VALUES)) {
      const [tag, only] = key.split("@");
      if (only !== undefined && only !== version) continue;
      const ours = new Set(values.split(" "));
      for (const value of fields.get(Number(tag))?.values ?? [])
        if (!ours.has(value)) missing.push(`${tag}=${value}`);
    }
    expect(missing).toEqual([]);
  });
});
