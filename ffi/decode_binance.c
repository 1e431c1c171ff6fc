/*
 * Binance's combined and raw streams and REST depth. Gives what src/feed/binance/decoder.ts gives. Compiled once for each
 * instruction set, which KEEL_ISA names.
 */
#include "decode_levels.h"

/* Kinds of values that fields have. */
enum { ABSENT = 0, INTEGER, TEXT, YES, NO, LEVELS };

typedef struct {
  uint64_t integer;
  const uint8_t *at;
  const uint8_t *end;
  int32_t kind;
} field;

/* Fields are named by one letter; this many lie from 'A' to 'z'. */
#define LETTERS ('z' - 'A' + 1)

typedef struct {
  /* Bit: the letter from 'A' on has been seen. Only then its field holds anything. */
  uint64_t seen;
  field letters[LETTERS];
  field previous_update;
  const keel_listing *listing;
} message;

INLINE bool is_letter(uint8_t byte) { return (uint8_t)((byte | 0x20) - 'a') < 26; }

INLINE int32_t kind_of(const message *m, char letter) {
  return (m->seen >> (letter - 'A')) & 1 ? m->letters[letter - 'A'].kind : ABSENT;
}

INLINE const field *field_of(const message *m, char letter) { return &m->letters[letter - 'A']; }

#define IS(field, literal) \
  ((size_t)((field)->end - (field)->at) == sizeof(literal) - 1 && STARTS((field)->at, literal))

/* Reads a value that is no array. @returns behind it, or 0. */
INLINE const uint8_t *read_field(const uint8_t *at, field *to) {
  if (*at == '"') {
    to->kind = TEXT;
    to->at = at + 1;
    to->end = string_end(at + 1);
    return to->end == 0 ? 0 : to->end + 1;
  }
  if (is_digit(*at)) {
    to->kind = INTEGER;
    return read_integer(at, &to->integer);
  }
  if (STARTS(at, "true")) {
    to->kind = YES;
    return at + 4;
  }
  if (STARTS(at, "false")) {
    to->kind = NO;
    return at + 5;
  }
  return 0;
}

/*
 * Reads the levels of a message, which need its symbol: they come after it, bids first. Keys longer than two letters are not
 * known here. @returns behind the object at `at`, or 0.
 */
static const uint8_t *read_message(const keel_decoder *d, const uint8_t *at, message *m, appended *out) {
  m->seen = 0;
  m->previous_update.kind = ABSENT;
  m->listing = 0;
  if (*at != '{') return 0;
  do {
    at += 1;
    if (*at != '"') return 0;
    const uint8_t letter = at[1];
    if (at[2] == '"' && at[3] == ':') {
      const uint32_t index = (uint32_t)letter - 'A';
      if (UNLIKELY(!is_letter(letter) || (m->seen >> index) & 1)) return 0;
      m->seen |= 1ull << index;
      field *const to = &m->letters[index];
      at += 4;
      if (*at != '[') {
        at = read_field(at, to);
        if (UNLIKELY(at == 0)) return 0;
        if (letter == 's') {
          if (to->kind != TEXT) return 0;
          m->listing = find_listing(d, to->at, to->end);
          if (m->listing == 0) return 0;
        }
      } else {
        if (m->listing == 0 || (letter != 'b' && (letter != 'a' || kind_of(m, 'b') != LEVELS))) return 0;
        to->kind = LEVELS;
        at = read_levels(at, false, letter == 'b' ? SIDE_BID : SIDE_ASK, m->listing, out);
        if (UNLIKELY(at == 0)) return 0;
      }
    } else {
      if (!is_letter(at[1]) || !is_letter(at[2]) || at[3] != '"' || at[4] != ':') return 0;
      if (at[1] == 'p' && at[2] == 'u') {
        if (m->previous_update.kind != ABSENT) return 0;
        at = read_field(at + 5, &m->previous_update);
      } else {
        at = skip_value(at + 5, MAX_DEPTH);
      }
      if (UNLIKELY(at == 0)) return 0;
    }
  } while (*at == ',');
  return *at == '}' ? at + 1 : 0;
}

/* Time of the matching engine where the message has one, of the message otherwise; µs. */
INLINE double time_of(const message *m, bool of_engine) {
  if (of_engine && kind_of(m, 'T') == INTEGER) return (double)field_of(m, 'T')->integer * 1000.0;
  return kind_of(m, 'E') == INTEGER ? (double)field_of(m, 'E')->integer * 1000.0 : NAN;
}

