/*
 * Coinbase Exchange's changes of levels, and of orders: open, done, match, received. Gives what src/feed/coinbase/decoder.ts gives; the change
 * of an order stands in the values of its event. Compiled once for each instruction set, which KEEL_ISA names.
 */
#include "decode_orders.h"
#include "decode_time.h"

enum { TYPE_NONE, TYPE_LEVELS, TYPE_MATCH, TYPE_OPEN, TYPE_DONE, TYPE_RECEIVED };

enum {
  SEEN_TYPE,
  SEEN_PRODUCT,
  SEEN_CHANGES,
  SEEN_TIME,
  SEEN_SEQUENCE,
  SEEN_TRADE,
  SEEN_ORDER,
  SEEN_MAKER,
  SEEN_SIDE,
  SEEN_PRICE,
  SEEN_SIZE,
  SEEN_REMAINING,
};

/* What a message holds. */
typedef struct {
  uint32_t seen;
  int32_t type;
  const keel_listing *listing;
  double time_us;
  uint64_t sequence;
  uint64_t trade;
  text order;
  text maker;
  text price;
  text size;
  text remaining;
  int32_t side;
} message;

INLINE int32_t hex_digit(uint8_t byte) {
  if (is_digit(byte)) return byte - '0';
  const uint8_t letter = (uint8_t)((byte | 32) - 'a');
  return letter < 6 ? letter + 10 : -1;
}

/* Turns a UUID into four words. */
static bool read_uuid(text id, double *words) {
  static const uint8_t START[8] = {0, 4, 9, 14, 19, 24, 28, 32};
  if (id.end - id.at != 36) return false;
  if (id.at[8] != '-' || id.at[13] != '-' || id.at[18] != '-' || id.at[23] != '-') return false;
  for (int32_t word = 0; word < 4; word += 1) {
    uint32_t value = 0;
    for (int32_t half = 0; half < 2; half += 1) {
      const uint8_t *const at = id.at + START[word * 2 + half];
      for (int32_t i = 0; i < 4; i += 1) {
        const int32_t digit = hex_digit(at[i]);
        if (digit < 0) return false;
        value = value << 4 | (uint32_t)digit;
      }
    }
    words[word] = (double)value;
  }
  return true;
}

/* Reads `[["buy","61800.20","2.909"]]`. @returns behind it, or 0. */
static const uint8_t *read_changes(const uint8_t *at, const keel_listing *listing, appended *out) {
  scaling tick = NO_SCALING, lot = NO_SCALING;
  if (*at != '[') return 0;
  at += 1;
  if (*at == ']') return at + 1;
  for (;; at += 1) {
    int32_t side, ticks;
    double lots;
    text price, size;
    decimal price_digits, size_digits;
    if (*at != '[') return 0;
    at = read_side(at + 1, &side);
    if (at == 0 || *at != ',') return 0;
    at = read_text(at + 1, &price);
    if (at == 0 || *at != ',') return 0;
    at = read_text(at + 1, &size);
    if (at == 0 || *at != ']') return 0;
    if (!read_decimal(price.at, price.end, &price_digits) || !read_decimal(size.at, size.end, &size_digits)) return 0;
    if (!to_ticks(price_digits, listing, &tick, &ticks) || !to_lots(size_digits, listing, &lot, &lots)) return 0;
    if (!add_level(out, side, ticks, lots)) return 0;
    at += 1;
    if (*at != ',') return *at == ']' ? at + 1 : 0;
  }
}

static const uint8_t *read_type(const uint8_t *at, int32_t *type) {
  text name;
  at = read_text(at, &name);
  if (at == 0) return 0;
  if (STARTS(name.at, "l2update\"")) *type = TYPE_LEVELS;
  else if (STARTS(name.at, "match\"")) *type = TYPE_MATCH;
  else if (STARTS(name.at, "open\"")) *type = TYPE_OPEN;
  else if (STARTS(name.at, "done\"")) *type = TYPE_DONE;
  else if (STARTS(name.at, "received\"")) *type = TYPE_RECEIVED;
  else return 0;
  return at;
}

/* Reads one field. @returns behind its value, or 0. */
INLINE const uint8_t *read_field(const uint8_t *at, key name, message *m, appended *out) {
  switch (name.length) {
    case 4:
      if (STARTS(name.at, "type")) return ONCE(&m->seen, SEEN_TYPE, read_type(at, &m->type));
      if (STARTS(name.at, "time")) return ONCE(&m->seen, SEEN_TIME, read_rfc3339(at, &m->time_us));
      if (STARTS(name.at, "side")) return ONCE(&m->seen, SEEN_SIDE, read_side(at, &m->side));
      if (STARTS(name.at, "size")) return ONCE(&m->seen, SEEN_SIZE, read_text(at, &m->size));
      break;
    case 5:
      if (STARTS(name.at, "price")) return ONCE(&m->seen, SEEN_PRICE, read_text(at, &m->price));
      break;
    case 7:
      if (!STARTS(name.at, "changes")) break;
      if (m->listing == 0 || m->type != TYPE_LEVELS) return 0;
      return ONCE(&m->seen, SEEN_CHANGES, read_changes(at, m->listing, out));
    case 8:
      if (STARTS(name.at, "sequence")) return ONCE(&m->seen, SEEN_SEQUENCE, read_integer(at, &m->sequence));
      if (STARTS(name.at, "trade_id")) return ONCE(&m->seen, SEEN_TRADE, read_integer(at, &m->trade));
      if (STARTS(name.at, "order_id")) return ONCE(&m->seen, SEEN_ORDER, read_text(at, &m->order));
      break;
    case 10:
      if (STARTS(name.at, "product_id")) return ONCE(&m->seen, SEEN_PRODUCT, read_listing(at, out->decoder, &m->listing));
      break;
    case 14:
      if (STARTS(name.at, "maker_order_id")) return ONCE(&m->seen, SEEN_MAKER, read_text(at, &m->maker));
      if (STARTS(name.at, "remaining_size")) return ONCE(&m->seen, SEEN_REMAINING, read_text(at, &m->remaining));
      break;
    default: break;
  }
  return skip_value(at, MAX_DEPTH);
}

