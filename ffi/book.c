#include "book.h"

#include <stdbool.h>
#include <string.h>

#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

static int32_t lowest_bit(uint32_t word) { return __builtin_ctz(word); }

/* `HierarchicalBitmap.next`: the smallest member at or after `from`, or -1. */
static int32_t next_member(const keel_ladder *l, int32_t from) {
  int32_t word = from >> 5;
  const uint32_t here = l->leaf[word] & (~0u << (from & 31));
  if (here != 0) return (word << 5) + lowest_bit(here);
  const int32_t leaves = l->window >> 5, middles = (leaves + 31) >> 5, roots = (middles + 31) >> 5;
  word += 1;
  int32_t middle = word >> 5;
  if (middle >= middles) return -1;
  const uint32_t near = l->middle[middle] & (~0u << (word & 31));
  if (near != 0) {
    word = (middle << 5) + lowest_bit(near);
    return (word << 5) + lowest_bit(l->leaf[word]);
  }
  middle += 1;
  int32_t root = middle >> 5;
  if (root >= roots) return -1;
  uint32_t summary = l->root[root] & (~0u << (middle & 31));
  while (summary == 0) {
    root += 1;
    if (root == roots) return -1;
    summary = l->root[root];
  }
  middle = (root << 5) + lowest_bit(summary);
  word = (middle << 5) + lowest_bit(l->middle[middle]);
  return (word << 5) + lowest_bit(l->leaf[word]);
}

static void add_member(keel_ladder *l, int32_t bit) {
  const int32_t word = bit >> 5;
  l->leaf[word] |= 1u << (bit & 31);
  l->middle[word >> 5] |= 1u << (word & 31);
  l->root[word >> 10] |= 1u << ((word >> 5) & 31);
}

static void delete_member(keel_ladder *l, int32_t bit) {
  const int32_t word = bit >> 5;
  l->leaf[word] &= ~(1u << (bit & 31));
  if (l->leaf[word] != 0) return;
  const int32_t middle = word >> 5;
  l->middle[middle] &= ~(1u << (word & 31));
  if (l->middle[middle] != 0) return;
  l->root[middle >> 5] &= ~(1u << (middle & 31));
}

/* The smallest key at or after `key` in the window, or KEEL_NO_KEY. */
static int32_t next_in_window(const keel_ladder *l, int64_t key) {
  if (key - l->base >= l->window) return KEEL_NO_KEY;
  const int32_t mask = l->window - 1;
  int32_t slot = next_member(l, (int32_t)(key & mask));
  if (slot < 0) slot = next_member(l, 0);
  if (slot < 0) return KEEL_NO_KEY;
  const int64_t found = (int64_t)l->base + ((slot - l->base) & mask);
  return found >= key ? (int32_t)found : KEEL_NO_KEY;
}

/* Index of the first far key that is not above `key`. */
static int32_t far_index(const keel_ladder *l, int64_t key) {
  int32_t low = 0, high = l->far_count;
  while (low < high) {
    const int32_t middle = (low + high) >> 1;
    if (l->far_keys[middle] > key) low = middle + 1;
    else high = middle;
  }
  return low;
}

static void move_far(keel_ladder *l, int32_t to, int32_t from) {
  const size_t rest = (size_t)(l->far_count - from);
  memmove(l->far_keys + to, l->far_keys + from, rest * sizeof *l->far_keys);
  memmove(l->far_sizes + to, l->far_sizes + from, rest * sizeof *l->far_sizes);
}

/* @returns false when there is no room. */
static bool set_far(keel_ladder *l, int32_t key, double size) {
  const int32_t at = far_index(l, key);
  if (at < l->far_count && l->far_keys[at] == key) {
    if (size > 0) {
      l->far_sizes[at] = size;
      return true;
    }
    move_far(l, at, at + 1);
    l->far_count -= 1;
  } else if (size > 0) {
    if (l->far_count == l->far_capacity) return false;
    move_far(l, at + 1, at);
    l->far_keys[at] = key;
    l->far_sizes[at] = size;
    l->far_count += 1;
  }
  return true;
}

/* @returns false, and changes nothing, when the window would have to move or there is no room. */
static bool set_level(keel_ladder *l, int32_t key, double size) {
  if (UNLIKELY(l->best == KEEL_NO_KEY)) return !(size > 0);
  const int64_t offset = (int64_t)key - l->base;
  if (UNLIKELY(offset < 0)) return !(size > 0);
  if (offset >= l->window) return set_far(l, key, size);
  const int32_t slot = key & (l->window - 1);
  const bool was = l->sizes[slot] > 0;
  if (size > 0) {
    l->sizes[slot] = size;
    if (was) return true;
    add_member(l, slot);
    l->count += 1;
    if (key < l->best) l->best = key;
    return true;
  }
  if (was) {
    if (key == l->best) {
      const int32_t next = next_in_window(l, (int64_t)key + 1);
      if (next == KEEL_NO_KEY ? l->far_count > 0 : (int64_t)next - l->base > l->window >> 1) return false;
      l->best = next;
    }
    delete_member(l, slot);
    l->count -= 1;
  }
  l->sizes[slot] = size;
  return true;
}

/* A window is larger than the nearest caches: this many levels ahead, what will be looked at is asked for. */
#define LEVELS_AHEAD 8

static void ask_ahead(const keel_book *book, const keel_levels *levels, int32_t i) {
  const bool is_bid = levels->side[i] == 0;
  const keel_ladder *const l = is_bid ? &book->bids : &book->asks;
  const int32_t price = levels->price_ticks[i];
  __builtin_prefetch(l->sizes + ((is_bid ? -price : price) & (l->window - 1)), 1);
}

int32_t keel_book_delta(keel_book *book, const keel_levels *levels, int32_t from, int32_t to) {
  for (int32_t i = from; i < to; i += 1) {
    if (i + LEVELS_AHEAD < to) ask_ahead(book, levels, i + LEVELS_AHEAD);
    const bool is_bid = levels->side[i] == 0;
    keel_ladder *const ladder = is_bid ? &book->bids : &book->asks;
    const int32_t price = levels->price_ticks[i];
    if (UNLIKELY(!set_level(ladder, is_bid ? -price : price, levels->size_lots[i]))) return i;
  }
  return to;
}

int32_t keel_ladder_top(const keel_ladder *l, int32_t depth, int32_t sign, int32_t *price_ticks, double *size_lots) {
  const int32_t mask = l->window - 1;
  const int32_t near = l->count < depth ? l->count : depth;
  int32_t copied = 0;
  /* Levels stand close together: one word of the bitmap tells several. Slots behind the window's last one begin anew at 0. */
  for (int32_t slot = l->best & mask; copied < near && slot >= 0;) {
    const int32_t start = slot & ~31;
    for (uint32_t bits = l->leaf[slot >> 5] & (~0u << (slot & 31)); bits != 0 && copied < near; bits &= bits - 1) {
      const int32_t at = start + lowest_bit(bits);
      price_ticks[copied] = (l->base + ((at - l->base) & mask)) * sign;
      size_lots[copied] = l->sizes[at];
      copied += 1;
    }
    slot = start + 32 < l->window ? next_member(l, start + 32) : -1;
    if (slot < 0) slot = next_member(l, 0);
  }
  for (int32_t i = l->far_count - 1; copied < depth && i >= 0; i -= 1) {
    price_ticks[copied] = l->far_keys[i] * sign;
    size_lots[copied] = l->far_sizes[i];
    copied += 1;
  }
  return copied;
}
