import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  Dictionary,
  FULL_VALIDATION,
  fieldNames,
  type Validation,
  VERSION_TABLES,
} from "../../../src/gateway/fix/dictionary/dictionary.ts";
import { FIELDS } from "../../../src/gateway/fix/dictionary/fields.ts";
import { type FieldSet, parseFieldSet } from "../../../src/gateway/fix/dictionary/notation.ts";
import { FIELD_VALUES } from "../../../src/gateway/fix/dictionary/values.ts";
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

function parsed(version: FixVersion, fields: string): FixMessage {
  const message = new FixMessage(128);
  const bytes = Uint8Array.from(Buffer.from(fix(fields, `FIX.${version}`), "latin1"));
  expect(new FixParser(4_096).parse(bytes, 0, bytes.length, message)).toBe(PARSE.complete);
  return message;
}

function check(version: FixVersion, type: string, body: string): [reason: number, tag: number] | "sound" {
  const message = parsed(version, `35=${type}|${HEAD}|${body}`);
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
    const typed = typedTags();
    expect(new Set(typed).size).toBe(typed.length);
    for (const { header, trailer, components, messages } of Object.values(VERSION_TABLES)) {
      const sets = [header, trailer, ...Object.values(messages).map(({ fields }) => fields)];
      const used = sets.flatMap((text) => allTags(parseFieldSet(text, components)));
      expect(used.filter((tag) => !typed.includes(tag))).toEqual([]);
    }
    expect(fieldNames().get(TAG.bidPx)).toBe("BidPx");
  });

  const sent = (type: string) => `35=${type}|${HEAD}`;
  test.each([
    ["a required field", "required", "i", "296=0"],
    ["an enumerated value", "values", "i", "117=1|301=9|296=0"],
    ["a field of another message", "unknown", "i", "117=1|40=1|296=0"],
    ["a field nobody knows", "unknown", "i", "117=1|999=1|296=0"],
    ["a user-defined field", "userDefined", "i", "117=1|5001=x|296=0"],
    ["the count of a group", "groups", "i", `${QUOTE}|299=1|55=X`],
    ["the field that begins an entry", "groups", "i", `${QUOTE}|55=X|299=1`],
  ] as const)("lets a peer that does not keep to it off %s", (_name, setting, type, body) => {
    const off: Validation = { ...FULL_VALIDATION, [setting]: false };
    expect(check("4.4", type, body)).not.toBe("sound");
    const message = parsed("4.4", `${sent(type)}|${body}`);
    expect(new Dictionary("4.4", { ...off, required: false }).check(message, new Violation())).toBe(true);
  });

  test("goes past nested groups whose shape is not checked, but not past the fields behind them", () => {
    const dictionary = new Dictionary("4.4", { ...FULL_VALIDATION, groups: false });
    const violation = new Violation();
    const nested = "117=1|296=1|302=S|304=1|295=2|55=X|55=Y|299=1|454=3|455=a|537=x";
    expect(dictionary.check(parsed("4.4", `${sent("i")}|${nested}`), violation)).toBe(false);
    expect([violation.reason, violation.tag]).toEqual([REJECT.incorrectDataFormat, 537]);
  });

  test.each([
    ["R", "131=R1|146=1|55=BTC-SPREAD|303=1|54=1|38=10|555=2|600=A|624=1|623=1|600=B|624=2|623=1"],
    ["AJ", "693=1|694=1|117=7|55=BTC|54=1|38=10|132=0.01|133=0.02"],
    ["AG", "131=R1|658=1|146=1|55=BTC"],
    ["S", "131=R1|117=7|55=BTC|132=0.01|133=0.02|134=5|135=5|62=20260105-12:00:05"],
    ["V", "262=M|263=1|264=1|265=1|267=2|269=0|269=1|146=1|55=BTC"],
    ["W", "262=M|55=BTC|268=2|269=0|270=1.5|271=2|269=1|270=1.6|271=3|272=20260105|273=12:00:00.123"],
    ["X", "262=M|268=1|279=1|269=0|55=BTC|270=1.5|271=2"],
    ["B", "148=head|146=1|55=BTC|33=1|58=text"],
    ["q", "11=1|530=7|60=20260105-12:00:00"],
    ["r", "11=1|37=1|530=7|531=7|533=3"],
    ["F", "41=1|11=2|55=BTC|54=1|60=20260105-12:00:00|38=1"],
    ["G", "41=1|11=2|55=BTC|54=1|60=20260105-12:00:00|38=1|40=2|44=1"],
    ["9", "37=1|11=2|41=1|39=8|434=1"],
  ])("takes message %s", (type, body) => {
    expect(check("4.4", type, body)).toBe("sound");
  });
});

