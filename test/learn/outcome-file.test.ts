import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { decodeRow, encodeRow } from "../../src/learn/outcomes/codec.ts";
import {
  type OutcomeHeader,
  OutcomeWriter,
  outcomeHeaderOf,
  readOutcomes,
} from "../../src/learn/outcomes/file.ts";
import { PartFile } from "../../src/learn/outcomes/part-file.ts";
import {
  type Columns,
  OUTCOME_TABLES,
  type RowOf,
  UNFILLED,
  type UnfilledOutcome,
} from "../../src/learn/outcomes/table.ts";

const root = mkdtempSync(join(tmpdir(), "keel-outcomes-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let folders = 0;
function folder(): string {
  folders += 1;
  return join(root, String(folders));
}

const header: OutcomeHeader = outcomeHeaderOf({
  keel: "1",
  run: "run",
  schemaHash: "0".repeat(16),
  model: "m@1",
});

function row(at: number): UnfilledOutcome {
  const numbers = Object.fromEntries(
    Object.entries(UNFILLED).map(([name, type], column) => [
      name,
      type === "text" ? `${name} ${at} é` : at + column / 4,
    ]),
  );
  return { ...numbers, side: -1, level: at, reasons: 3 } as UnfilledOutcome;
}

function rowsOf(directory: string): UnfilledOutcome[] {
  const rows: UnfilledOutcome[] = [];
  readOutcomes(directory, (table, read) => {
    if (table === "unfilled") rows.push(read as UnfilledOutcome);
  });
  return rows;
}

describe("rows", () => {
  const number = fc.double();
  const text = fc.string({ unit: "grapheme", maxLength: 100 });
  for (const [table, columns] of Object.entries(OUTCOME_TABLES)) {
    test(`any row of ${table} reads back`, () => {
      const shape = Object.fromEntries(
        Object.entries(columns as Columns).map(([name, type]) => [
          name,
          type === "text" ? text : type === "i32" ? fc.integer() : type === "f32" ? fc.float() : number,
        ]),
      );
      fc.assert(
        fc.property(fc.record(shape), (made) => {
          const given = made as RowOf<Columns>;
          expect(decodeRow(columns as Columns, encodeRow(columns as Columns, given).slice())).toEqual(given);
        }),
        { numRuns: 50 },
      );
    });
  }

  test("bytes that are no row are refused, whatever they are", () => {
    const bytes = encodeRow(UNFILLED, row(1)).slice();
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => decodeRow(UNFILLED, bytes.subarray(0, length))).toThrow("row of outcomes");
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
        try {
          decodeRow(UNFILLED, noise);
        } catch (error) {
          expect(String(error)).toContain("row of outcomes");
        }
      }),
    );
  });
});

describe("files", () => {
  test("are read back over their parts, and begin anew at the size given", () => {
    const directory = folder();
    const writer = new OutcomeWriter({ directory, header, partBytes: 4_096, totalBytes: 1e9 });
    for (let at = 0; at < 100; at += 1) writer.outcome("unfilled", row(at));
    writer.close();
    expect(readdirSync(directory).length).toBeGreaterThan(3);
    expect(rowsOf(directory)).toEqual(
      Array.from({ length: 100 }, (_, at) => row(at)).map((one) => ({
        ...one,
        widen_bp: Math.fround(one.widen_bp),
      })),
    );
  });

  test("stay within the bound: the oldest parts go", () => {
    const directory = folder();
    const writer = new OutcomeWriter({ directory, header, partBytes: 4_096, totalBytes: 12_288 });
    for (let at = 0; at < 200; at += 1) writer.outcome("unfilled", row(at));
    writer.close();
    const bytes = readdirSync(directory).reduce(
      (sum, name) => sum + readFileSync(join(directory, name)).length,
      0,
    );
    expect(bytes).toBeLessThanOrEqual(12_288 + 4_096);
    expect(writer.deletedParts).toBeGreaterThan(0);
    expect(rowsOf(directory).at(-1)?.level).toBe(199);
  });

  test("a part that was cut off is read to there, and says so", () => {
    const directory = folder();
    const writer = new OutcomeWriter({ directory, header, partBytes: 1e6, totalBytes: 1e9 });
    for (let at = 0; at < 10; at += 1) writer.outcome("unfilled", row(at));
    writer.close();
    const [name = ""] = readdirSync(directory);
    const bytes = readFileSync(join(directory, name));
    writeFileSync(join(directory, name), bytes.subarray(0, bytes.length - 7));
    const [part] = readOutcomes(directory, () => {});
    expect(part).toMatchObject({ rows: 9, header: { model: "m@1" } });
    expect(part?.damage).toContain("ends after");
  });

  test("of the first format, whose rows name no model, are read with the header's; those of a later keel are refused", () => {
    const directory = folder();
    mkdirSync(directory);
    const withoutModel = Object.fromEntries(Object.entries(UNFILLED).filter(([name]) => name !== "model"));
    const tables = Object.fromEntries(
      Object.entries(header.tables).map(([name, of]) => [
        name,
        of.filter((column) => column !== "model:text"),
      ]),
    );
    const write = (run: string, about: object): void => {
      const file = new PartFile(directory, `${run}-0001`);
      file.append(1, 0, Buffer.from(JSON.stringify(about)));
      file.append(103, 0, encodeRow(withoutModel, row(5) as unknown as RowOf<Columns>));
      file.close();
    };
    write("one", { ...header, format: 1, tables });
    expect(rowsOf(directory)).toEqual([{ ...row(5), model: "m@1", widen_bp: Math.fround(row(5).widen_bp) }]);
    write("two", { ...header, format: 2, tables });
    expect(() => readOutcomes(directory, () => {})).toThrow("other columns");
    const later = folder();
    mkdirSync(later);
    const file = new PartFile(later, "run-0001");
    file.append(1, 0, Buffer.from(JSON.stringify({ format: 99, new: true })));
    file.close();
    expect(() => readOutcomes(later, () => {})).toThrow("version 99");
  });

  test("a flipped bit is damage, a journal is no file of outcomes", () => {
    const directory = folder();
    const writer = new OutcomeWriter({ directory, header, partBytes: 1e6, totalBytes: 1e9 });
    writer.outcome("unfilled", row(0));
    writer.close();
    const [name = ""] = readdirSync(directory);
    const bytes = readFileSync(join(directory, name));
    bytes[bytes.length - 9] ^= 1;
    writeFileSync(join(directory, name), bytes);
    expect(readOutcomes(directory, () => {})[0]).toMatchObject({
      rows: 0,
      damage: "a record's CRC does not match",
    });
    expect(() => readOutcomes(folder(), () => {})).toThrow();
  });
});