INLINE bool ticks_of(text price, const keel_listing *listing, int32_t *ticks) {
  scaling with = NO_SCALING;
  decimal digits;
  return read_decimal(price.at, price.end, &digits) && to_ticks(digits, listing, &with, ticks);
}

/* Lots, more than none. */
INLINE bool lots_of(text size, const keel_listing *listing, double *lots) {
  scaling with = NO_SCALING;
  decimal digits;
  return read_decimal(size.at, size.end, &digits) && to_lots(digits, listing, &with, lots) && *lots > 0;
}

/* The trade of a match; the aggressor's side is not the resting order's. */
static bool add_match(const message *m, int32_t row, appended *out) {
  decimal price, size;
  double price_value, size_value;
  if (!read_decimal(m->price.at, m->price.end, &price) || !read_decimal(m->size.at, m->size.end, &size)) return false;
  if (!decimal_value(price, &price_value) || !decimal_value(size, &size_value)) return false;
  if (!add_trade(out, m->listing, m->side == SIDE_BID ? SIDE_ASK : SIDE_BID, price_value, size_value)) return false;
  end_event(out, row);
  return true;
}

/* The change that a message makes to an order. */
static bool add_order(const message *m, appended *out) {
  const bool is_match = m->type == TYPE_MATCH;
  if (!has(m->seen, SEEN_SEQUENCE)) return false;
  const int32_t kind = is_match ? EVENT_TRADE : EVENT_DELTA;
  const int32_t row = begin_order(out, kind, m->listing->instrument, m->time_us, (double)m->sequence);
  if (row < 0) return false;
  double *const values = out->decoder->values + (size_t)row * TICKER_FIELDS;
  double lots = 0;
  int32_t ticks = 0;
  set_sequence(out, row, (double)m->sequence, (double)m->sequence, (double)m->sequence - 1);
  switch (m->type) {
    case TYPE_RECEIVED: break;
    case TYPE_DONE:
      if (!has(m->seen, SEEN_ORDER) || !read_uuid(m->order, values + AT_KEY)) return false;
      values[AT_ACTION] = ORDER_REMOVE;
      break;
    case TYPE_OPEN:
      if (!has(m->seen, SEEN_ORDER) || !has(m->seen, SEEN_SIDE) || !has(m->seen, SEEN_PRICE)) return false;
      if (!has(m->seen, SEEN_REMAINING) || !read_uuid(m->order, values + AT_KEY)) return false;
      if (!ticks_of(m->price, m->listing, &ticks) || !lots_of(m->remaining, m->listing, &lots)) return false;
      values[AT_ACTION] = ORDER_ADD;
      values[AT_SIDE] = m->side;
      values[AT_TICKS] = ticks;
      values[AT_LOTS] = lots;
      break;
    default:
      if (!has(m->seen, SEEN_MAKER) || !has(m->seen, SEEN_SIDE) || !has(m->seen, SEEN_PRICE)) return false;
      if (!has(m->seen, SEEN_SIZE) || !has(m->seen, SEEN_TRADE) || !read_uuid(m->maker, values + AT_KEY)) return false;
      if (!lots_of(m->size, m->listing, &lots)) return false;
      values[AT_ACTION] = ORDER_REDUCE;
      values[AT_SIDE] = m->side;
      values[AT_LOTS] = lots;
      values[AT_MUST_REST] = 1;
      set_sequence(out, row, (double)m->trade, (double)m->trade, NAN);
      return add_match(m, row, out);
  }
  end_event(out, row);
  return true;
}

int32_t FOR_ISA(keel_decode_coinbase)(const keel_decoder *d, int32_t length, int32_t *count, int32_t *levels) {
  const uint8_t *at = d->frame;
  const uint8_t *const end = at + length;
  appended out = {d, *count, *levels};
  message m = {.type = TYPE_NONE, .time_us = NAN};
  int32_t row = -1;
  if (*at != '{') return 0;
  if (STARTS(at, "{\"type\":\"l2update\"")) {
    row = begin_order(&out, EVENT_DELTA, 0, NAN, NAN);
    if (row < 0) return 0;
  }
  do {
    key name;
    at = read_key(at + 1, &name);
    if (at == 0) return 0;
    at = read_field(at, name, &m, &out);
    if (UNLIKELY(at == 0)) return 0;
  } while (*at == ',');
  if (*at != '}' || at + 1 != end || m.listing == 0 || m.type == TYPE_NONE) return 0;
  if (m.type == TYPE_LEVELS) {
    if (row < 0 || !has(m.seen, SEEN_CHANGES)) return 0;
    d->instrument[row] = m.listing->instrument;
    d->exchange_time_us[row] = m.time_us;
    end_event(&out, row);
  } else if (row >= 0 || !add_order(&m, &out)) {
    return 0;
  }
  *count = out.count;
  *levels = out.levels;
  return 1;
}
