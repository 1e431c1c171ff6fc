/* A book by level: what src/market/ladder.ts and l2-book.ts keep and do, on the same memory. */
#ifndef KEEL_BOOK_H
#define KEEL_BOOK_H

#include "keel.h"

/* `NO_KEY` of src/market/ladder.ts. */
#define KEEL_NO_KEY 0x7fffffff

/* One side. `sizes` has `window` elements, a power of two; a bit of `leaf` says whether one of them is positive. */
typedef struct {
  double *sizes;
  uint32_t *leaf;
  uint32_t *middle;
  uint32_t *root;
  /* Descending. */
  int32_t *far_keys;
  double *far_sizes;
  int32_t window;
  int32_t far_capacity;
  int32_t best;
  int32_t base;
  int32_t count;
  int32_t far_count;
  int32_t overflowed;
  int32_t unused;
} keel_ladder;

/* Keys of bids are their prices negated. */
typedef struct {
  keel_ladder bids;
  keel_ladder asks;
} keel_book;

/* Levels of an event batch. */
typedef struct {
  const uint8_t *side;
  const int32_t *price_ticks;
  const double *size_lots;
} keel_levels;

/*
 * Sets the levels from `from` to before `to`, in their order, up to the first one that moves a window or does not fit.
 *
 * @returns the number of the level that is to be set by the caller, `to` when there is none.
 */
KEEL_EXPORT int32_t keel_book_delta(keel_book *book, const keel_levels *levels, int32_t from, int32_t to);

/* Copies the best `depth` levels of a side, best first. @returns how many there were. */
int32_t keel_ladder_top(const keel_ladder *ladder, int32_t depth, int32_t sign, int32_t *price_ticks, double *size_lots);

#endif
