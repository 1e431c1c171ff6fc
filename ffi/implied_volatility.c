/* Checks what a call brings and hands it to the kernel of the instruction set that the columns were made for. */
#include "implied_volatility.h"

typedef int32_t (*iv_rows)(const keel_iv *iv, int32_t count);

int32_t keel_iv_rows_portable(const keel_iv *iv, int32_t count);
#if defined(__x86_64__)
int32_t keel_iv_rows_avx2(const keel_iv *iv, int32_t count);
int32_t keel_iv_rows_avx512(const keel_iv *iv, int32_t count);

static const iv_rows KERNELS[KEEL_ISA_COUNT] = {
    keel_iv_rows_portable, keel_iv_rows_avx2, keel_iv_rows_avx2, keel_iv_rows_avx512, keel_iv_rows_avx512,
};
#else
static const iv_rows KERNELS[KEEL_ISA_COUNT] = {
    keel_iv_rows_portable, keel_iv_rows_portable, keel_iv_rows_portable,
    keel_iv_rows_portable, keel_iv_rows_portable,
};
#endif

int32_t keel_implied_volatilities(const keel_iv *iv, int32_t count) {
  if (count < 0 || count > iv->capacity) return -1;
  const int32_t open = KERNELS[iv->isa](iv, count);
#if defined(__x86_64__)
  if (iv->isa != KEEL_ISA_PORTABLE) keel_end_wide();
#endif
  return open;
}
