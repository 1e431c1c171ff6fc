import type { DecimalStep } from "../../core/decimal.ts";
import { invariant } from "../../core/invariant.ts";
import type { InstrumentTable } from "../../market/instrument.ts";
import { LEVELS_MAX, type QuoteBatch } from "../../quote/quote-batch.ts";
import { type Template, template } from "./ascii.ts";
import type { SessionIdentity } from "./builder.ts";
import { FieldWriter, HEADROOM_BYTES } from "./field-writer.ts";
import { MARKS, QuoteImage, SENDING_TIME, SLOT, SLOTS, TRANSACT_TIME } from "./quote-image.ts";
import { BEGIN_STRING } from "./tags.ts";
import { TimestampBytes } from "./timestamp.ts";

/** What never changes in the entries of an instrument's level. */
interface EntryTemplate {
  /** `|55=…|207=…|` */
  readonly instrument: Template;
  readonly tick: DecimalStep;
  readonly lot: DecimalStep;
  /** Number of the quote set: one per base and level. */
  readonly set: number;
  /** The last one-entry message of the instrument's level. */
  readonly image: QuoteImage;
}

interface SetTemplate {
  /** `302=…|311=…|304=` */
  readonly head: Template;
}

const LONGEST_NAME = 64;
/** Most bytes one entry and one set can take: 16 digits a number, names of {@link LONGEST_NAME}. */
const ENTRY_BYTES = 4 + 17 + (9 + LONGEST_NAME * 2) + 4 * 24 + 26;
const SET_BYTES = 12 + LONGEST_NAME * 2 + 30;
const HEADER_BYTES = 320;
/** Room of a one-entry message without its names: headroom, tags, times, and 17 digits for each number. */
const IMAGE_BYTES = HEADROOM_BYTES + 120 + 2 * 21 + 7 * 17;

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
 * Form, the same in 4.2 and 4.4: QuoteID (117) = the highest quote id in the message; one quote set per base and level
 * (UnderlyingSymbol 311 = the base; QuoteSetID 302 = the base, with `.2` for the second level and so on), in the order in which
 * they were first quoted: an entry replaces the quote of its symbol in its set; QuoteEntryID (299) = the row's quote id, which no
 * other entry has; Symbol (55) and SecurityExchange (207) as the venue names them; TransactTime (60) = the time given. A side that is
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
  readonly #nameBytes: number;
  /** By level and instrument. */
  readonly #entries: readonly (EntryTemplate | undefined)[][] = Array.from({ length: LEVELS_MAX }, () => []);
  readonly #sets: SetTemplate[] = [];
  readonly #numberOfSet = new Map<string, number>();
  readonly #values = new Float64Array(SLOTS);
  readonly #marks = new Int32Array(MARKS);
  #setCounts = new Int32Array(16);

  constructor(identity: SessionIdentity, instruments: InstrumentTable, maxEntries = 64) {
    this.maxEntries = maxEntries;
    this.maxBytes = HEADROOM_BYTES + HEADER_BYTES + maxEntries * (ENTRY_BYTES + SET_BYTES);
    this.#instruments = instruments;
    this.#writer = new FieldWriter(BEGIN_STRING[identity.version]);
    this.#head = template("35=i|34=");
    this.#sendingTime = template(`|49=${plain(identity.senderCompId)}|52=`);
    this.#target = template(`|56=${plain(identity.targetCompId)}|117=`);
    this.#nameBytes = this.#sendingTime.bytes.length + this.#target.bytes.length;
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
    this.#time.update(timeUs);
    if (count > 1) return this.#write(batch, fromRow, count, seq, out);

    const entry = this.#entry(batch, fromRow);
    const sides = (batch.bidLots[fromRow] > 0 ? 1 : 0) | (batch.askLots[fromRow] > 0 ? 2 : 0);
    const values = this.#values;
    values[SLOT.seq] = seq;
    values[SLOT.quoteId] = batch.quoteId[fromRow];
    values[SLOT.entryId] = batch.quoteId[fromRow];
    values[SLOT.bidPx] = batch.bidTicks[fromRow] * entry.tick.mantissa;
    values[SLOT.offerPx] = batch.askTicks[fromRow] * entry.tick.mantissa;
    values[SLOT.bidSize] = batch.bidLots[fromRow] * entry.lot.mantissa;
    values[SLOT.offerSize] = batch.askLots[fromRow] * entry.lot.mantissa;
    const patched = entry.image.patch(sides, values, this.#time, out);
    if (patched > 0) {
      this.start = entry.image.start;
      return patched;
    }
    const image = entry.image;
    const length = this.#write(batch, fromRow, 1, seq, image.bytes);
    image.learn(this.start, length, this.#writer.sum, sides, this.#marks, values, this.#time);
    out.set(image.bytes);
    return length;
  }

  #write(batch: QuoteBatch, fromRow: number, count: number, seq: number, out: Uint8Array): number {
    const writer = this.#writer;
    const endRow = fromRow + count;
    const time = this.#time;
    const marks = this.#marks;

    let lastId = 0;
    let sets = 0;
    for (let row = fromRow; row < endRow; row += 1) {
      const { set } = this.#entry(batch, row);
      const before = this.#setCounts[set];
      if (before === 0) sets += 1;
      this.#setCounts[set] = before + 1;
      if (batch.quoteId[row] > lastId) lastId = batch.quoteId[row];
    }

    writer.open(out);
    writer.template(this.#head);
    marks[SLOT.seq] = writer.at;
    writer.uint(seq);
    writer.template(this.#sendingTime);
    marks[SENDING_TIME] = writer.at;
    writer.timestamp(time);
    writer.template(this.#target);
    marks[SLOT.quoteId] = writer.at;
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
        const entry = this.#entry(batch, row);
        if (entry.set !== set) continue;
        left -= 1;
        this.#writeEntry(batch, row, entry, time);
      }
    }
    const length = writer.finish();
    this.start = writer.start;
    return length;
  }

  #entry(batch: QuoteBatch, row: number): EntryTemplate {
    const id = batch.instrument[row];
    const level = batch.level[row];
    return this.#entries[level]?.[id] ?? this.#prepare(id, level);
  }

  #writeEntry(batch: QuoteBatch, row: number, entry: EntryTemplate, time: TimestampBytes): void {
    const writer = this.#writer;
    const { tick, lot } = entry;
    const marks = this.#marks;
    const bidLots = batch.bidLots[row];
    const askLots = batch.askLots[row];
    writer.template(ENTRY_ID);
    marks[SLOT.entryId] = writer.at;
    writer.uint(batch.quoteId[row]);
    writer.template(entry.instrument);
    if (bidLots > 0) {
      writer.template(BID_PX);
      marks[SLOT.bidPx] = writer.at;
      writer.decimal(batch.bidTicks[row] * tick.mantissa, tick.scale);
    }
    if (askLots > 0) {
      writer.template(bidLots > 0 ? NEXT_OFFER_PX : OFFER_PX);
      marks[SLOT.offerPx] = writer.at;
      writer.decimal(batch.askTicks[row] * tick.mantissa, tick.scale);
    }
    if (bidLots > 0) {
      writer.template(NEXT_BID_SIZE);
      marks[SLOT.bidSize] = writer.at;
      writer.decimal(bidLots * lot.mantissa, lot.scale);
    } else writer.template(askLots > 0 ? NEXT_NO_BID : NO_BID);
    if (askLots > 0) {
      writer.template(NEXT_OFFER_SIZE);
      marks[SLOT.offerSize] = writer.at;
      writer.decimal(askLots * lot.mantissa, lot.scale);
    } else writer.template(NO_OFFER);
    writer.template(NEXT_TRANSACT_TIME);
    marks[TRANSACT_TIME] = writer.at;
    writer.timestamp(time);
    writer.template(END);
  }

  #prepare(id: number, level: number): EntryTemplate {
    const instrument = this.#instruments.get(id);
    const base = plain(instrument.base);
    const setId = level === 0 ? base : `${base}.${level + 1}`;
    let set = this.#numberOfSet.get(setId);
    if (set === undefined) {
      set = this.#sets.length;
      this.#numberOfSet.set(setId, set);
      this.#sets.push({ head: template(`302=${setId}|311=${base}|304=`) });
      if (set === this.#setCounts.length) {
        const wider = new Int32Array(set * 2);
        wider.set(this.#setCounts);
        this.#setCounts = wider;
      }
    }
    const scales = new Int32Array(SLOTS);
    scales[SLOT.bidPx] = instrument.tick.scale;
    scales[SLOT.offerPx] = instrument.tick.scale;
    scales[SLOT.bidSize] = instrument.lot.scale;
    scales[SLOT.offerSize] = instrument.lot.scale;
    const symbol = template(`|55=${plain(instrument.symbol)}|207=${plain(instrument.venue)}|`);
    const entry: EntryTemplate = {
      instrument: symbol,
      tick: instrument.tick,
      lot: instrument.lot,
      set,
      image: new QuoteImage(
        IMAGE_BYTES + this.#nameBytes + symbol.bytes.length + setId.length + base.length,
        scales,
      ),
    };
    const ofLevel = this.#entries[level];
    invariant(ofLevel !== undefined, `level ${level} is one of ${LEVELS_MAX}`);
    ofLevel[id] = entry;
    return entry;
  }
}
