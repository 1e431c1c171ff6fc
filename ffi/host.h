#ifndef KEEL_HOST_H
#define KEEL_HOST_H

#include "keel.h"

/* Instruction sets with kernels of their own, worst first. The numbers are part of the border to TypeScript. */
enum {
  KEEL_ISA_PORTABLE = 0,
  KEEL_ISA_AVX2 = 1,
  KEEL_ISA_AVXVNNI = 2,
  KEEL_ISA_AVX512 = 3,
  KEEL_ISA_AVX512VNNI = 4,
  KEEL_ISA_COUNT = 5,
};

/* Bit i: the host runs instruction set i, and its operating system saves the registers. */
KEEL_EXPORT uint32_t keel_isa_mask(void);

/*
 * Ends the use of wide vector registers; for hosts with AVX2 only. Compilers do that by themselves but on some paths forget it, and
 * then all narrow vector code that follows, JavaScript's own included, runs several times slower.
 */
void keel_end_wide(void);

KEEL_EXPORT int32_t keel_abi(void);

/* CLOCK_MONOTONIC in nanoseconds: one origin for all processes of the host. */
KEEL_EXPORT double keel_monotonic_ns(void);

#endif
