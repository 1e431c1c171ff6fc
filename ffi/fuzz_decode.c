/*
 * Feeds the decoders frames that are nearly right, under AddressSanitizer and UndefinedBehaviorSanitizer, every array exactly as
 * long as the library may take it: `fuzz_decode SECONDS SEED FILE`. All instruction sets must answer alike. Built and called by
 * test/feed/fuzz-decoders.ts, which writes the file; no part of the library.
 */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode.h"
#include "host.h"

#define MAX_FRAME (1 << 17)
#define TICKER_FIELDS 15
#define TICKER_EVENT 4
#define MAX_PRICE 0x7ffffffe

enum { BINANCE = 0, DERIBIT = 1, DEPTH = 2, BYBIT = 3, OKX = 4, KRAKEN = 5, COINBASE = 6, BITSTAMP = 7 };

typedef struct {
  int32_t decoder;
  int32_t length;
  uint8_t *bytes;
} seed_frame;

/* What may stand anywhere in a frame. */
static const char *const TOKENS[] = {
    "\"", "\\", "{", "}", "[", "]", ":", ",", ".", "-", "e", "0", "00", "1e5", "1E-7", "-0", "1e400", "null", "true", "false", "[]",
    "{}", "\"\"", "\".\"", "\"5.\"", "\".5\"", "9007199254740991", "9007199254740993", "99999999999999999999", "\"1e5\"",
    "\"0.00000000000000001\"", "\"1234567890123456.00000000\"", "\"2147483647.0\"", "[[[[[[[[", "{\"a\":{\"b\":{\"c\":", "\x80", "\xff",
    "\x1f", "\"b\":[", "\"a\":[", "\"s\":", "\"u\":", "\"e\":\"trade\"", "\"e\":\"depthUpdate\"", "[\"new\",", "[\"61800.20\",\"2.9\"]",
    "[\"61800.2\",\"2.9\",\"0\",\"4\"]", "\"seqId\":", "\"bids\":[", "\"asks\":[", "\"type\":\"delta\"", "\"instId\":\"", "\"data\":[{",
    "\"live_orders_btcusd\"", "\"order_deleted\"", "\"id_str\":\"18446744073709551616\"", "\"order_type\":1",
};

static uint64_t state;

static uint32_t draw(uint32_t below) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)((state >> 11) % below);
}

static void fail(const char *what, const uint8_t *frame, int32_t length) {
  fprintf(stderr, "fuzz_decode: %s: ", what);
  if (frame != NULL) fwrite(frame, 1, (size_t)length, stderr);
  fputc('\n', stderr);
  exit(2);
}

static void *take(size_t bytes) {
  void *memory = malloc(bytes == 0 ? 1 : bytes);
  if (memory == NULL) fail("no memory", NULL, 0);
  return memory;
}

static void *taken_from(FILE *file, size_t bytes) {
  void *memory = take(bytes);
  if (bytes > 0 && fread(memory, 1, bytes, file) != bytes) fail("a short file", NULL, 0);
  return memory;
}

static double seconds_now(void) { return keel_monotonic_ns() / 1e9; }

/* The arrays of one event batch. */
static void take_batch(keel_decoder *d) {
  const size_t events = (size_t)d->max_events, levels = (size_t)d->max_levels;
  d->kind = take(events);
  d->instrument = take(events * 4);
  d->exchange_time_us = take(events * 8);
  d->first_sequence = take(events * 8);
  d->last_sequence = take(events * 8);
  d->previous_sequence = take(events * 8);
  d->checksum = take(events * 8);
  d->code = take(events * 2);
  d->reason = take(events * 2);
  d->level_start = take(events * 4);
  d->level_count = take(events * 4);
  d->values = take(events * TICKER_FIELDS * 8);
  d->side = take(levels);
  d->price_ticks = take(levels * 4);
  d->size_lots = take(levels * 8);
}

/* Replaces `removed` bytes at `at` by `added` others. @returns the new length, the old one where it would get too long. */
static int32_t splice(uint8_t *frame, int32_t length, int32_t at, int32_t removed, const uint8_t *with, int32_t added) {
  if (removed > length - at) removed = length - at;
  if (length - removed + added > MAX_FRAME) return length;
  memmove(frame + at + added, frame + at + removed, (size_t)(length - at - removed));
  memcpy(frame + at, with, (size_t)added);
  return length - removed + added;
}

