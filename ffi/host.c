/* What the host is: instruction sets and the monotonic clock. */
#define _POSIX_C_SOURCE 200809L
#include <time.h>

#include "host.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

__attribute__((target("avx"))) void keel_end_wide(void) { _mm256_zeroupper(); }

static uint64_t saved_by_system(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return ((uint64_t)high << 32) | low;
}

uint32_t keel_isa_mask(void) {
  uint32_t mask = 1u << KEEL_ISA_PORTABLE;
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return mask;
  const int fma = (c >> 12) & 1;
  const int osxsave = (c >> 27) & 1;
  if (!osxsave || !fma) return mask;
  const uint64_t saved = saved_by_system();
  if ((saved & 0x6) != 0x6) return mask;
  uint32_t b7, c7, d7;
  if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d7)) return mask;
  uint32_t a71 = 0;
  if (a >= 1) __get_cpuid_count(7, 1, &a71, &b, &c, &d);
  if (!((b7 >> 5) & 1)) return mask;
  mask |= 1u << KEEL_ISA_AVX2;
  if ((a71 >> 4) & 1) mask |= 1u << KEEL_ISA_AVXVNNI;
  const int avx512 = ((b7 >> 16) & 1) && ((b7 >> 17) & 1) && ((b7 >> 30) & 1) && ((b7 >> 31) & 1);
  if (!avx512 || (saved & 0xe6) != 0xe6) return mask;
  mask |= 1u << KEEL_ISA_AVX512;
  if ((c7 >> 11) & 1) mask |= 1u << KEEL_ISA_AVX512VNNI;
  return mask;
}
#else
void keel_end_wide(void) {}

uint32_t keel_isa_mask(void) { return 1u << KEEL_ISA_PORTABLE; }
#endif

int32_t keel_abi(void) { return KEEL_ABI; }

double keel_monotonic_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}
