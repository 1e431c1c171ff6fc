import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { HEADS } from "../../src/inference/card.ts";
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
  type FillOutcome,
  OUTCOME_TABLE_NAMES,
  OUTCOME_TABLES,
  type OutcomeTable,
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

  /** Column names that files of the second format had besides the first's, and the third's besides the second's. */
  const LATER = {
    2: ["model"],
    3: [
      "rfq_quote_id",
      ...["predicted_us", "fill_predicted_us"],
      ...HEADS.flatMap((head) => [`p_${head}`, `fill_p_${head}`]),
    ],
  };
  const columnsAt = (table: OutcomeTable, format: number): Columns => {
    const columns: Columns = OUTCOME_TABLES[table];
    const none = [...(format < 2 ? LATER[2] : []), ...(format < 3 && table === "fill" ? LATER[3] : [])];
    return Object.fromEntries(Object.entries(columns).filter(([name]) => !none.includes(name)));
  };
  const headerAt = (format: number): OutcomeHeader => ({
    ...header,
    format,
    tables: Object.fromEntries(
      OUTCOME_TABLE_NAMES.map((table) => [
        table,
        Object.entries(columnsAt(table, format)).map(([name, type]) => `${name}:${type}`),
      ]),
    ),
  });
  const write = (
    directory: string,
    run: string,
    about: object,
    rows: readonly [OutcomeTable, Uint8Array][],
  ) => {
    mkdirSync(directory, { recursive: true });
    const file = new PartFile(directory, `${run}-0001`);
    file.append(1, 0, Buffer.from(JSON.stringify(about)));
    for (const [table, bytes] of rows) file.append(100 + OUTCOME_TABLE_NAMES.indexOf(table), 0, bytes);
    file.close();
  };

  test("of the first format, whose rows name no model, are read with the header's; those of a later keel are refused", () => {
    const directory = folder();
    const columns = columnsAt("unfilled", 1);
    const bytes = encodeRow(columns, row(5) as unknown as RowOf<Columns>).slice();
    write(directory, "one", headerAt(1), [["unfilled", bytes]]);
    expect(rowsOf(directory)).toEqual([{ ...row(5), model: "m@1", widen_bp: Math.fround(row(5).widen_bp) }]);
    write(directory, "two", { ...headerAt(1), format: 2 }, [["unfilled", bytes]]);
    expect(() => readOutcomes(directory, () => {})).toThrow("other columns");
    const later = folder();
    write(later, "run", { format: 99, new: true }, []);
    expect(() => readOutcomes(later, () => {})).toThrow("version 99");
  });

  test.each([1, 2])(
    "of format %d, whose fills do not tell what the model said, are read beside those that do",
    (format) => {
      const directory = folder();
      const told = Object.fromEntries(
        Object.entries(OUTCOME_TABLES.fill).map(([name, type], at) => [
          name,
          type === "text" ? `${name} é` : type === "i32" ? at : at / 4,
        ]),
      ) as unknown as FillOutcome;
      const old = encodeRow(columnsAt("fill", format), told as unknown as RowOf<Columns>).slice();
      const withoutModel = row(7);
      const beside = encodeRow(
        columnsAt("unfilled", format),
        withoutModel as unknown as RowOf<Columns>,
      ).slice();
      write(directory, "a", headerAt(format), [
        ["fill", old],
        ["unfilled", beside],
      ]);
      const writer = new OutcomeWriter({
        directory,
        header: { ...header, run: "b" },
        partBytes: 1e6,
        totalBytes: 1e9,
      });
      writer.outcome("fill", told);
      writer.close();
      const fills: FillOutcome[] = [];
      const parts = readOutcomes(directory, (table, read) => {
        if (table === "fill") fills.push(read as FillOutcome);
      });
      expect(parts.map(({ header: { format: of }, rows, damage }) => [of, rows, damage])).toEqual([
        [format, 2, null],
        [3, 1, null],
      ]);
      expect(fills[1]).toEqual(told);
      const unknown = Object.fromEntries(
        LATER[3].map((name) => [name, name === "rfq_quote_id" ? "" : Number.NaN]),
      );
      expect(fills[0]).toEqual({
        ...told,
        ...unknown,
        ...(format === 1 ? { model: "m@1" } : {}),
      } as FillOutcome);
    },
  );

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