static int32_t mutate(uint8_t *frame, int32_t length, const seed_frame *other) {
  static uint8_t piece[256];
  for (uint32_t changes = 1 + draw(4); changes > 0 && length > 0; changes -= 1) {
    /* Half of the changes fall on the head, where most rules are. */
    const int32_t reach = draw(2) == 0 && length > 300 ? 300 : length;
    const int32_t at = (int32_t)draw((uint32_t)reach);
    switch (draw(7)) {
      case 0: frame[at] ^= (uint8_t)(1u << draw(8)); break;
      case 1: frame[at] = (uint8_t)draw(256); break;
      case 2: frame[at] = (uint8_t)('0' + draw(10)); break;
      case 3: length = splice(frame, length, at, 1 + (int32_t)draw(8), piece, 0); break;
      case 4: {
        const char *const token = TOKENS[draw(sizeof TOKENS / sizeof TOKENS[0])];
        length = splice(frame, length, at, (int32_t)draw(8), (const uint8_t *)token, (int32_t)strlen(token));
        break;
      }
      case 5: {
        const int32_t from = (int32_t)draw((uint32_t)other->length);
        int32_t size = 1 + (int32_t)draw(sizeof piece - 1);
        if (size > other->length - from) size = other->length - from;
        memcpy(piece, other->bytes + from, (size_t)size);
        length = splice(frame, length, at, (int32_t)draw(64), piece, size);
        break;
      }
      default: length = draw(4) == 0 ? at : length; break;
    }
  }
  return length;
}

static int32_t run(keel_decoder *d, int32_t decoder, int32_t length) {
  if (decoder == DERIBIT) return keel_decode_deribit(d, length);
  if (decoder == BYBIT) return keel_decode_bybit(d, length);
  if (decoder == OKX) return keel_decode_okx(d, length);
  if (decoder == KRAKEN) return keel_decode_kraken(d, length);
  if (decoder == COINBASE) return keel_decode_coinbase(d, length);
  if (decoder == BITSTAMP) return keel_decode_bitstamp(d, length);
  return decoder == BINANCE ? keel_decode_binance(d, length) : keel_decode_binance_depth(d, length, 0);
}

/* Whether what a decoder has added is whole and sane. */
static const char *problem_of(const keel_decoder *d, int32_t events_before, int32_t levels_before) {
  if (d->count > d->max_events || d->levels > d->max_levels) return "more than the batch takes";
  int32_t level = levels_before;
  for (int32_t row = events_before; row < d->count; row += 1) {
    if (d->kind[row] > TICKER_EVENT || d->code[row] != 0 || d->reason[row] != 0) return "a strange event";
    if (d->level_start[row] != level || d->level_count[row] < 0) return "levels of no event";
    level += d->level_count[row];
  }
  if (level != d->levels) return "levels of no event";
  for (level = levels_before; level < d->levels; level += 1) {
    if (d->side[level] > 1 || d->price_ticks[level] < 0 || d->price_ticks[level] > MAX_PRICE) return "a strange level";
    if (!(d->size_lots[level] >= 0) || isinf(d->size_lots[level])) return "a strange size";
  }
  return NULL;
}

static int32_t differs(const void *a, const void *b, int32_t from, int32_t to, size_t size) {
  return memcmp((const uint8_t *)a + (size_t)from * size, (const uint8_t *)b + (size_t)from * size, (size_t)(to - from) * size) != 0;
}

static int32_t same(const keel_decoder *a, const keel_decoder *b, int32_t events, int32_t levels) {
  const int32_t count = a->count;
  if (count != b->count || a->levels != b->levels) return 0;
  if (differs(a->kind, b->kind, events, count, 1) || differs(a->instrument, b->instrument, events, count, 4)) return 0;
  if (differs(a->exchange_time_us, b->exchange_time_us, events, count, 8)) return 0;
  if (differs(a->first_sequence, b->first_sequence, events, count, 8)) return 0;
  if (differs(a->last_sequence, b->last_sequence, events, count, 8)) return 0;
  if (differs(a->previous_sequence, b->previous_sequence, events, count, 8)) return 0;
  if (differs(a->checksum, b->checksum, events, count, 8)) return 0;
  if (differs(a->level_count, b->level_count, events, count, 4)) return 0;
  for (int32_t row = events; row < count; row += 1) {
    if (a->kind[row] == TICKER_EVENT && differs(a->values, b->values, row, row + 1, TICKER_FIELDS * 8)) return 0;
  }
  if (differs(a->side, b->side, levels, a->levels, 1) || differs(a->price_ticks, b->price_ticks, levels, a->levels, 4)) return 0;
  return !differs(a->size_lots, b->size_lots, levels, a->levels, 8);
}

