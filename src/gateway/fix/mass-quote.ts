import type { DecimalStep } from "../../core/decimal.ts";
import type { InstrumentTable } from "../../market/instrument.ts";
import type { QuoteBatch } from "../../quote/quote-batch.ts";
import { type Template, template } from "./ascii.ts";
import type { SessionIdentity } from "./builder.ts";
import { FieldWriter, HEADROOM_BYTES } from "./field-writer.ts";
import { BEGIN_STRING } from "./tags.ts";
import { TimestampBytes } from "./timestamp.ts";

/** What never changes in an instrument's entries. */
interface EntryTemplate {
  /** `|55=…|207=…|` */
  readonly instrument: Template;
  readonly tick: DecimalStep;
  readonly lot: DecimalStep;
  /** Number of the quote set: one per base. */
  readonly set: number;
}

interface SetTemplate {
  /** `302=…|311=…|304=` */
  readonly head: Template;
}

const LONGEST_NAME = 64;
/** Most bytes one entry and one set can take: 16 digits a number, names of {@link LONGEST_NAME}. */
const ENTRY_BYTES = 4 + 17 + (9 + LONGEST_NAME * 2) + 4 * 24 + 26;
const SET_BYTES = 10 + LONGEST_NAME * 2 + 30;
const HEADER_BYTES = 320;

const BID_PX = template("132=");
const OFFER_PX = template("133=");
const NEXT_OFFER_PX = template("|133=");
const NEXT_BID_SIZE = template("|134=");
const NEXT_OFFER_SIZE = template("|135=");
const NO_BID = template("134=0");
const NEXT_NO_BID = template("|134=0");
const NO_OFFER = template("|135=0");
const ENTRY_ID = template("299=");
const NEXT_TRANSACT_TIME = template("|60=");
const NO_ENTRIES = template("|295=");
const END = template("|");

function plain(text: string): string {
  return text.slice(0, LONGEST_NAME).replace(/[^\x20-\x7e]|\|/g, "?");
}

/**
 * Encodes rows of a {@link QuoteBatch} as one MassQuote (35=i), by writing prices, sizes, ids and times between prepared bytes.
 * Nothing is allocated once an instrument has been seen.
 *
 * Form, the same in 4.2 and 4.4: QuoteID (117) = the highest quote id in the message; one quote set per base (QuoteSetID 302 =
 * UnderlyingSymbol 311 = the base), in the order in which the bases were first quoted; QuoteEntryID (299) = the row's quote
 * id; Symbol (55) and SecurityExchange (207) as the venue names them; TransactTime (60) = the time given. A side that is
 * pulled has no price and size 0: the receiver must take the quote of that side away (an absent size would mean DefBidSize,
 * an absent side nothing at all).
 */
export class MassQuoteEncoder {
  /** Rows one message may hold, and the room that takes. */
  readonly maxEntries: number;
  readonly maxBytes: number;
  /** Where the last message begins in `out`; it ends at `start` + the length returned. */
  start = 0;

  readonly #instruments: InstrumentTable;
  readonly #writer: FieldWriter;
  readonly #time = new TimestampBytes();
  readonly #head: Template;
  readonly #sendingTime: Template;
  readonly #target: Template;
  readonly #noSets: Template;
  readonly #entries: (EntryTemplate | undefined)[] = [];
  readonly #sets: SetTemplate[] = [];
  readonly #setOfBase = new Map<string, number>();
  #setCounts = new Int32Array(16);

  constructor(identity: SessionIdentity, instruments: InstrumentTable, maxEntries = 64) {
    this.maxEntries = maxEntries;
    this.maxBytes = HEADROOM_BYTES + HEADER_BYTES + maxEntries * (ENTRY_BYTES + SET_BYTES);
    this.#instruments = instruments;
    this.#writer = new FieldWriter(BEGIN_STRING[identity.version]);
    this.#head = template("35=i|34=");
    this.#sendingTime = template(`|49=${plain(identity.senderCompId)}|52=`);
    this.#target = template(`|56=${plain(identity.targetCompId)}|117=`);
    this.#noSets = template("|301=2|296=");
  }

