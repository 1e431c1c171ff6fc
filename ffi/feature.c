/* Hands the features of an event to the code of the host's instruction set. */
#include "feature.h"

#include <stdbool.h>

#include "host.h"

#define DECLARE(isa)                                                                                                    \
  void keel_feature_top_##isa(const keel_features *, int32_t, const keel_best *, double);                               \
  void keel_feature_trade_##isa(const keel_features *, int32_t, int32_t, double, double);                               \
  void keel_feature_levels_##isa(const keel_features *, int32_t, int32_t, int32_t, bool, const keel_best *, double);    \
  void keel_feature_write_##isa(const keel_features *, int32_t, double, float *);

DECLARE(portable)
#if defined(__x86_64__)
DECLARE(avx2)
#define RUN(f, name, ...)           \
  do {                              \
    if ((f)->isa < KEEL_ISA_AVX2) { \
      name##_portable(__VA_ARGS__); \
    } else {                        \
      name##_avx2(__VA_ARGS__);     \
      keel_end_wide();              \
    }                               \
  } while (0)
#else
#define RUN(f, name, ...) name##_portable(__VA_ARGS__)
#endif

static bool is_slot(const keel_features *f, int32_t slot) { return slot >= 0 && slot < f->slot_count; }

void keel_feature_top(keel_features *f, int32_t slot, int32_t bid_ticks, double bid_lots, int32_t ask_ticks, double ask_lots,
                      double time_us) {
  if (!is_slot(f, slot)) return;
  const keel_best best = {bid_ticks, ask_ticks, bid_lots, ask_lots};
  RUN(f, keel_feature_top, f, slot, &best, time_us);
}

void keel_feature_trade(keel_features *f, int32_t slot, int32_t aggressor_side, double size_lots, double time_us) {
  if (!is_slot(f, slot)) return;
  RUN(f, keel_feature_trade, f, slot, aggressor_side, size_lots, time_us);
}

void keel_feature_levels(keel_features *f, int32_t slot, int32_t bids, int32_t asks, int32_t is_delta, int32_t bid_ticks,
                         double bid_lots, int32_t ask_ticks, double ask_lots, double time_us) {
  if (!is_slot(f, slot) || bids < 0 || bids > KEEL_DEPTH_LEVELS || asks < 0 || asks > KEEL_DEPTH_LEVELS) return;
  const keel_best best = {bid_ticks, ask_ticks, bid_lots, ask_lots};
  RUN(f, keel_feature_levels, f, slot, bids, asks, is_delta != 0, &best, time_us);
}

void keel_feature_book(keel_features *f, const keel_book *book, int32_t slot, int32_t is_delta, int32_t bid_ticks, double bid_lots,
                       int32_t ask_ticks, double ask_lots, double time_us) {
  if (!is_slot(f, slot)) return;
  const int32_t bids = keel_ladder_top(&book->bids, KEEL_DEPTH_LEVELS, -1, f->fresh_price, f->fresh_size);
  const int32_t asks = keel_ladder_top(&book->asks, KEEL_DEPTH_LEVELS, 1, f->fresh_price + KEEL_DEPTH_LEVELS,
                                       f->fresh_size + KEEL_DEPTH_LEVELS);
  const keel_best best = {bid_ticks, ask_ticks, bid_lots, ask_lots};
  RUN(f, keel_feature_levels, f, slot, bids, asks, is_delta != 0, &best, time_us);
}

void keel_feature_write(keel_features *f, int32_t slot, double time_us, float *row) {
  if (!is_slot(f, slot)) return;
  RUN(f, keel_feature_write, f, slot, time_us, row);
}
