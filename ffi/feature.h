/*
 * Features of the tick path: what src/feature/tick.ts, depth.ts and row.ts compute, bit for bit, on the same memory. Layouts are
 * those of src/feature/state.ts and of `DepthView`.
 */
#ifndef KEEL_FEATURE_H
#define KEEL_FEATURE_H

#include "book.h"
#include "keel.h"

#define KEEL_FEATURES 96
#define KEEL_FEATURE_SIGNALS 3
#define KEEL_DEPTH_LEVELS 20

/* Arrays by slot. */
typedef struct {
  double *state;
  /* [slot][side][metric] */
  double *metrics;
  double *mid_ticks;
  /* [slot][side][level], best first */
  int32_t *price_ticks;
  double *size_lots;
  /* [slot][side] */
  int32_t *level_count;
  const double *signals;
  /* [side][level]: the levels that `keel_feature_levels` takes */
  int32_t *fresh_price;
  double *fresh_size;
  int32_t slot_count;
  int32_t isa;
} keel_features;

/* Best prices and queues of a book; price -1 = the side is empty. */
typedef struct {
  int32_t bid_ticks;
  int32_t ask_ticks;
  double bid_lots;
  double ask_lots;
} keel_best;

/* `onTop` of FeatureState. A slot that there is not changes nothing, here and below. */
KEEL_EXPORT void keel_feature_top(keel_features *features, int32_t slot, int32_t bid_ticks, double bid_lots, int32_t ask_ticks,
                                  double ask_lots, double time_us);

/* `onTrade`. */
KEEL_EXPORT void keel_feature_trade(keel_features *features, int32_t slot, int32_t aggressor_side, double size_lots, double time_us);

/*
 * `onBook` of a book in native memory. `is_delta`: the levels before are of the same document. The best prices are those with
 * the overlay of the top stream.
 */
KEEL_EXPORT void keel_feature_book(keel_features *features, const keel_book *book, int32_t slot, int32_t is_delta,
                                   int32_t bid_ticks, double bid_lots, int32_t ask_ticks, double ask_lots, double time_us);

/* The same of `bids` and `asks` levels in the fresh arrays. */
KEEL_EXPORT void keel_feature_levels(keel_features *features, int32_t slot, int32_t bids, int32_t asks, int32_t is_delta,
                                     int32_t bid_ticks, double bid_lots, int32_t ask_ticks, double ask_lots, double time_us);

/* `write`: KEEL_FEATURES values to `row`. */
KEEL_EXPORT void keel_feature_write(keel_features *features, int32_t slot, double time_us, float *row);

#endif
