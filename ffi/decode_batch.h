/* The event batch as the decoders fill it, and the way from a symbol and a decimal to an instrument and its steps. */
#ifndef KEEL_DECODE_BATCH_H
#define KEEL_DECODE_BATCH_H

#include <math.h>

#include "decode_text.h"

/* Numbers of src/market/event-batch.ts. */
enum { EVENT_SNAPSHOT = 0, EVENT_DELTA = 1, EVENT_TOP = 2, EVENT_TRADE = 3, EVENT_TICKER = 4 };
enum { SIDE_BID = 0, SIDE_ASK = 1 };
enum {
  TICKER_MARK_PRICE = 0,
  TICKER_INDEX_PRICE = 1,
  TICKER_UNDERLYING_PRICE = 2,
  TICKER_MARK_IV = 3,
  TICKER_BID_IV = 4,
  TICKER_ASK_IV = 5,
  TICKER_DELTA = 6,
  TICKER_GAMMA = 7,
  TICKER_VEGA = 8,
  TICKER_THETA = 9,
  TICKER_FUNDING_RATE = 10,
  TICKER_NEXT_FUNDING_MS = 11,
  TICKER_OPEN_INTEREST = 12,
  TICKER_LAST_PRICE = 13,
  TICKER_INTEREST_RATE = 14,
  TICKER_FIELDS = 15,
};
/* `MAX_PRICE_TICKS` of src/feed/decoder.ts. */
#define MAX_PRICE_TICKS 0x7ffffffe

/* What a decoder appends to a batch; becomes part of it when the whole frame has been read. */
typedef struct {
  const keel_decoder *decoder;
  int32_t count;
  int32_t levels;
} appended;

/* Opens an event. @returns its row, or -1 when the batch is full. */
INLINE int32_t begin_event(appended *out, int32_t kind, int32_t instrument, double exchange_time_us) {
  const keel_decoder *const d = out->decoder;
  const int32_t row = out->count;
  if (UNLIKELY(row >= d->max_events)) return -1;
  out->count = row + 1;
  d->kind[row] = (uint8_t)kind;
  d->instrument[row] = instrument;
  d->exchange_time_us[row] = exchange_time_us;
  d->first_sequence[row] = NAN;
  d->last_sequence[row] = NAN;
  d->previous_sequence[row] = NAN;
  d->checksum[row] = NAN;
  d->code[row] = 0;
  d->reason[row] = 0;
  d->level_start[row] = out->levels;
  d->level_count[row] = 0;
  return row;
}

INLINE bool add_level(appended *out, int32_t side, int32_t price_ticks, double size_lots) {
  const keel_decoder *const d = out->decoder;
  const int32_t at = out->levels;
  if (UNLIKELY(at >= d->max_levels)) return false;
  out->levels = at + 1;
  d->side[at] = (uint8_t)side;
  d->price_ticks[at] = price_ticks;
  d->size_lots[at] = size_lots;
  return true;
}

/* Closes an event: all levels added since it was opened are its own. */
INLINE void end_event(appended *out, int32_t row) {
  const keel_decoder *const d = out->decoder;
  d->level_count[row] = out->levels - d->level_start[row];
}

INLINE void set_sequence(appended *out, int32_t row, double first, double last, double previous) {
  const keel_decoder *const d = out->decoder;
  d->first_sequence[row] = first;
  d->last_sequence[row] = last;
  d->previous_sequence[row] = previous;
}

/* The values of a ticker event, all NaN. */
INLINE double *ticker_values(appended *out, int32_t row) {
  double *const values = out->decoder->values + (size_t)row * TICKER_FIELDS;
  for (int32_t i = 0; i < TICKER_FIELDS; i += 1) values[i] = NAN;
  return values;
}

/* The listing of a symbol, or 0. `hashOf` of src/feed/native-decoder.ts is the same function. */
INLINE const keel_listing *find_listing(const keel_decoder *d, const uint8_t *name, const uint8_t *end) {
  uint8_t padded[KEEL_NAME_BYTES] = {0};
  const int64_t length = end - name;
  if (UNLIKELY(length < 1 || length > KEEL_NAME_BYTES)) return 0;
#if defined(__AVX2__)
  static const uint8_t KEEP[64] = {[0 ... 31] = 0xff};
  if (length <= 32) {
    const __m256i keep = _mm256_loadu_si256((const __m256i *)(KEEP + 32 - length));
    _mm256_storeu_si256((__m256i *)padded, _mm256_and_si256(_mm256_loadu_si256((const __m256i *)name), keep));
  } else {
    memcpy(padded, name, (size_t)length);
  }
#else
  memcpy(padded, name, (size_t)length);
#endif
  uint32_t hash = (uint32_t)length;
  for (int64_t i = 0; i < length; i += 4) {
    uint32_t word;
    memcpy(&word, padded + i, sizeof word);
    hash = (hash ^ word) * 0x9e3779b1u;
    hash ^= hash >> 15;
  }
  for (int32_t tried = 0; tried <= d->slot_mask; tried += 1) {
    const int32_t index = d->slots[(hash + (uint32_t)tried) & (uint32_t)d->slot_mask];
    if (index < 0 || index >= d->listing_count) return 0;
    const keel_listing *const listing = d->listings + index;
    if (listing->name_length == length && memcmp(listing->name, padded, KEEL_NAME_BYTES) == 0) return listing;
  }
  return 0;
}

