/* What is compiled once for each instruction set, which KEEL_ISA then names. */
#ifndef KEEL_ISA_H
#define KEEL_ISA_H

#define KEEL_NAMED_(name, isa) name##_##isa
#define KEEL_NAMED(name, isa) KEEL_NAMED_(name, isa)
/* A function's name with the instruction set's behind it. */
#define FOR_ISA(name) KEEL_NAMED(name, KEEL_ISA)

/* Compiled into whatever calls it, and so for its instruction set. */
#define INLINE static inline __attribute__((always_inline))

#endif