/* The depth's event was opened before its levels were read. */
static bool finish_depth(const message *m, int32_t row, appended *out) {
  if (kind_of(m, 'U') != INTEGER || kind_of(m, 'u') != INTEGER || kind_of(m, 'a') != LEVELS) return false;
  const int32_t previous = m->previous_update.kind;
  if (previous != ABSENT && previous != INTEGER) return false;
  out->decoder->exchange_time_us[row] = time_of(m, true);
  out->decoder->instrument[row] = m->listing->instrument;
  set_sequence(out, row, (double)field_of(m, 'U')->integer, (double)field_of(m, 'u')->integer,
               previous == INTEGER ? (double)m->previous_update.integer : NAN);
  end_event(out, row);
  return true;
}

INLINE bool read_text_decimal(const message *m, char letter, decimal *to) {
  if (kind_of(m, letter) != TEXT) return false;
  const field *const from = field_of(m, letter);
  return read_decimal(from->at, from->end, to);
}

static bool finish_top(const message *m, appended *out) {
  decimal bid, bid_size, ask, ask_size;
  if (!read_text_decimal(m, 'b', &bid) || !read_text_decimal(m, 'B', &bid_size)) return false;
  if (!read_text_decimal(m, 'a', &ask) || !read_text_decimal(m, 'A', &ask_size)) return false;
  if (kind_of(m, 'u') != INTEGER) return false;
  const int32_t row = begin_event(out, EVENT_TOP, m->listing->instrument, time_of(m, true));
  if (row < 0) return false;
  const double update = (double)field_of(m, 'u')->integer;
  set_sequence(out, row, update, update, NAN);
  scaling tick = NO_SCALING, lot = NO_SCALING;
  int32_t ticks;
  double lots;
  if (!to_ticks(bid, m->listing, &tick, &ticks) || !to_lots(bid_size, m->listing, &lot, &lots)) return false;
  if (!add_level(out, SIDE_BID, ticks, lots)) return false;
  if (!to_ticks(ask, m->listing, &tick, &ticks) || !to_lots(ask_size, m->listing, &lot, &lots)) return false;
  if (!add_level(out, SIDE_ASK, ticks, lots)) return false;
  end_event(out, row);
  return true;
}

static bool finish_trade(const message *m, appended *out) {
  decimal price, size;
  double price_value, size_value;
  if (kind_of(m, 'X') != ABSENT && !(kind_of(m, 'X') == TEXT && IS(field_of(m, 'X'), "MARKET"))) return false;
  if (!read_text_decimal(m, 'p', &price) || !read_text_decimal(m, 'q', &size)) return false;
  if (!decimal_value(price, &price_value) || !decimal_value(size, &size_value)) return false;
  const int32_t maker = kind_of(m, 'm');
  if (kind_of(m, 't') != INTEGER || (maker != YES && maker != NO)) return false;
  const int32_t row = begin_event(out, EVENT_TRADE, m->listing->instrument, time_of(m, true));
  if (row < 0) return false;
  const double trade = (double)field_of(m, 't')->integer;
  set_sequence(out, row, trade, trade, NAN);
  if (!add_trade(out, m->listing, maker == YES ? SIDE_ASK : SIDE_BID, price_value, size_value)) return false;
  end_event(out, row);
  return true;
}

/* A number in a string; NaN when there is none, false when it is of another form. */
static bool read_text_value(const message *m, char letter, double *value) {
  *value = NAN;
  const int32_t kind = kind_of(m, letter);
  if (kind == ABSENT) return true;
  if (kind != TEXT) return false;
  const field *const from = field_of(m, letter);
  if (from->at == from->end) return true;
  const bool negative = *from->at == '-';
  decimal magnitude;
  if (!read_decimal(from->at + negative, from->end, &magnitude) || !decimal_value(magnitude, value)) return false;
  if (negative) *value = -*value;
  return true;
}