/* Turns decimals with the same number of digits behind the point into steps of one grid: found once, used for each level. */
typedef struct {
  uint64_t multiplier;
  uint64_t divisor;
  /* Counts of steps beyond this are no safe integers as counts of 10^-scale. */
  uint64_t steps_max;
  int32_t fraction;
} scaling;

#define NO_SCALING {0, 0, 0, -1}

static __attribute__((noinline)) bool prepare_scaling(scaling *to, const keel_grid *grid, int32_t fraction) {
  const int32_t missing = grid->scale - fraction;
  const uint64_t mantissa = (uint64_t)grid->mantissa;
  to->fraction = -1;
  if (missing > MAX_DIGITS || missing < -MAX_DIGITS) return false;
  to->multiplier = missing > 0 ? POWERS[missing] : 1;
  to->divisor = mantissa;
  if (missing < 0 && __builtin_mul_overflow(mantissa, POWERS[-missing], &to->divisor)) return false;
  to->steps_max = SAFE_INTEGER / mantissa;
  to->fraction = fraction;
  return true;
}

/* What a decimal came to on a grid. */
enum { OFF_GRID = 0, ON_GRID = 1, NOT_MINE = -1 };

/* Exactly as `decimalToSteps` of src/core/decimal.ts; NOT_MINE where numbers get larger than that can tell apart. */
INLINE int32_t to_steps(decimal value, const keel_grid *grid, scaling *with, uint64_t *steps) {
  if (UNLIKELY(with->fraction != value.fraction) && !prepare_scaling(with, grid, value.fraction)) return NOT_MINE;
  uint64_t units;
  if (UNLIKELY(__builtin_mul_overflow(value.digits, with->multiplier, &units))) return NOT_MINE;
  const uint64_t whole = with->divisor == 1 ? units : units / with->divisor;
  if (UNLIKELY(whole > with->steps_max)) return NOT_MINE;
  *steps = whole;
  return whole * with->divisor == units ? ON_GRID : OFF_GRID;
}

/* A price in ticks; false when it is off the grid or beyond what a book can hold. */
INLINE bool to_ticks(decimal price, const keel_listing *listing, scaling *with, int32_t *ticks) {
  uint64_t steps;
  if (UNLIKELY(to_steps(price, &listing->tick, with, &steps) != ON_GRID || steps > MAX_PRICE_TICKS)) return false;
  *ticks = (int32_t)steps;
  return true;
}

/* How many steps a value is, not rounded; the operations and their order are those of `stepsIn` in src/feed/decoder.ts. */
INLINE double steps_in(double value, const keel_grid *grid) { return value * grid->power / grid->mantissa; }

/* A size in lots, a fraction when it is off the lot grid. */
INLINE bool to_lots(decimal size, const keel_listing *listing, scaling *with, double *lots) {
  uint64_t steps;
  const int32_t found = to_steps(size, &listing->lot, with, &steps);
  if (found == ON_GRID) {
    *lots = (double)steps;
    return true;
  }
  double value;
  if (found == NOT_MINE || !decimal_value(size, &value)) return false;
  *lots = steps_in(value, &listing->lot);
  return true;
}

/* Math.round of a number that is not negative; false when it is, or is no safe integer. */
INLINE bool round_steps(double value, double *steps) {
  if (UNLIKELY(!(value >= 0 && value < (double)SAFE_INTEGER))) return false;
  const double whole = (double)(int64_t)value;
  *steps = value - whole >= 0.5 ? whole + 1 : whole;
  return true;
}

/* A trade's price and size on the nearest tick and lot. */
INLINE bool add_trade(appended *out, const keel_listing *listing, int32_t side, double price, double size) {
  double ticks, lots;
  if (UNLIKELY(signbit(price) || signbit(size))) return false;
  if (!round_steps(steps_in(price, &listing->tick), &ticks) || ticks > MAX_PRICE_TICKS) return false;
  if (!round_steps(steps_in(size, &listing->lot), &lots)) return false;
  return add_level(out, side, (int32_t)ticks, lots);
}

#endif
