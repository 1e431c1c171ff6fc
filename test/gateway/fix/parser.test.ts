import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { FixMessage } from "../../../src/gateway/fix/message.ts";
import { FixParser, PARSE } from "../../../src/gateway/fix/parser.ts";
import { ReceiveBuffer } from "../../../src/gateway/fix/receive-buffer.ts";
import { MSG } from "../../../src/gateway/fix/tags.ts";
import { checkSum, fix } from "./script.ts";

const HEARTBEAT = fix("35=0|34=2|49=TW|52=20260105-12:00:00.123|56=ISLD|112=HELLO");
const ORDER = fix("35=D|34=3|49=TW|52=20260105-12:00:00|56=ISLD|11=ID|38=002000.50|44=61659.7|54=1|40=2");
const MAX_BYTES = 512;

const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "latin1"));

function parseOne(text: string): { result: number; parser: FixParser; message: FixMessage } {
  const parser = new FixParser(MAX_BYTES);
  const message = new FixMessage(32);
  const bytes = bytesOf(text);
  return { result: parser.parse(bytes, 0, bytes.length, message), parser, message };
}

/** Everything a stream of chunks yields: message bodies, and `!reason` for what is garbled. */
function cut(chunks: readonly Uint8Array[]): string[] {
  const seen: string[] = [];
  const buffer = new ReceiveBuffer(new FixParser(MAX_BYTES), new FixMessage(32));
  const sink = {
    onMessage: (message: FixMessage) => {
      seen.push(
        Array.from({ length: message.count }, (_, i) => `${message.tags[i]}=${message.textAt(i)}`).join("|"),
      );
      return true;
    },
    onGarbled: (problem: string) => {
      seen.push(`!${problem}`);
      return true;
    },
  };
  for (const chunk of chunks) buffer.receive(chunk, sink);
  return seen;
}