static bool finish_mark(const message *m, appended *out) {
  double mark, index, funding;
  if (!read_text_value(m, 'p', &mark) || !read_text_value(m, 'i', &index) || !read_text_value(m, 'r', &funding)) return false;
  if (mark != mark || (kind_of(m, 'T') != INTEGER && kind_of(m, 'T') != ABSENT)) return false;
  const int32_t row = begin_event(out, EVENT_TICKER, m->listing->instrument, time_of(m, false));
  if (row < 0) return false;
  double *const values = ticker_values(out, row);
  values[TICKER_MARK_PRICE] = mark;
  values[TICKER_INDEX_PRICE] = index;
  values[TICKER_FUNDING_RATE] = funding;
  if (kind_of(m, 'T') == INTEGER && field_of(m, 'T')->integer > 0)
    values[TICKER_NEXT_FUNDING_MS] = (double)field_of(m, 'T')->integer;
  return true;
}

int32_t FOR_ISA(keel_decode_binance)(const keel_decoder *d, int32_t length, int32_t *count, int32_t *levels) {
  static const char STREAM[] = "{\"stream\":\"";
  const uint8_t *at = d->frame;
  const uint8_t *const end = at + length;
  appended out = {d, *count, *levels};
  const bool combined = memcmp(at, STREAM, sizeof STREAM - 1) == 0;
  if (combined) {
    at = string_end(at + sizeof STREAM - 1);
    if (at == 0 || !STARTS(at, "\",\"data\":")) return 0;
    at += 9;
  }
  /* Whatever the message is, an event stands ready for its levels; the others open it anew. */
  const int32_t row = begin_event(&out, EVENT_DELTA, 0, NAN);
  if (row < 0) return 0;
  message m;
  at = read_message(d, at, &m, &out);
  if (at == 0 || m.listing == 0) return 0;
  if (combined) {
    if (*at != '}') return 0;
    at += 1;
  }
  if (at != end) return 0;
  const int32_t kind = kind_of(&m, 'e');
  const field *const name = field_of(&m, 'e');
  bool done = false;
  if (kind_of(&m, 'b') == LEVELS) {
    done = kind == TEXT && IS(name, "depthUpdate") && finish_depth(&m, row, &out);
  } else {
    out.count = *count;
    if (kind == ABSENT || (kind == TEXT && IS(name, "bookTicker"))) done = finish_top(&m, &out);
    else if (kind == TEXT && IS(name, "trade")) done = finish_trade(&m, &out);
    else if (kind == TEXT && IS(name, "markPriceUpdate")) done = finish_mark(&m, &out);
  }
  if (!done) return 0;
  *count = out.count;
  *levels = out.levels;
  return 1;
}

int32_t FOR_ISA(keel_decode_binance_depth)(const keel_decoder *d, int32_t length, const keel_listing *listing,
                                                  int32_t *count, int32_t *levels) {
  static const char LAST[] = "{\"lastUpdateId\":";
  const uint8_t *at = d->frame;
  const uint8_t *const end = at + length;
  appended out = {d, *count, *levels};
  uint64_t update, time;
  double exchange_time_us = NAN;
  if (memcmp(at, LAST, sizeof LAST - 1) != 0) return 0;
  at = read_integer(at + sizeof LAST - 1, &update);
  if (at == 0) return 0;
  /* The time of the engine is the later key, and goes before that of the message. */
  if (STARTS(at, ",\"E\":")) {
    at = read_integer(at + 5, &time);
    if (at == 0) return 0;
    exchange_time_us = (double)time * 1000.0;
  }
  if (STARTS(at, ",\"T\":")) {
    at = read_integer(at + 5, &time);
    if (at == 0) return 0;
    exchange_time_us = (double)time * 1000.0;
  }
  if (STARTS(at, ",\"symbol\":\"")) {
    at = string_end(at + 11);
    if (at == 0) return 0;
    at += 1;
  }
  if (STARTS(at, ",\"pair\":\"")) {
    at = string_end(at + 9);
    if (at == 0) return 0;
    at += 1;
  }
  const int32_t row = begin_event(&out, EVENT_SNAPSHOT, listing->instrument, exchange_time_us);
  if (row < 0 || !STARTS(at, ",\"bids\":")) return 0;
  set_sequence(&out, row, (double)update, (double)update, NAN);
  at = read_levels(at + 8, false, SIDE_BID, listing, &out);
  if (at == 0 || !STARTS(at, ",\"asks\":")) return 0;
  at = read_levels(at + 8, false, SIDE_ASK, listing, &out);
  if (at == 0 || *at != '}' || at + 1 != end) return 0;
  end_event(&out, row);
  *count = out.count;
  *levels = out.levels;
  return 1;
}
