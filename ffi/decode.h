/*
 * Decoders of the venues' hot messages: from a frame's bytes straight to ticks, lots and sequence numbers in the arrays of an
 * event batch. A decoder takes a frame only when it understands all of it and gives exactly what the reference decoder
 * (src/feed/<venue>/decoder.ts) gives; whatever is unusual in it, off the grid or too much is left to the reference.
 */
#ifndef KEEL_DECODE_H
#define KEEL_DECODE_H

#include "keel.h"

/* Memory that must be there before a frame's first byte and after its capacity; FRONT_BYTES and BACK_BYTES of src/feed/native-decoder.ts. */
#define KEEL_DECODE_FRONT 16
#define KEEL_DECODE_BACK 64

#define KEEL_NAME_BYTES 48

/* A grid of prices or sizes: whole counts of `mantissa` × 10^-scale. `power` is 10^scale. */
typedef struct {
  double power;
  double mantissa;
  int32_t scale;
  int32_t unused;
} keel_grid;

/* What a decoder knows of an instrument. */
typedef struct {
  keel_grid tick;
  keel_grid lot;
  int32_t instrument;
  int32_t name_length;
  /* The venue's symbol, filled up with zeros. */
  uint8_t name[KEEL_NAME_BYTES];
} keel_listing;

/* One decoder. Arrays of the batch have `max_events` and `max_levels` elements, `values` KEEL_TICKER_FIELDS for each event. */
typedef struct {
  uint8_t *frame;
  const keel_listing *listings;
  /* Open-addressing table of indices into `listings`, -1 = free; `slot_mask` + 1 slots, a power of two, not all taken. */
  const int32_t *slots;
  int32_t frame_capacity;
  int32_t listing_count;
  int32_t slot_mask;
  int32_t isa;
  int32_t max_events;
  int32_t max_levels;
  /* Events and levels in the batch: before the call and, where a frame was decoded, after it. */
  int32_t count;
  int32_t levels;
  uint8_t *kind;
  int32_t *instrument;
  double *exchange_time_us;
  double *first_sequence;
  double *last_sequence;
  double *previous_sequence;
  double *checksum;
  uint16_t *code;
  uint16_t *reason;
  int32_t *level_start;
  int32_t *level_count;
  double *values;
  uint8_t *side;
  int32_t *price_ticks;
  double *size_lots;
} keel_decoder;

/*
 * Decode the frame of `length` bytes in `frame`. 1: its events stand behind those that were there. 0: it is for the reference
 * decoder, and the batch holds what it held before.
 */
KEEL_EXPORT int32_t keel_decode_binance(keel_decoder *decoder, int32_t length);
KEEL_EXPORT int32_t keel_decode_deribit(keel_decoder *decoder, int32_t length);
KEEL_EXPORT int32_t keel_decode_bybit(keel_decoder *decoder, int32_t length);
KEEL_EXPORT int32_t keel_decode_okx(keel_decoder *decoder, int32_t length);
KEEL_EXPORT int32_t keel_decode_kraken(keel_decoder *decoder, int32_t length);
KEEL_EXPORT int32_t keel_decode_coinbase(keel_decoder *decoder, int32_t length);
KEEL_EXPORT int32_t keel_decode_bitstamp(keel_decoder *decoder, int32_t length);

/* The same for the answer to a REST depth request of listing number `listing`. */
KEEL_EXPORT int32_t keel_decode_binance_depth(keel_decoder *decoder, int32_t length, int32_t listing);

#endif
