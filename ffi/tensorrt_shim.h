/*
 * Step models on TensorRT behind a C interface. The library that implements it opens TensorRT and the CUDA driver only when an
 * engine is made, so it can be loaded anywhere. Functions that fail say why in words for the operator.
 */
#ifndef KEEL_TENSORRT_SHIM_H
#define KEEL_TENSORRT_SHIM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KEEL_TRT_EXPORT __attribute__((visibility("default")))

/* Changes with every incompatible change below; as ABI in src/inference/tensorrt-library.ts. */
#define KEEL_TRT_ABI 1

enum {
  KEEL_TRT_OK = 0,
  /* The host lacks something: driver, library, version, memory. */
  KEEL_TRT_UNAVAILABLE = 1,
  /* The model cannot be run as asked. */
  KEEL_TRT_REFUSED = 2,
  /* The device failed in operation; the engine is of no more use. */
  KEEL_TRT_LOST = 3,
};

/* As TENSORRT_PRECISIONS in src/inference/settings.ts. */
enum { KEEL_TRT_MODEL = 0, KEEL_TRT_FP16 = 1, KEEL_TRT_INT8 = 2 };

/* Rows of a batch, as in src/inference/slot-rows.ts. */
#define KEEL_TRT_IDLE 0xffffffffu
#define KEEL_TRT_FRESH 0x80000000u

/* Every field has 64 bits, so that the caller can lay it out as an array. Strings end with a zero. */
typedef struct {
  const void *onnx;
  uint64_t onnx_bytes;
  /* Digest of the model in hex; part of the plan's file name. */
  const char *model_key;
  /* Folder of built plans, or null. */
  const char *cache_dir;
  const char *features_name;
  const char *probabilities_name;
  const char *const *state_names;
  const char *const *next_names;
  /* Floats of one slot, for each state. */
  const int64_t *state_sizes;
  int64_t state_count;
  int64_t feature_count;
  int64_t head_count;
  int64_t slot_count;
  int64_t max_batch;
  /* CUDA's number of the device. */
  int64_t device;
  int64_t precision;
  /* 1: the caller's core waits busily; 0: it sleeps. */
  int64_t spin;
} keel_trt_options;

typedef struct keel_trt_engine keel_trt_engine;

KEEL_TRT_EXPORT int32_t keel_trt_abi(void);

/* Version of the TensorRT headers it was built with: major * 10000 + minor * 100 + patch. */
KEEL_TRT_EXPORT int32_t keel_trt_headers(void);

/* On success *engine is set; otherwise the reason is written to `message`. */
KEEL_TRT_EXPORT int32_t keel_trt_create(const keel_trt_options *options, keel_trt_engine **engine, char *message,
                                        uint64_t message_bytes);

/*
 * Advances `count` rows. `rows` has max_batch entries: a slot, with KEEL_TRT_FRESH where it starts from zero, or KEEL_TRT_IDLE
 * from `count` on. `features` is [count, F], `probabilities` takes [count, K].
 */
KEEL_TRT_EXPORT int32_t keel_trt_step(keel_trt_engine *engine, int32_t count, const uint32_t *rows, const float *features,
                                      float *probabilities);

/* Why the last step failed; valid until the next call. */
KEEL_TRT_EXPORT const char *keel_trt_message(const keel_trt_engine *engine);

/* GPU, TensorRT's version and where the plan came from; valid as long as the engine. */
KEEL_TRT_EXPORT const char *keel_trt_describe(const keel_trt_engine *engine);

/* Bytes taken on the device and in pinned host memory. */
KEEL_TRT_EXPORT int64_t keel_trt_memory(const keel_trt_engine *engine);

KEEL_TRT_EXPORT void keel_trt_destroy(keel_trt_engine *engine);

#ifdef __cplusplus
}
#endif

#endif