int main(int argc, char **argv) {
  if (argc != 4) fail("usage: fuzz_decode SECONDS SEED FILE", NULL, 0);
  const double until = seconds_now() + atof(argv[1]);
  state = strtoull(argv[2], NULL, 10) * 0x9e3779b97f4a7c15ull + 1;
  FILE *file = fopen(argv[3], "rb");
  if (file == NULL) fail("a file that cannot be read", NULL, 0);
  int32_t sizes[3];
  if (fread(sizes, sizeof(int32_t), 3, file) != 3) fail("a short file", NULL, 0);
  keel_decoder decoders[2];
  memset(decoders, 0, sizeof decoders);
  const keel_listing *const listings = taken_from(file, (size_t)sizes[0] * sizeof(keel_listing));
  const int32_t *const slots = taken_from(file, (size_t)sizes[1] * sizeof(int32_t));
  seed_frame *const seeds = take((size_t)sizes[2] * sizeof(seed_frame));
  for (int32_t i = 0; i < sizes[2]; i += 1) {
    if (fread(&seeds[i], sizeof(int32_t), 2, file) != 2 || seeds[i].length < 1 || seeds[i].length > MAX_FRAME)
      fail("a bad seed", NULL, 0);
    seeds[i].bytes = taken_from(file, (size_t)seeds[i].length);
  }
  fclose(file);
  for (int32_t isa = 0; isa < 2; isa += 1) {
    decoders[isa].listings = listings;
    decoders[isa].slots = slots;
    decoders[isa].listing_count = sizes[0];
    decoders[isa].slot_mask = sizes[1] - 1;
    decoders[isa].isa = isa;
    decoders[isa].max_events = 5;
    decoders[isa].max_levels = 600;
    take_batch(&decoders[isa]);
  }
  const int32_t isas = (keel_isa_mask() >> KEEL_ISA_AVX2) & 1 ? 2 : 1;
  uint8_t *const scratch = take(MAX_FRAME);
  uint64_t frames = 0, decoded = 0;
  while (frames % 256 != 0 || seconds_now() < until) {
    const seed_frame *const seed = &seeds[draw((uint32_t)sizes[2])];
    memcpy(scratch, seed->bytes, (size_t)seed->length);
    int32_t length = seed->length;
    /* Now and then a frame as it is, so that the seeds themselves are known to be taken. */
    if (draw(16) != 0) length = mutate(scratch, length, &seeds[draw((uint32_t)sizes[2])]);
    const int32_t events = (int32_t)draw(3), levels = draw(8) == 0 ? 595 : (int32_t)draw(4);
    int32_t answers[2] = {0, 0};
    for (int32_t isa = 0; isa < isas; isa += 1) {
      keel_decoder *const d = &decoders[isa];
      uint8_t *const memory = take(KEEL_DECODE_FRONT + (size_t)length + KEEL_DECODE_BACK);
      memset(memory, '7', KEEL_DECODE_FRONT + (size_t)length + KEEL_DECODE_BACK);
      d->frame = memory + KEEL_DECODE_FRONT;
      d->frame_capacity = length;
      memcpy(d->frame, scratch, (size_t)length);
      d->count = events;
      d->levels = levels;
      answers[isa] = run(d, seed->decoder, length);
      if (answers[isa] == 0 && (d->count != events || d->levels != levels)) fail("a refused frame left events", scratch, length);
      if (run(d, seed->decoder, length + 1) != 0) fail("a length beyond the memory was taken", scratch, length);
      const char *const problem = problem_of(d, events, levels);
      if (problem != NULL) fail(problem, scratch, length);
      free(memory);
    }
    if (isas == 2 && (answers[0] != answers[1] || !same(&decoders[0], &decoders[1], events, levels)))
      fail("instruction sets differ", scratch, length);
    frames += 1;
    decoded += answers[0] == 1;
  }
  printf("%llu frames, %llu of them decoded\n", (unsigned long long)frames, (unsigned long long)decoded);
  return 0;
}
