/*
 * Runs step programs from files under AddressSanitizer and UndefinedBehaviorSanitizer, every array in memory of its own and
 * exactly as long as the engine takes it. Built and called by test/inference/sanitize.ts; no part of the library.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "step.h"

/* What kernels may read behind an array: `SLACK_BYTES` of src/core/native.ts. */
#define SLACK 64

static void fail(const char *what) {
  fprintf(stderr, "sanitize: %s\n", what);
  exit(2);
}

static void *take(size_t bytes) {
  void *memory = NULL;
  if (posix_memalign(&memory, 64, bytes + SLACK) != 0) fail("no memory");
  return memory;
}

static void *taken_from(FILE *file, size_t bytes) {
  void *memory = take(bytes);
  if (fread(memory, 1, bytes, file) != bytes) fail("a short file");
  return memory;
}

static void fill(float *values, size_t count) {
  static uint32_t seed = 1;
  for (size_t i = 0; i < count; i += 1) {
    seed = seed * 1664525u + 1013904223u;
    values[i] = (float)(int32_t)seed / 1e9f;
  }
}

int main(int argc, char **argv) {
  if (argc < 2) fail("no program file");
  const uint32_t isas = keel_isa_mask();
  for (int argument = 1; argument < argc; argument += 1) {
    FILE *file = fopen(argv[argument], "rb");
    if (file == NULL) fail("a file that cannot be read");
    int32_t sizes[11];
    if (fread(sizes, sizeof(int32_t), 11, file) != 11) fail("a short file");
    keel_step step = {
        .instruction_count = sizes[0], .row_floats = sizes[1], .feature_count = sizes[2], .head_count = sizes[3],
        .probabilities_at = sizes[4], .slot_floats = sizes[5], .slot_count = sizes[6], .batch_max = sizes[7],
        .move_count = sizes[8],
    };
    const size_t rows = step.batch_max < KEEL_STEP_BLOCK ? (size_t)step.batch_max : KEEL_STEP_BLOCK;
    step.program = taken_from(file, (size_t)step.instruction_count * KEEL_STEP_WORDS * sizeof(int32_t));
    step.constants = taken_from(file, (size_t)sizes[10] * sizeof(float));
    step.state_moves = taken_from(file, (size_t)step.move_count * 3 * sizeof(int32_t));
    fclose(file);
    for (step.isa = 0; step.isa < KEEL_ISA_COUNT; step.isa += 1) {
      if (!((isas >> step.isa) & 1)) continue;
      step.arena = take(rows * (size_t)step.row_floats * sizeof(float));
      float *features = take((size_t)step.batch_max * (size_t)step.feature_count * sizeof(float));
      int32_t *slots = take((size_t)step.batch_max * sizeof(int32_t));
      step.probabilities = take((size_t)step.batch_max * (size_t)step.head_count * sizeof(float));
      step.states = take((size_t)step.slot_count * (size_t)step.slot_floats * sizeof(float));
      memset(step.states, 0, (size_t)step.slot_count * (size_t)step.slot_floats * sizeof(float));
      step.features = features;
      step.slots = slots;
      for (int32_t round = 0; round < 8; round += 1) {
        fill(features, (size_t)step.batch_max * (size_t)step.feature_count);
        for (int32_t row = 0; row < step.batch_max; row += 1) slots[row] = (row + round) % step.slot_count;
        if (keel_step_run(&step, 1 + round % step.batch_max) != 0) fail("a refused step");
      }
      if (keel_step_run(&step, 0) != -1 || keel_step_run(&step, step.batch_max + 1) != -1) fail("a bad count was taken");
      slots[0] = step.slot_count;
      if (keel_step_run(&step, 1) != 1) fail("a bad slot was taken");
      free(step.arena);
      free(features);
      free(slots);
      free(step.probabilities);
      free(step.states);
    }
    free((void *)step.program);
    free((void *)step.constants);
    free((void *)step.state_moves);
  }
  puts("ok");
  return 0;
}
