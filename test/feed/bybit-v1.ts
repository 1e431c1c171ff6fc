interface V1Level {
  readonly price: string;
  readonly symbol: string;
  readonly side: "Buy" | "Sell";
  readonly size?: number;
}

interface V1Message {
  readonly topic: string;
  readonly type: "snapshot" | "delta";
  readonly data: readonly V1Level[] | Readonly<Record<"delete" | "update" | "insert", readonly V1Level[]>>;
  readonly cross_seq: number;
  readonly timestamp_e6: number;
}

/** Rewords recorded messages of Bybit's first WebSocket API as v5 does: the same levels, `u` counted on. */
export class BybitRewording {
  readonly #updates = new Map<string, number>();

  /** @returns null for a message that is no book's */
  book(text: string): string | null {
    if (!text.startsWith('{"topic":"orderBookL2_25.')) return null;
    const message: V1Message = JSON.parse(text);
    const symbol = message.topic.slice(message.topic.indexOf(".") + 1);
    const u = (this.#updates.get(symbol) ?? 0) + 1;
    this.#updates.set(symbol, u);
    const { data } = message;
    const changed =
      "delete" in data
        ? [...data.delete.map((level) => ({ ...level, size: 0 })), ...data.update, ...data.insert]
        : data;
    const [b, a] = (["Buy", "Sell"] as const).map((side) =>
      changed.filter((level) => level.side === side).map(({ price, size }) => [price, String(size)]),
    );
    const ts = Math.floor(message.timestamp_e6 / 1_000);
    return JSON.stringify({
      topic: `orderbook.50.${symbol}`,
      type: message.type,
      ts,
      data: { s: symbol, b, a, u, seq: message.cross_seq },
      cts: ts,
    });
  }
}
