export type V1Level = readonly [price: string, size: string, time: string];
type V1Part = Readonly<Partial<Record<"as" | "bs" | "a" | "b", readonly V1Level[]>>> & {
  readonly c?: string;
};

/** A recorded WebSocket v1 book message: what v2 sends as one object stands there in one or two parts. */
export interface V1Book {
  readonly symbol: string;
  readonly snapshot: boolean;
  readonly bids: readonly V1Level[];
  readonly asks: readonly V1Level[];
  /** v1 sends none with snapshots. */
  readonly checksum: number | null;
}

export function readV1(text: string): V1Book | null {
  if (!text.startsWith("[")) return null;
  const message: readonly unknown[] = JSON.parse(text);
  const parts = message.slice(1, -2) as V1Part[];
  const whole: V1Part = Object.assign({}, ...parts);
  return {
    symbol: String(message.at(-1)),
    snapshot: whole.as !== undefined,
    bids: whole.bs ?? whole.b ?? [],
    asks: whole.as ?? whole.a ?? [],
    checksum: whole.c === undefined ? null : Number(whole.c),
  };
}

/** The ten best of each side of what was recorded, and the sum over their texts. */
export class TextBook {
  readonly bids = new Map<string, string>();
  readonly asks = new Map<string, string>();

  apply({ snapshot, bids, asks }: V1Book): void {
    if (snapshot) {
      this.bids.clear();
      this.asks.clear();
    }
    set(this.bids, bids, -1);
    set(this.asks, asks, 1);
  }

  checksum(): number {
    const text = [...best(this.asks, 1), ...best(this.bids, -1)].map(
      ([price, size]) => bare(price) + bare(size),
    );
    return Bun.hash.crc32(text.join(""));
  }
}

function set(side: Map<string, string>, levels: readonly V1Level[], sign: number): void {
  for (const [price, size] of levels) {
    if (Number(size) === 0) side.delete(price);
    else side.set(price, size);
  }
  if (side.size <= 1_000) return;
  const sorted = [...side.keys()].sort((a, b) => sign * (Number(a) - Number(b)));
  for (const price of sorted.slice(1_000)) side.delete(price);
}

function best(side: ReadonlyMap<string, string>, sign: number): [string, string][] {
  return [...side].sort(([a], [b]) => sign * (Number(a) - Number(b))).slice(0, 10);
}

function bare(text: string): string {
  return text.replace(".", "").replace(/^0+/, "");
}

/** The same message as WebSocket v2 words it: every digit and the checksum as they were recorded. */
export function toV2(book: V1Book, checksum: number): string {
  const levels = (side: readonly V1Level[]): string =>
    side.map(([price, qty]) => `{"price":${price},"qty":${qty}}`).join(",");
  const micros = Math.max(
    0,
    ...[...book.bids, ...book.asks].map(([, , time]) => Math.round(Number(time) * 1e6)),
  );
  const time = `${new Date(Math.floor(micros / 1e3)).toISOString().slice(0, -1)}${String(micros % 1e3).padStart(3, "0")}Z`;
  const type = book.snapshot ? "snapshot" : "update";
  return `{"channel":"book","type":"${type}","data":[{"symbol":"${book.symbol}","bids":[${levels(book.bids)}],"asks":[${levels(book.asks)}],"checksum":${checksum},"timestamp":"${time}"}]}`;
}
