import type { Rng } from "../../src/core/rng.ts";

const TOKEN = /"[^"]*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null|[[\]{}:,]/g;

/** What may stand for any token of a frame. */
const STRANGE = [
  ...[
    "null",
    "true",
    "false",
    "[]",
    "{}",
    "[[]]",
    '""',
    '"x"',
    '"\\u0041"',
    '"é"',
    "-0",
    "0",
    "00",
    "01",
    "1.",
    ".5",
  ],
  ...[
    "1e5",
    "1.5E-7",
    "1e-4",
    "1e400",
    "1e22",
    "1e23",
    "-1",
    "-1.5",
    "0.1",
    "0.30000000000000004",
    '"-1"',
    '"1e5"',
  ],
  ...["9007199254740991", "9007199254740992", "9007199254740993", "99999999999999999999999", "4294967296"],
  ...['"9007199254740993"', '"0.1234567890123456789"', '"123456789012345678"', '"1234567890.00000000"'],
  ...[
    '"."',
    '"5."',
    '".5"',
    '"5.."',
    '"00.10"',
    '" 1"',
    '"1 "',
    '"0"',
    '"0.0"',
    '"61800.25"',
    '"2147483646"',
  ],
  ...[
    '"214748364.7"',
    '"214748364.6"',
    "2147483647",
    '"0.0005"',
    '"1.0005"',
    "10.05",
    "0.00005",
    "4.35",
    "1.005",
  ],
  ...[
    '"MARKET"',
    '"INSURANCE_FUND"',
    '"depthUpdate"',
    '"bookTicker"',
    '"trade"',
    '"markPriceUpdate"',
    '"aggTrade"',
  ],
  ...[
    '"buy"',
    '"sell"',
    '"new"',
    '"change"',
    '"delete"',
    '"snapshot"',
    '"s"',
    '"e"',
    '"u"',
    '"T"',
    '"pu"',
    '"a"',
  ],
  ...[" ", "\n", "\0", '{"a":{"b":{"c":{"d":{"e":1}}}}}', '["new",0.5,10.0]', '["61800.20","2.909"]'],
];

/** Makes frames that are nearly right out of right ones, always the same from the same generator. */
export class FrameMutator {
  readonly #rng: Rng;

  constructor(rng: Rng) {
    this.#rng = rng;
  }

  /** Changes a frame in one to three places: tokens replaced, dropped, doubled and exchanged, digits changed, characters cut. */
  mutate(frame: string): string {
    let text = frame;
    for (let changes = 1 + this.#rng.int(3); changes > 0; changes -= 1) {
      text = this.#rng.int(3) === 0 ? this.#cut(text) : this.#change(text);
    }
    return text;
  }

  #change(text: string): string {
    const tokens = text.match(TOKEN);
    if (tokens === null) return text;
    // Most places of a large book are alike; the head is where the rules are.
    const reach = this.#rng.int(2) === 0 ? Math.min(tokens.length, 40) : tokens.length;
    const at = this.#rng.int(reach);
    const other = this.#rng.int(reach);
    const token = tokens[at];
    switch (this.#rng.int(6)) {
      case 0:
        tokens[at] = STRANGE[this.#rng.int(STRANGE.length)];
        break;
      case 1:
        tokens[at] = tokens[other];
        tokens[other] = token;
        break;
      case 2:
        tokens.splice(at, 1 + this.#rng.int(4));
        break;
      case 3:
        tokens.splice(other, 0, ...tokens.slice(at, at + 1 + this.#rng.int(4)));
        break;
      case 4:
        tokens[at] = tokens[other];
        break;
      default:
        tokens[at] = this.#digits(token);
    }
    return tokens.join("");
  }

  #digits(token: string): string {
    return token.replace(/\d/g, (digit) =>
      this.#rng.int(3) === 0 ? String(this.#rng.int(10)) : this.#rng.int(8) === 0 ? `${digit}.` : digit,
    );
  }

  #cut(text: string): string {
    const at = this.#rng.int(text.length + 1);
    const insert = this.#rng.int(2) === 0 ? String.fromCharCode(this.#rng.int(128)) : "";
    return text.slice(0, at) + insert + text.slice(at + this.#rng.int(3));
  }
}
