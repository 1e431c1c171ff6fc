/* Checks what a call brings and hands it to the kernels of the instruction set that the program was made for. */
#include "step.h"

typedef void (*step_rows)(const keel_step *step, int32_t first, int32_t rows);

void keel_step_rows_portable(const keel_step *step, int32_t first, int32_t rows);
#if defined(__x86_64__)
void keel_step_rows_avx2(const keel_step *step, int32_t first, int32_t rows);
void keel_step_rows_avxvnni(const keel_step *step, int32_t first, int32_t rows);
void keel_step_rows_avx512(const keel_step *step, int32_t first, int32_t rows);
void keel_step_rows_avx512vnni(const keel_step *step, int32_t first, int32_t rows);

static const step_rows KERNELS[KEEL_ISA_COUNT] = {
    keel_step_rows_portable, keel_step_rows_avx2,       keel_step_rows_avxvnni,
    keel_step_rows_avx512,   keel_step_rows_avx512vnni,
};

#include <immintrin.h>

/* Subnormal numbers cost a hundred cycles each and mean nothing here. */
#define FLUSH_SUBNORMAL 0x8040u

static uint32_t flush_subnormals(void) {
  const uint32_t before = _mm_getcsr();
  _mm_setcsr(before | FLUSH_SUBNORMAL);
  return before;
}

static void restore_subnormals(uint32_t before) { _mm_setcsr(before); }
#else
static const step_rows KERNELS[KEEL_ISA_COUNT] = {
    keel_step_rows_portable, keel_step_rows_portable, keel_step_rows_portable,
    keel_step_rows_portable, keel_step_rows_portable,
};

static uint32_t flush_subnormals(void) { return 0; }

static void restore_subnormals(uint32_t before) { (void)before; }
#endif

int32_t keel_step_run(const keel_step *step, int32_t count) {
  if (count < 1 || count > step->batch_max) return -1;
  for (int32_t row = 0; row < count; row += 1) {
    if (step->slots[row] < 0 || step->slots[row] >= step->slot_count) return 1 + row;
  }
  const step_rows run = KERNELS[step->isa];
  const uint32_t mode = flush_subnormals();
  for (int32_t first = 0; first < count; first += KEEL_STEP_BLOCK) {
    const int32_t left = count - first;
    run(step, first, left < KEEL_STEP_BLOCK ? left : KEEL_STEP_BLOCK);
  }
  restore_subnormals(mode);
  return 0;
}
