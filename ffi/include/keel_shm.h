/*
 * Reads keel's shared memory: the latest prediction and quote of each instrument, and a ring of all updates.
 *
 * Plain C11 with GCC's or Clang's atomic builtins, nothing to link. The memory is mapped read-only; reading neither blocks the
 * writer nor waits for it, except that a copy is taken again when it was torn. A record is guarded by a seqlock in its first
 * word. The layout's version is checked by keel_shm_open.
 */
#ifndef KEEL_SHM_H
#define KEEL_SHM_H

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEEL_SHM_VERSION 1u
#define KEEL_SHM_HEADS 14
#define KEEL_SHM_NAME_BYTES 64

enum { KEEL_SHM_STARTING = 0, KEEL_SHM_RUNNING = 1, KEEL_SHM_STOPPED = 2 };
enum { KEEL_SHM_QUOTE = 1, KEEL_SHM_PREDICTION = 2, KEEL_SHM_CANCEL_ALL = 3 };

typedef struct {
  char magic[8]; /* KEELSHM1 */
  uint32_t version;
  uint32_t header_bytes;
  uint32_t instrument_capacity;
  uint32_t underlying_capacity;
  uint32_t ring_capacity; /* a power of two */
  uint32_t record_bytes;
  uint32_t instruments_offset;
  uint32_t underlyings_offset;
  uint32_t heads_offset;
  uint32_t quotes_offset;
  uint32_t predictions_offset;
  uint32_t ring_offset;
  uint32_t heads; /* of the model in use */
  uint32_t pid;
  char schema_hash[16];
  char model[48];
  uint32_t state; /* KEEL_SHM_STARTING … */
  uint32_t instrument_count;
  uint32_t underlying_count;
  uint32_t reserved;
  double heartbeat_us; /* µs since the epoch; rises about every 10 ms while the writer lives */
  char padding[40];
  uint32_t ring_head; /* number of the next update, modulo 2^32 */
  char padding_2[60];
} keel_shm_header;

/* A side that is not quoted has price NaN and size 0. */
typedef struct {
  uint32_t sequence;
  uint32_t subject; /* instrument of a quote, underlying of a prediction */
  double time_us;
  union {
    struct {
      double quote_id;
      double bid_price;
      double ask_price;
      double bid_size;
      double ask_size;
      double fair;
      double widen_bp;
      double size_factor;
      uint32_t reasons;
    } quote;
    struct {
      uint32_t status; /* why it is not in force, 0 when it is */
      char padding[44];
      float probabilities[KEEL_SHM_HEADS]; /* NaN while there is none */
    } prediction;
    char bytes[104];
  } as;
  uint32_t kind; /* KEEL_SHM_QUOTE …; 0 = never written */
  uint32_t reserved;
} keel_shm_record;

_Static_assert(sizeof(keel_shm_header) == 256, "header layout");
_Static_assert(sizeof(keel_shm_record) == 128, "record layout");

typedef struct {
  const unsigned char *memory;
  size_t bytes;
  uint32_t next; /* number of the ring's update to read next */
  uint64_t lost; /* updates overwritten before they were read */
} keel_shm;

static inline const keel_shm_header *keel_shm_head(const keel_shm *shm) {
  return (const keel_shm_header *)shm->memory;
}

