/*
 * A sample reader: prints every update, one line each, until the desk stops or dies.
 *
 *   cc -O2 -o keel_shm_tail keel_shm_tail.c && ./keel_shm_tail /dev/shm/keel
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <time.h>

#include "keel_shm.h"

/* A writer that has not shown life for so long is taken for dead. */
#define DEAD_US 1e6

static double now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static const char *or_unknown(const char *name) { return name == NULL ? "?" : name; }

static void print(const keel_shm *shm, const keel_shm_record *record) {
  uint32_t subject = record->subject;
  if (record->kind == KEEL_SHM_CANCEL_ALL) {
    printf("%.0f cancel all\n", record->time_us);
  } else if (record->kind == KEEL_SHM_QUOTE) {
    printf("%.0f quote %s %g x %g / %g x %g\n", record->time_us, or_unknown(keel_shm_instrument(shm, subject)),
           record->as.quote.bid_size, record->as.quote.bid_price, record->as.quote.ask_price,
           record->as.quote.ask_size);
  } else {
    printf("%.0f prediction %s status %u", record->time_us, or_unknown(keel_shm_underlying(shm, subject)),
           record->as.prediction.status);
    for (uint32_t head = 0; head < keel_shm_head(shm)->heads; head++) {
      printf(" %s %.4f", or_unknown(keel_shm_head_name(shm, head)), (double)record->as.prediction.probabilities[head]);
    }
    printf("\n");
  }
}

int main(int count, char **arguments) {
  keel_shm shm;
  keel_shm_record record;
  if (count != 2 || keel_shm_open(&shm, arguments[1]) != 0) {
    fprintf(stderr, "usage: %s /dev/shm/NAME, where keel runs with KEEL_SHM=NAME\n", arguments[0]);
    return 1;
  }
  fprintf(stderr, "reading from %.48s\n", keel_shm_head(&shm)->model);
  const struct timespec pause = {0, 1000000};
  for (;;) {
    int stopped = __atomic_load_n(&keel_shm_head(&shm)->state, __ATOMIC_ACQUIRE) == KEEL_SHM_STOPPED;
    while (keel_shm_next(&shm, &record)) print(&shm, &record);
    fflush(stdout);
    if (stopped) break;
    if (now_us() - keel_shm_head(&shm)->heartbeat_us > DEAD_US && keel_shm_head(&shm)->heartbeat_us > 0) {
      fprintf(stderr, "the desk shows no life\n");
      return 2;
    }
    nanosleep(&pause, NULL);
  }
  if (shm.lost > 0) fprintf(stderr, "%llu updates were lost\n", (unsigned long long)shm.lost);
  keel_shm_close(&shm);
  return 0;
}
