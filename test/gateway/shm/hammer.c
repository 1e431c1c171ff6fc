/* Reads the shared memory as fast as it can and checks that no record is torn: all fields of a quote follow from its id. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>

#include "../../../ffi/include/keel_shm.h"

static int torn(const keel_shm_record *record) {
  if (record->kind != KEEL_SHM_QUOTE) return 1;
  double id = record->as.quote.quote_id;
  return record->time_us != id || record->as.quote.bid_price != id || record->as.quote.ask_price != id + 1 ||
         record->as.quote.bid_size != id || record->as.quote.ask_size != id || record->as.quote.fair != id ||
         record->as.quote.widen_bp != id || record->as.quote.size_factor != id ||
         record->as.quote.reasons != (uint32_t)id;
}

int main(int count, char **arguments) {
  keel_shm shm;
  keel_shm_record record;
  unsigned long long reads = 0, updates = 0, bad = 0, unordered = 0;
  double latest = 0, previous = 0;
  if (count != 2 || keel_shm_open(&shm, arguments[1]) != 0) return 1;
  puts("ready");
  fflush(stdout);
  while (__atomic_load_n(&keel_shm_head(&shm)->state, __ATOMIC_ACQUIRE) != KEEL_SHM_STOPPED) {
    if (keel_shm_quote(&shm, 0, &record)) {
      reads++;
      bad += (unsigned)torn(&record);
      unordered += record.as.quote.quote_id < latest;
      latest = record.as.quote.quote_id;
    }
    while (keel_shm_next(&shm, &record)) {
      updates++;
      bad += (unsigned)torn(&record);
      unordered += record.as.quote.quote_id <= previous;
      previous = record.as.quote.quote_id;
    }
  }
  printf("{\"reads\":%llu,\"updates\":%llu,\"lost\":%llu,\"torn\":%llu,\"unordered\":%llu}\n", reads, updates,
         (unsigned long long)shm.lost, bad, unordered);
  return 0;
}
