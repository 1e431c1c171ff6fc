/*
 * Drives books and features with random events under AddressSanitizer and UndefinedBehaviorSanitizer, every array exactly as long
 * as the library may take it: `sanitize_features EVENTS SEED`. All instruction sets must write the same bits. Built and called by
 * test/feature/sanitize.ts; no part of the library.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "feature.h"
#include "host.h"

#define SLOTS 2
#define STATE_DOUBLES 76
#define METRICS 10
#define WINDOW 64
#define FAR_LEVELS 8
#define LEVELS 40

static uint64_t state;

static uint32_t draw(uint32_t below) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)((state >> 11) % below);
}

static void fail(const char *what) {
  fprintf(stderr, "sanitize_features: %s\n", what);
  exit(2);
}

static void *take(size_t bytes) {
  void *const memory = calloc(1, bytes);
  if (memory == NULL) fail("no memory");
  return memory;
}

static void take_ladder(keel_ladder *l, int32_t best) {
  *l = (keel_ladder){.window = WINDOW, .far_capacity = FAR_LEVELS, .best = best, .base = best - WINDOW / 4, .count = 1};
  l->sizes = take(WINDOW * sizeof(double));
  l->leaf = take(WINDOW / 32 * sizeof(uint32_t));
  l->middle = take(sizeof(uint32_t));
  l->root = take(sizeof(uint32_t));
  l->far_keys = take(FAR_LEVELS * sizeof(int32_t));
  l->far_sizes = take(FAR_LEVELS * sizeof(double));
  const int32_t slot = best & (WINDOW - 1);
  l->sizes[slot] = 1;
  l->leaf[slot >> 5] = 1u << (slot & 31);
  l->middle[0] = 1u << (slot >> 5);
  l->root[0] = 1;
}

static keel_features take_features(int32_t isa) {
  keel_features f = {.slot_count = SLOTS, .isa = isa};
  f.state = take(SLOTS * STATE_DOUBLES * sizeof(double));
  f.metrics = take(SLOTS * 2 * METRICS * sizeof(double));
  f.mid_ticks = take(SLOTS * sizeof(double));
  f.price_ticks = take(SLOTS * 2 * KEEL_DEPTH_LEVELS * sizeof(int32_t));
  f.size_lots = take(SLOTS * 2 * KEEL_DEPTH_LEVELS * sizeof(double));
  f.level_count = take(SLOTS * 2 * sizeof(int32_t));
  f.signals = take(KEEL_FEATURE_SIGNALS * sizeof(double));
  f.fresh_price = take(2 * KEEL_DEPTH_LEVELS * sizeof(int32_t));
  f.fresh_size = take(2 * KEEL_DEPTH_LEVELS * sizeof(double));
  return f;
}

/* What may come: sizes that are none, prices at the ends of what a book holds. */
static double any_size(void) {
  static const double ODD[] = {0, 0, 0, 1e300, 5e-324, 0.1, -1, INFINITY, NAN};
  return draw(3) == 0 ? ODD[draw(sizeof ODD / sizeof ODD[0])] : (double)draw(1000);
}

static int32_t any_price(int32_t near) {
  static const int32_t ODD[] = {0, 1, 0x7ffffffe};
  return draw(20) == 0 ? ODD[draw(3)] : near + (int32_t)draw(200) - 100;
}

/* Reachable to the end, so that nothing counts as lost. */
static keel_features features[2];
static keel_book book;
static keel_levels levels;
static float *rows[2];

int main(int argc, char **argv) {
  if (argc != 3) fail("expected EVENTS SEED");
  const long events = strtol(argv[1], NULL, 10);
  state = strtoull(argv[2], NULL, 10) * 0x9e3779b97f4a7c15ull + 1;
  const int32_t isas = (keel_isa_mask() >> KEEL_ISA_AVX2) & 1 ? 2 : 1;
  features[0] = take_features(KEEL_ISA_PORTABLE);
  features[1] = take_features(KEEL_ISA_AVX2);
  take_ladder(&book.bids, -1000);
  take_ladder(&book.asks, 1001);
  uint8_t *const side = take(LEVELS);
  int32_t *const price = take(LEVELS * sizeof(int32_t));
  double *const size = take(LEVELS * sizeof(double));
  levels = (keel_levels){side, price, size};
  rows[0] = take(KEEL_FEATURES * sizeof(float));
  rows[1] = take(KEEL_FEATURES * sizeof(float));
  double time_us = 1.7e15;
  for (long event = 0; event < events; event += 1) {
    const int32_t count = (int32_t)draw(LEVELS + 1);
    for (int32_t i = 0; i < count; i += 1) {
      side[i] = (uint8_t)draw(2);
      price[i] = any_price(side[i] == 0 ? 950 : 1050);
      size[i] = any_size();
    }
    /* What moves a window is left out: that is TypeScript's. */
    for (int32_t from = 0; from < count; from += 1) {
      const int32_t stopped = keel_book_delta(&book, &levels, from, count);
      if (stopped < from || stopped > count) fail("a level that was not asked for");
      from = stopped;
    }
    time_us += draw(10) == 0 ? -(double)draw(3000000) : (double)draw(100000) / 4;
    const int32_t slot = (int32_t)draw(SLOTS + 2) - 1;
    const int32_t kind = (int32_t)draw(4), first = (int32_t)draw(KEEL_DEPTH_LEVELS + 2), second = (int32_t)draw(KEEL_DEPTH_LEVELS + 2);
    const int32_t bid = draw(9) == 0 ? -1 : any_price(950), ask = draw(9) == 0 ? -1 : any_price(1050);
    const double bid_lots = any_size(), ask_lots = any_size(), at = draw(200) == 0 ? NAN : time_us;
    for (int32_t i = 0; i < isas; i += 1) {
      keel_features *const f = &features[i];
      for (int32_t level = 0; level < KEEL_DEPTH_LEVELS; level += 1) {
        f->fresh_price[level] = 1000 - level;
        f->fresh_price[KEEL_DEPTH_LEVELS + level] = 1001 + level;
        f->fresh_size[level] = f->fresh_size[KEEL_DEPTH_LEVELS + level] = bid_lots;
      }
      if (kind == 0) keel_feature_top(f, slot, bid, bid_lots, ask, ask_lots, at);
      else if (kind == 1) keel_feature_trade(f, slot, bid & 1, bid_lots, at);
      else if (kind == 2) keel_feature_book(f, &book, slot, first & 1, bid, bid_lots, ask, ask_lots, at);
      else keel_feature_levels(f, slot, first, second, 1, bid, bid_lots, ask, ask_lots, at);
      keel_feature_write(f, slot, at, rows[i]);
      for (int32_t feature = 0; feature < KEEL_FEATURES; feature += 1) {
        if (!isfinite(rows[i][feature])) fail("a feature that is not finite");
      }
    }
    if (isas == 2 && memcmp(rows[0], rows[1], KEEL_FEATURES * sizeof(float)) != 0) fail("instruction sets that differ");
  }
  printf("%ld events\n", events);
  return 0;
}
