/*
 * The step program: a model compiled to a flat list of instructions over float vectors, run for a batch of rows in one call.
 *
 * The program is made by src/inference/cpu/program.ts from an ONNX graph whose every size has been checked; what is here
 * trusts the program and checks only what changes from call to call: the number of rows and their slots.
 */
#ifndef KEEL_STEP_H
#define KEEL_STEP_H

#include "host.h"

/* Instructions are 16 words of 32 bits: the operation, the result, three operands, and eleven parameters. */
#define KEEL_STEP_WORDS 16

/*
 * A reference to floats: the low two bits say where they are, the others are the offset in floats. Kernels read vectors
 * whole, so up to 15 floats behind an operand are read and ignored; all memory has that slack at its end.
 */
enum {
  KEEL_IN_ARENA = 0,    /* scratch of this row */
  KEEL_IN_CONSTANTS = 1,
  KEEL_IN_STATE = 2,    /* state of this row's slot, read only */
  KEEL_IN_FEATURES = 3, /* features of this row, read only */
};

/* No operand. */
#define KEEL_NONE (-1)

enum {
  KEEL_OP_COPY = 0,      /* dst, a; p0 n */
  KEEL_OP_STRIDED = 1,   /* dst, a; p0 constant offset of int32 [rank, dims, dst strides, src strides] */
  KEEL_OP_FILL = 2,      /* dst; p0 n, p1 value */
  KEEL_OP_UNARY = 3,     /* dst, a; p0 n, p1 kind, p2 and p3 float parameters */
  KEEL_OP_BINARY = 4,    /* dst, a, b; p0 n, p1 kind, p2 1: a is one float, 2: b is one float */
  KEEL_OP_DENSE = 5,     /* dst, a, b addend or none, c weights; p0 k, p1 n, p2 inner rows, p3 activation, p4 addend stride */
  KEEL_OP_QUANTISE = 6,  /* dst bytes, a; p0 n, p1 scale, p2 zero point 0..255, p3 lowest, p4 highest level, p5 inner rows */
  KEEL_OP_DENSE_I8 = 7,  /* as dense; c weights, p5 scales, p6 start values (constant offsets) */
  KEEL_OP_LSTM = 8,      /* dst h, a gates, b c, c dst c; p0 n, p1..p4 place of i, f, g, o in the gates */
  KEEL_OP_SOFTMAX = 9,   /* dst, a; p0 outer, p1 n, p2 inner */
  KEEL_OP_NORM = 10,     /* dst, a, b scale or none, c bias or none; p0 outer, p1 n, p2 epsilon */
  KEEL_OP_REDUCE = 11,   /* dst, a; p0 outer, p1 n, p2 inner, p3 kind */
  KEEL_OP_MATMUL = 12,   /* dst, a, b; p0 batch, p1 m, p2 k, p3 n, p4 a's batch stride, p5 b's batch stride, p6 b is [n,k] */
  KEEL_OP_GATHER = 13,   /* dst, a; p0 outer, p1 count, p2 inner, p3 dimension, p4 constant offset of int32 indices */
  KEEL_OP_SELECT = 14,   /* dst, a condition (0 is no), b yes, c no; p0 n */
  KEEL_OP_SCALE = 15,    /* dst, a, b factors, c offsets; p0 n, p1 low, p2 high: clip(a × factor + offset, low, high) */
};

enum {
  KEEL_UNARY_SIGMOID = 0,
  KEEL_UNARY_TANH = 1,
  KEEL_UNARY_RELU = 2,
  KEEL_UNARY_CLIP = 3, /* p2 low, p3 high */
  KEEL_UNARY_EXP = 4,
  KEEL_UNARY_GELU = 5,
  KEEL_UNARY_GELU_TANH = 6,
  KEEL_UNARY_NEG = 7,
  KEEL_UNARY_ABS = 8,
  KEEL_UNARY_SQRT = 9,
  KEEL_UNARY_ERF = 10,
  KEEL_UNARY_ROUND = 11, /* half to even */
  KEEL_UNARY_LOG = 12,
  KEEL_UNARY_LEAKY = 13, /* p2 slope */
  KEEL_UNARY_AFFINE = 14, /* p2 scale, p3 offset */
  KEEL_UNARY_KNOWN = 15,  /* p2 in place of NaN */
};

enum {
  KEEL_BINARY_ADD = 0,
  KEEL_BINARY_SUB = 1,
  KEEL_BINARY_MUL = 2,
  KEEL_BINARY_DIV = 3,
  KEEL_BINARY_MIN = 4,
  KEEL_BINARY_MAX = 5,
  KEEL_BINARY_EQUAL = 6, /* 1 where it holds, 0 where not */
  KEEL_BINARY_LESS = 7,
  KEEL_BINARY_GREATER = 8,
};

enum { KEEL_REDUCE_SUM = 0, KEEL_REDUCE_MEAN = 1, KEEL_REDUCE_MAX = 2 };

/* Rows that go through an instruction together; the arena holds this many. */
#define KEEL_STEP_BLOCK 8

/* Outputs of a dense layer whose weights lie together: [group][k][up to 64]. */
#define KEEL_DENSE_GROUP 64
#define KEEL_DENSE_PANEL 16

/* All a run needs. Laid out by src/inference/cpu/program.ts as 64-bit pointers, then 32-bit integers. */
typedef struct {
  const int32_t *program;
  const float *constants;
  float *arena;
  const float *features;
  const int32_t *slots;
  float *probabilities;
  float *states;
  /* Pairs of words for each state: source in the arena, offset in the slot's state; then its length. */
  const int32_t *state_moves;
  int32_t instruction_count;
  int32_t row_floats;
  int32_t feature_count;
  int32_t head_count;
  int32_t probabilities_at;
  int32_t slot_floats;
  int32_t slot_count;
  int32_t batch_max;
  int32_t move_count;
  int32_t isa;
} keel_step;

/*
 * Advances `count` rows by one event: reads features and slots, writes probabilities, replaces the slots' states.
 * Returns 0; -1 when count is out of range; 1 + row when that row's slot is out of range. Nothing is changed on failure.
 */
KEEL_EXPORT int32_t keel_step_run(const keel_step *step, int32_t count);

#endif