describe("FixParser", () => {
  test("reads fields", () => {
    const { result, message } = parseOne(HEARTBEAT);
    expect(result).toBe(PARSE.complete);
    expect(message.msgType).toBe(MSG.heartbeat);
    expect(message.beginString()).toBe("FIX.4.4");
    expect(message.uint(34)).toBe(2);
    expect(message.text(112)).toBe("HELLO");
    expect(message.text(113)).toBeUndefined();
    expect(message.timestampUs(52)).toBe(Date.UTC(2026, 0, 5, 12, 0, 0, 123) * 1_000);
  });

  test("reads prices on a grid", () => {
    const { message } = parseOne(ORDER);
    expect(message.steps(message.indexOf(44), { mantissa: 1, scale: 1 })).toBe(616_597);
    expect(message.steps(message.indexOf(44), { mantissa: 1, scale: 0 })).toBeNaN();
    expect(message.steps(message.indexOf(38), { mantissa: 5, scale: 1 })).toBe(4_001);
    expect(message.steps(message.indexOf(11), { mantissa: 1, scale: 0 })).toBeNaN();
  });

  test("waits for the rest of a message, wherever it is cut", () => {
    const bytes = bytesOf(HEARTBEAT);
    for (let end = 0; end < bytes.length; end += 1) {
      const parser = new FixParser(MAX_BYTES);
      const message = new FixMessage(32);
      expect(parser.parse(bytes, 0, end, message)).toBe(PARSE.partial);
      expect(parser.next).toBe(0);
    }
  });

  test("reassembles messages from chunks cut at every byte", () => {
    const bytes = bytesOf(HEARTBEAT + ORDER);
    const whole = cut([bytes]);
    expect(whole).toHaveLength(2);
    for (let at = 1; at < bytes.length; at += 1) {
      expect(cut([bytes.subarray(0, at), bytes.subarray(at)])).toEqual(whole);
    }
    expect(cut(Array.from(bytes, (_, i) => bytes.subarray(i, i + 1)))).toEqual(whole);
  });

  test.each([
    [
      "a wrong checksum",
      HEARTBEAT.replace(/10=\d{3}/, (old) => (old === "10=000" ? "10=001" : "10=000")),
      "check-sum",
    ],
    ["a checksum of letters", HEARTBEAT.replace(/10=\d{3}/, "10=abc"), "check-sum"],
    ["a BodyLength that is too short", HEARTBEAT.replace(/9=\d+/, "9=20"), "body-length-mismatch"],
    ["a BodyLength that is no number", HEARTBEAT.replace(/9=\d+/, "9=-1"), "body-length"],
    ["a huge BodyLength", HEARTBEAT.replace(/9=\d+/, "9=999999999"), "body-length-too-long"],
    ["an endless BodyLength", HEARTBEAT.replace(/9=\d+/, "9=99999999999999"), "body-length"],
    ["a tag of letters", fix("35=0|34=2|4x9=TW"), "tag"],
    ["a field without a tag", fix("35=0|=2"), "tag"],
    ["a field without an equals sign", fix("35=0|34"), "tag"],
    ["MsgType out of place", fix("34=2|35=0"), "message-type-not-third"],
    ["more fields than fit", fix(`35=0|${"58=x|".repeat(40)}`), "too-many-fields"],
    ["data longer than the message", fix("35=0|95=99|96=abc"), "data-field"],
  ])("passes over %s", (_name, text, problem) => {
    const { result, parser } = parseOne(text);
    expect(result).toBe(PARSE.garbled);
    expect(parser.problem as string).toBe(problem);
    expect(cut([bytesOf(text + ORDER)]).at(-1)).toStartWith("35=D");
  });

  test("skips junk before a message", () => {
    expect(cut([bytesOf(`junk8=8==${HEARTBEAT}`)])).toEqual([
      "!junk-before-begin-string",
      expect.stringContaining("112=HELLO"),
    ]);
  });

  test("takes negative tags, which are the session's to reject", () => {
    expect(parseOne(fix("35=0|-1=HI")).message.tags[1]).toBe(-1);
  });

  test("lets data hold separators", () => {
    const { result, message } = parseOne(
      fix("35=A|95=5|96=a|b|c|98=0").replace("a\x01b\x01c", "a\x01b\x01c"),
    );
    expect(result).toBe(PARSE.complete);
    expect(message.text(96)).toBe("a\x01b\x01c");
    expect(message.uint(98)).toBe(0);
  });

  test("is not held up by a length that swallows the stream", () => {
    const stuck = HEARTBEAT.replace(/9=\d+/, `9=${MAX_BYTES - 40}`);
    const seen = cut([bytesOf(stuck + ORDER.repeat(8))]);
    expect(seen[0]).toBe("!body-length-mismatch");
    expect(seen.at(-1)).toStartWith("35=D");
  });

  test("comes through random bytes", () => {
    const noise = fc.uint8Array({ maxLength: 200 });
    const piece = fc.oneof(
      noise,
      fc.constantFrom("8=", "8=FIX.4.4\x01", "9=12\x01", "10=000\x01", "35=0\x01", "\x0110=").map(bytesOf),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
        const buffer = new ReceiveBuffer(new FixParser(MAX_BYTES), new FixMessage(32));
        const sink = { onMessage: () => true, onGarbled: () => true };
        for (const chunk of pieces) buffer.receive(chunk, sink);
        expect(buffer.heldBytes).toBeLessThanOrEqual(MAX_BYTES);
        return true;
      }),
      { numRuns: 500, seed: 7 },
    );
  });

  test("finds every message again behind a damaged one", () => {
    fc.assert(
      fc.property(fc.nat({ max: HEARTBEAT.length - 1 }), fc.integer({ min: 0, max: 255 }), (at, byte) => {
        const bytes = bytesOf(HEARTBEAT + ORDER.repeat(8));
        bytes[at] = byte;
        expect(cut([bytes]).at(-1)).toStartWith("35=D");
      }),
      { numRuns: 1_000, seed: 7 },
    );
  });

  test("agrees on the checksum", () => {
    expect(HEARTBEAT.slice(-4, -1)).toBe(checkSum(HEARTBEAT.slice(0, -7)));
  });
});