/* Path is /dev/shm/NAME. Returns 0, or -1 when it is not there, not readable or of another layout. */
static inline int keel_shm_open(keel_shm *shm, const char *path) {
  struct stat status;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  if (fstat(file, &status) != 0 || (size_t)status.st_size < sizeof(keel_shm_header)) {
    close(file);
    return -1;
  }
  shm->bytes = (size_t)status.st_size;
  void *memory = mmap(NULL, shm->bytes, PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (memory == MAP_FAILED) return -1;
  shm->memory = (const unsigned char *)memory;
  const keel_shm_header *header = keel_shm_head(shm);
  if (memcmp(header->magic, "KEELSHM1", 8) != 0 || header->version != KEEL_SHM_VERSION) {
    munmap(memory, shm->bytes);
    return -1;
  }
  shm->next = __atomic_load_n(&header->ring_head, __ATOMIC_ACQUIRE);
  shm->lost = 0;
  return 0;
}

static inline void keel_shm_close(keel_shm *shm) { munmap((void *)(uintptr_t)shm->memory, shm->bytes); }

static inline uint32_t keel_shm_copy(const keel_shm_record *from, keel_shm_record *to) {
  const uint32_t *source = (const uint32_t *)from;
  uint32_t words[32];
  words[0] = __atomic_load_n(&source[0], __ATOMIC_ACQUIRE);
  for (int word = 1; word < 32; word++) words[word] = __atomic_load_n(&source[word], __ATOMIC_RELAXED);
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  uint32_t after = __atomic_load_n(&source[0], __ATOMIC_RELAXED);
  memcpy(to, words, sizeof(words));
  return after;
}

static inline int keel_shm_latest(const keel_shm *shm, uint32_t offset, uint32_t number, keel_shm_record *to) {
  const keel_shm_record *record = (const keel_shm_record *)(shm->memory + offset) + number;
  for (;;) {
    uint32_t after = keel_shm_copy(record, to);
    if (to->sequence == after && (after & 1u) == 0) return to->kind != 0;
  }
}

/* Latest quote of an instrument. Returns 1, or 0 when there never was one. */
static inline int keel_shm_quote(const keel_shm *shm, uint32_t instrument, keel_shm_record *to) {
  const keel_shm_header *header = keel_shm_head(shm);
  if (instrument >= header->instrument_capacity) return 0;
  return keel_shm_latest(shm, header->quotes_offset, instrument, to);
}

/* Latest prediction of an underlying. Returns 1, or 0 when there never was one. */
static inline int keel_shm_prediction(const keel_shm *shm, uint32_t underlying, keel_shm_record *to) {
  const keel_shm_header *header = keel_shm_head(shm);
  if (underlying >= header->underlying_capacity) return 0;
  return keel_shm_latest(shm, header->predictions_offset, underlying, to);
}

/* The next update, in order. Returns 1, or 0 when there is none yet. What was overwritten before is counted in shm->lost. */
static inline int keel_shm_next(keel_shm *shm, keel_shm_record *to) {
  const keel_shm_header *header = keel_shm_head(shm);
  const keel_shm_record *ring = (const keel_shm_record *)(shm->memory + header->ring_offset);
  for (;;) {
    const keel_shm_record *slot = ring + (shm->next & (header->ring_capacity - 1));
    uint32_t expected = shm->next * 2u + 2u;
    uint32_t after = keel_shm_copy(slot, to);
    if (to->sequence == expected && after == expected) {
      shm->next++;
      return 1;
    }
    if ((int32_t)(to->sequence - expected) < 0) return 0;
    uint32_t target = __atomic_load_n(&header->ring_head, __ATOMIC_ACQUIRE) - header->ring_capacity / 2;
    if ((int32_t)(target - shm->next) > 0) {
      shm->lost += target - shm->next;
      shm->next = target;
    }
  }
}

/* Name of an instrument ("venue:SYMBOL"), an underlying or a head; NULL where there is none. */
static inline const char *keel_shm_instrument(const keel_shm *shm, uint32_t number) {
  const keel_shm_header *header = keel_shm_head(shm);
  if (number >= __atomic_load_n(&header->instrument_count, __ATOMIC_ACQUIRE)) return NULL;
  return (const char *)shm->memory + header->instruments_offset + (size_t)number * KEEL_SHM_NAME_BYTES;
}

static inline const char *keel_shm_underlying(const keel_shm *shm, uint32_t number) {
  const keel_shm_header *header = keel_shm_head(shm);
  if (number >= __atomic_load_n(&header->underlying_count, __ATOMIC_ACQUIRE)) return NULL;
  return (const char *)shm->memory + header->underlyings_offset + (size_t)number * KEEL_SHM_NAME_BYTES;
}

static inline const char *keel_shm_head_name(const keel_shm *shm, uint32_t number) {
  const keel_shm_header *header = keel_shm_head(shm);
  if (number >= header->heads) return NULL;
  return (const char *)shm->memory + header->heads_offset + (size_t)number * KEEL_SHM_NAME_BYTES;
}

#endif
