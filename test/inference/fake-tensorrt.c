/*
 * Stands in for the TensorRT shim: the same interface, and a function that a test can compute too. With the states "s" of two
 * floats and "r" of one:
 *   s' = s / 2 + (sum of features, first feature);  r' = r + 1;  p[k] = s'[0] + 10 s'[1] + 100 r' + k
 * Device 7 is not there, INT8 is refused, and a negative first feature breaks the device.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../ffi/tensorrt_shim.h"

#ifndef FAKE_ABI
#define FAKE_ABI KEEL_TRT_ABI
#endif

struct keel_trt_engine {
  int64_t features, heads, slots, batch;
  float *s, *r;
  char description[512], message[64];
};

int32_t keel_trt_abi(void) { return FAKE_ABI; }
int32_t keel_trt_headers(void) { return 110100; }

static int32_t fail(int32_t code, const char *text, char *message, uint64_t bytes) {
  snprintf(message, bytes, "%s", text);
  return code;
}

int32_t keel_trt_create(const keel_trt_options *o, keel_trt_engine **engine, char *message, uint64_t bytes) {
  if (o->device == 7) return fail(KEEL_TRT_UNAVAILABLE, "no CUDA device 7", message, bytes);
  if (o->precision == KEEL_TRT_INT8) return fail(KEEL_TRT_REFUSED, "the ONNX file is not quantised", message, bytes);
  const int named = strcmp(o->features_name, "features") == 0 && strcmp(o->probabilities_name, "probabilities") == 0 &&
                    o->state_count == 2 && strcmp(o->state_names[0], "s") == 0 && strcmp(o->next_names[1], "r_next") == 0;
  if (!named || o->state_sizes[0] != 2 || o->state_sizes[1] != 1) {
    return fail(KEEL_TRT_REFUSED, "not the model that was expected", message, bytes);
  }
  keel_trt_engine *made = calloc(1, sizeof *made);
  made->features = o->feature_count, made->heads = o->head_count, made->slots = o->slot_count, made->batch = o->max_batch;
  made->s = calloc((size_t)o->slot_count, 2 * sizeof(float));
  made->r = calloc((size_t)o->slot_count, sizeof(float));
  snprintf(made->description, sizeof made->description, "%.8s, %d bytes of ONNX from %02x, cache %s, precision %d, spin %d",
           o->model_key, (int)o->onnx_bytes, ((const unsigned char *)o->onnx)[0], o->cache_dir ? o->cache_dir : "none",
           (int)o->precision, (int)o->spin);
  *engine = made;
  return KEEL_TRT_OK;
}

int32_t keel_trt_step(keel_trt_engine *e, int32_t count, const uint32_t *rows, const float *features, float *probabilities) {
  if (features[0] < 0) return fail(KEEL_TRT_LOST, "a step: CUDA_ERROR_ILLEGAL_ADDRESS", e->message, sizeof e->message);
  for (int64_t row = 0; row < e->batch; row += 1) {
    if (rows[row] == KEEL_TRT_IDLE) continue;
    if (row >= count) return fail(KEEL_TRT_LOST, "a row beyond the batch is not idle", e->message, sizeof e->message);
    const uint32_t slot = rows[row] & ~KEEL_TRT_FRESH;
    float *s = e->s + 2 * slot, *r = e->r + slot, sum = 0;
    if (rows[row] & KEEL_TRT_FRESH) s[0] = s[1] = r[0] = 0;
    for (int64_t i = 0; i < e->features; i += 1) sum += features[row * e->features + i];
    s[0] = s[0] / 2 + sum, s[1] = s[1] / 2 + features[row * e->features], r[0] += 1;
    for (int64_t k = 0; k < e->heads; k += 1) probabilities[row * e->heads + k] = s[0] + 10 * s[1] + 100 * r[0] + (float)k;
  }
  return KEEL_TRT_OK;
}

const char *keel_trt_message(const keel_trt_engine *e) { return e->message; }
const char *keel_trt_describe(const keel_trt_engine *e) { return e->description; }
int64_t keel_trt_memory(const keel_trt_engine *e) { return 12 * e->slots; }

void keel_trt_destroy(keel_trt_engine *e) {
  free(e->s);
  free(e->r);
  free(e);
}