  /**
   * @param count rows from `fromRow`, 1 … {@link maxEntries}
   * @param seq MsgSeqNum, claimed from the session's store
   * @param out at least {@link maxBytes} long
   * @returns the message's length in bytes; it begins at {@link start}
   */
  encode(
    batch: QuoteBatch,
    fromRow: number,
    count: number,
    seq: number,
    timeUs: number,
    out: Uint8Array,
  ): number {
    const writer = this.#writer;
    const endRow = fromRow + count;
    const time = this.#time;
    time.update(timeUs);

    let lastId = 0;
    let sets = 0;
    for (let row = fromRow; row < endRow; row += 1) {
      const set = (this.#entries[batch.instrument[row]] ?? this.#prepare(batch.instrument[row])).set;
      const before = this.#setCounts[set];
      if (before === 0) sets += 1;
      this.#setCounts[set] = before + 1;
      if (batch.quoteId[row] > lastId) lastId = batch.quoteId[row];
    }

    writer.open(out);
    writer.template(this.#head);
    writer.uint(seq);
    writer.template(this.#sendingTime);
    writer.timestamp(time);
    writer.template(this.#target);
    writer.uint(lastId);
    writer.template(this.#noSets);
    writer.uint(sets);
    writer.template(END);
    for (let set = 0; sets > 0; set += 1) {
      const entries = this.#setCounts[set];
      if (entries === 0) continue;
      this.#setCounts[set] = 0;
      sets -= 1;
      writer.template(this.#sets[set].head);
      writer.uint(entries);
      writer.template(NO_ENTRIES);
      writer.uint(entries);
      writer.template(END);
      let left = entries;
      for (let row = fromRow; left > 0; row += 1) {
        const entry = this.#entries[batch.instrument[row]];
        if (entry === undefined || entry.set !== set) continue;
        left -= 1;
        this.#entry(batch, row, entry, time);
      }
    }
    const length = writer.finish();
    this.start = writer.start;
    return length;
  }

  #entry(batch: QuoteBatch, row: number, entry: EntryTemplate, time: TimestampBytes): void {
    const writer = this.#writer;
    const { tick, lot } = entry;
    const bidLots = batch.bidLots[row];
    const askLots = batch.askLots[row];
    writer.template(ENTRY_ID);
    writer.uint(batch.quoteId[row]);
    writer.template(entry.instrument);
    if (bidLots > 0) {
      writer.template(BID_PX);
      writer.decimal(batch.bidTicks[row] * tick.mantissa, tick.scale);
    }
    if (askLots > 0) {
      writer.template(bidLots > 0 ? NEXT_OFFER_PX : OFFER_PX);
      writer.decimal(batch.askTicks[row] * tick.mantissa, tick.scale);
    }
    if (bidLots > 0) {
      writer.template(NEXT_BID_SIZE);
      writer.decimal(bidLots * lot.mantissa, lot.scale);
    } else writer.template(askLots > 0 ? NEXT_NO_BID : NO_BID);
    if (askLots > 0) {
      writer.template(NEXT_OFFER_SIZE);
      writer.decimal(askLots * lot.mantissa, lot.scale);
    } else writer.template(NO_OFFER);
    writer.template(NEXT_TRANSACT_TIME);
    writer.timestamp(time);
    writer.template(END);
  }

  #prepare(id: number): EntryTemplate {
    const instrument = this.#instruments.get(id);
    const base = plain(instrument.base);
    let set = this.#setOfBase.get(base);
    if (set === undefined) {
      set = this.#sets.length;
      this.#setOfBase.set(base, set);
      this.#sets.push({ head: template(`302=${base}|311=${base}|304=`) });
      if (set === this.#setCounts.length) {
        const wider = new Int32Array(set * 2);
        wider.set(this.#setCounts);
        this.#setCounts = wider;
      }
    }
    const entry: EntryTemplate = {
      instrument: template(`|55=${plain(instrument.symbol)}|207=${plain(instrument.venue)}|`),
      tick: instrument.tick,
      lot: instrument.lot,
      set,
    };
    this.#entries[id] = entry;
    return entry;
  }
}
