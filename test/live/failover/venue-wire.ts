import { PairWire, type SentMessage } from "./pair-wire.ts";

/** A text message of a client, as RFC 6455 frames it: one frame, masked. */
const TEXT = 0x1;
const READS = /^(public\/|private\/(get_|subscribe$))/;
const QUOTES = /^private\/(mass_quote|buy|sell|edit)$/;

interface Request {
  readonly method: string;
  readonly params: {
    readonly quote_id?: string;
    readonly label?: string;
    readonly quotes?: readonly unknown[];
  };
}

/** What a pair sent to Deribit. */
export class VenueWire extends PairWire {
  /** Requests that one which had not been given the lead sent and that only read. */
  reads = 0;
  readonly #rest = new Map<object, Buffer>();
  /** On which connection an id was given to a quote or an order. */
  readonly #ids = new Map<string, object>();

  override take(who: string, bytes: Uint8Array, connection: object): void {
    let rest = Buffer.concat([this.#rest.get(connection) ?? Buffer.alloc(0), bytes]);
    if (rest.length >= 4 && rest.subarray(0, 4).toString("latin1") === "GET ") {
      const end = rest.indexOf("\r\n\r\n");
      rest = end < 0 ? rest : rest.subarray(end + 4);
    }
    for (;;) {
      const frame = frameOf(rest);
      if (frame === null) break;
      rest = rest.subarray(frame.bytes);
      if (frame.opcode === TEXT) this.#request(who, JSON.parse(frame.text) as Request, connection);
    }
    this.#rest.set(connection, rest);
  }

  #request(who: string, { method, params }: Request, connection: object): void {
    if (READS.test(method)) {
      this.reads += 1;
      return;
    }
    const untold = { madeMs: Number.NaN, sinceMs: Number.NaN };
    const sent: SentMessage = {
      ...{ who, atMs: performance.now(), type: method, seq: 0, isRepeat: false },
      ...untold,
    };
    this.messages += 1;
    // The first of what a process sends that is to lead.
    if (method === "private/enable_cancel_on_disconnect") this.leads(who);
    if (this.hasRetired(who) || this.leader === "") this.late.push(sent);
    if (!QUOTES.test(method)) return;
    const id = params.quote_id ?? params.label;
    if (id !== undefined) {
      if ((this.#ids.get(id) ?? connection) !== connection) this.reused.push(sent);
      this.#ids.set(id, connection);
    }
    this.quoted(sent);
  }
}

/** The first frame of what a client sent; null while it is not whole. */
function frameOf(
  bytes: Buffer,
): { readonly opcode: number; readonly text: string; readonly bytes: number } | null {
  if (bytes.length < 6) return null;
  const short = bytes[1] & 0x7f;
  const at = short === 126 ? 4 : short === 127 ? 10 : 2;
  if (bytes.length < at + 4) return null;
  const length =
    short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
  if (bytes.length < at + 4 + length) return null;
  const mask = bytes.subarray(at, at + 4);
  const payload = Buffer.from(bytes.subarray(at + 4, at + 4 + length));
  for (let i = 0; i < length; i += 1) payload[i] ^= mask[i & 3];
  return { opcode: bytes[0] & 0x0f, text: payload.toString("utf8"), bytes: at + 4 + length };
}
