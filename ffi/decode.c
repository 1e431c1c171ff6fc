/* Checks what a call brings and hands it to the decoder of the host's instruction set. */
#include "decode.h"

#include <string.h>

#include "host.h"

typedef int32_t (*decode_frame)(const keel_decoder *decoder, int32_t length, int32_t *count, int32_t *levels);
typedef int32_t (*decode_depth)(const keel_decoder *decoder, int32_t length, const keel_listing *listing, int32_t *count,
                                int32_t *levels);

int32_t keel_decode_binance_portable(const keel_decoder *, int32_t, int32_t *, int32_t *);
int32_t keel_decode_deribit_portable(const keel_decoder *, int32_t, int32_t *, int32_t *);
int32_t keel_decode_bybit_portable(const keel_decoder *, int32_t, int32_t *, int32_t *);
int32_t keel_decode_okx_portable(const keel_decoder *, int32_t, int32_t *, int32_t *);
int32_t keel_decode_kraken_portable(const keel_decoder *, int32_t, int32_t *, int32_t *);
int32_t keel_decode_coinbase_portable(const keel_decoder *, int32_t, int32_t *, int32_t *);
int32_t keel_decode_bitstamp_portable(const keel_decoder *, int32_t, int32_t *, int32_t *);
int32_t keel_decode_binance_depth_portable(const keel_decoder *, int32_t, const keel_listing *, int32_t *, int32_t *);

#if defined(__x86_64__)
int32_t keel_decode_binance_avx2(const keel_decoder *, int32_t, int32_t *, int32_t *);
int32_t keel_decode_deribit_avx2(const keel_decoder *, int32_t, int32_t *, int32_t *);
int32_t keel_decode_bybit_avx2(const keel_decoder *, int32_t, int32_t *, int32_t *);
int32_t keel_decode_okx_avx2(const keel_decoder *, int32_t, int32_t *, int32_t *);
int32_t keel_decode_kraken_avx2(const keel_decoder *, int32_t, int32_t *, int32_t *);
int32_t keel_decode_coinbase_avx2(const keel_decoder *, int32_t, int32_t *, int32_t *);
int32_t keel_decode_bitstamp_avx2(const keel_decoder *, int32_t, int32_t *, int32_t *);
int32_t keel_decode_binance_depth_avx2(const keel_decoder *, int32_t, const keel_listing *, int32_t *, int32_t *);
#define BEST(name) name##_avx2
#else
#define BEST(name) name##_portable
#endif

static const decode_frame BINANCE[2] = {keel_decode_binance_portable, BEST(keel_decode_binance)};
static const decode_frame DERIBIT[2] = {keel_decode_deribit_portable, BEST(keel_decode_deribit)};
static const decode_frame BYBIT[2] = {keel_decode_bybit_portable, BEST(keel_decode_bybit)};
static const decode_frame OKX[2] = {keel_decode_okx_portable, BEST(keel_decode_okx)};
static const decode_frame KRAKEN[2] = {keel_decode_kraken_portable, BEST(keel_decode_kraken)};
static const decode_frame COINBASE[2] = {keel_decode_coinbase_portable, BEST(keel_decode_coinbase)};
static const decode_frame BITSTAMP[2] = {keel_decode_bitstamp_portable, BEST(keel_decode_bitstamp)};
static const decode_depth DEPTH[2] = {keel_decode_binance_depth_portable, BEST(keel_decode_binance_depth)};

/* Ends the frame with zeros; false when it does not fit where it is said to be. */
static int32_t close_frame(const keel_decoder *d, int32_t length) {
  if (length < 1 || length > d->frame_capacity) return 0;
  if (d->count < 0 || d->count > d->max_events || d->levels < 0 || d->levels > d->max_levels) return 0;
  memset(d->frame + length, 0, KEEL_DECODE_BACK);
  return 1;
}

static int32_t decode(const decode_frame *decoders, keel_decoder *d, int32_t length) {
  if (!close_frame(d, length)) return 0;
  if (d->isa < KEEL_ISA_AVX2) return decoders[0](d, length, &d->count, &d->levels);
  const int32_t answer = decoders[1](d, length, &d->count, &d->levels);
  keel_end_wide();
  return answer;
}

int32_t keel_decode_binance(keel_decoder *decoder, int32_t length) { return decode(BINANCE, decoder, length); }

int32_t keel_decode_deribit(keel_decoder *decoder, int32_t length) { return decode(DERIBIT, decoder, length); }

int32_t keel_decode_bybit(keel_decoder *decoder, int32_t length) { return decode(BYBIT, decoder, length); }

int32_t keel_decode_okx(keel_decoder *decoder, int32_t length) { return decode(OKX, decoder, length); }

int32_t keel_decode_kraken(keel_decoder *decoder, int32_t length) { return decode(KRAKEN, decoder, length); }

int32_t keel_decode_coinbase(keel_decoder *decoder, int32_t length) { return decode(COINBASE, decoder, length); }

int32_t keel_decode_bitstamp(keel_decoder *decoder, int32_t length) { return decode(BITSTAMP, decoder, length); }

int32_t keel_decode_binance_depth(keel_decoder *decoder, int32_t length, int32_t listing) {
  if (!close_frame(decoder, length) || listing < 0 || listing >= decoder->listing_count) return 0;
  const keel_listing *const of = decoder->listings + listing;
  if (decoder->isa < KEEL_ISA_AVX2) return DEPTH[0](decoder, length, of, &decoder->count, &decoder->levels);
  const int32_t answer = DEPTH[1](decoder, length, of, &decoder->count, &decoder->levels);
  keel_end_wide();
  return answer;
}