function typedTags(): number[] {
  return Object.values(FIELDS).flatMap((fields) =>
    (fields.match(/=\d+/g) ?? []).map((tag) => Number(tag.slice(1))),
  );
}

function allTags(set: FieldSet): number[] {
  return [...set.tags, ...[...set.groups.values()].flatMap(allTags)];
}

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
  UTCDATEONLY: "utcDate",
  UTCTIMEONLY: "utcTime",
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
    for (const [type, fields] of Object.entries(FIELDS)) {
      for (const field of fields.trim().split(/\s+/)) {
        const tag = Number(field.split("=")[1]);
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
      const ours = new Set(values.trim().split(/\s+/));
      for (const value of fields.get(Number(tag))?.values ?? [])
        if (!ours.has(value)) missing.push(`${tag}=${value}`);
    }
    expect(missing).toEqual([]);
  });

  test.each([
    ["FIX44.xml", "4.4"],
    ["FIX42.xml", "4.2"],
  ] as const)("has the same fields, groups and requirements for every message of %s", (file, version) => {
    const published = publishedMessages(file);
    const { components, messages } = VERSION_TABLES[version];
    expect(Object.keys(messages).length).toBeGreaterThan(version === "4.4" ? 28 : 25);
    for (const [type, { name, fields }] of Object.entries(messages)) {
      expect([type, name, described(parseFieldSet(fields, components))]).toEqual([
        type,
        ...(published.get(type) ?? ["?", "?"]),
      ]);
    }
  });
});

/** A field set as one line, for comparison. */
function described({ tags, required, groups }: FieldSet): string {
  return [...tags]
    .map((tag) => {
      const group = groups.get(tag);
      return `${tag}${required.includes(tag) ? "!" : ""}${group === undefined ? "" : `(${described(group)})`}`;
    })
    .join(" ");
}

/** MsgType → name and fields of a published dictionary, in the form of {@link described}. */
function publishedMessages(file: string): Map<string, [name: string, fields: string]> {
  const text = readFileSync(join(VECTORS, file), "utf8");
  const numbers = new Map(
    [...text.matchAll(/<field number=['"](\d+)['"] name=['"](\w+)['"]/g)].map((match) => [
      match[2],
      Number(match[1]),
    ]),
  );
  const messages = new Map<string, [name: string, fields: string]>();
  const components = new Map<string, string>();
  const inner = (body: string): string => {
    const parts: string[] = [];
    for (const [, close, kind, name, required] of body.matchAll(
      /<(\/?)(field|group|component)(?: name=['"](\w+)['"](?: required=['"]([YN])['"])?[^>]*)?>/g,
    )) {
      if (close !== "") {
        parts.push(`${parts.pop()})`);
        continue;
      }
      const mark = required === "Y" ? "!" : "";
      if (kind === "component") parts.push(inner(components.get(name) ?? ""));
      else if (kind === "group") parts.push(`${numbers.get(name)}${mark}(`);
      else parts.push(`${numbers.get(name)}${mark}`);
    }
    return parts.join(" ").replaceAll("( ", "(").replaceAll(" )", ")");
  };
  for (const [, name, body] of text.matchAll(/<component name=['"](\w+)['"]>([\s\S]*?)<\/component>/g)) {
    components.set(name, body);
  }
  for (const [tag] of text.matchAll(/<message [^>]*>[\s\S]*?<\/message>/g)) {
    const name = /name=['"](\w+)['"]/.exec(tag)?.[1] ?? "";
    const type = /msgtype=['"](\w+)['"]/.exec(tag)?.[1] ?? "";
    messages.set(type, [name, inner(tag.slice(tag.indexOf(">") + 1))]);
  }
  return messages;
}
