// Walks without instructions of their own (kernels/walk.h). Included inside the namespace and region of the instruction
// set.
#include "kernels/walk_links.inl"

// The links of a list in four bytes each.
struct WideLinks {
  uint32_t room[1024];
  const uint32_t* links;

  explicit WideLinks(const LinkList& list) : links(list.words()) {
    if (!list.narrow) return;
    unpack_links(list.links, list.room, room);
    links = room;
  }
};

// Without branches on what is new, which would be hard to predict.
inline size_t take_unseen(uint64_t* seen, const LinkList& list, uint32_t* fresh) {
  const WideLinks wide(list);
  const uint32_t* links = wide.links;
  size_t n = 0;
  for (size_t i = 0; i < list.room && links[i] != kNoLink; i++) {
    const uint32_t slot = links[i] & kSlotMask;
    uint64_t& word = seen[slot / 64];
    fresh[n] = slot;
    n += ~(word >> (slot % 64)) & 1;
    word |= uint64_t{1} << (slot % 64);
  }
  return n;
}

inline size_t take_unlisted(const SlotTable& seen, const LinkList& list, uint32_t* fresh) {
  const WideLinks wide(list);
  const uint32_t* links = wide.links;
  size_t n = 0;
  for (size_t i = 0; i < list.room && links[i] != kNoLink; i++) {
    const uint32_t slot = links[i] & kSlotMask;
    uint32_t& place = seen.slots[seen.find(slot, seen.hash(slot))];
    fresh[n] = slot;
    n += place != slot;
    place = slot;
  }
  return n;
}

inline size_t count_links(const uint32_t* links, size_t room) {
  size_t n = 0;
  while (n < room && links[n] != kNoLink) n++;
  return n;
}

inline uint64_t nearest_key(const float* distances, const uint32_t* slots, size_t n) {
  uint64_t least = UINT64_MAX;
  for (size_t i = 0; i < n; i++) {
    const uint64_t key = pool_key(distances[i], slots[i]);
    least = key < least ? key : least;
  }
  return least;
}

// Puts n ascending keys into the pool, the greatest first, so that each key of the pool moves once.
inline void merge_keys(Candidates& to, const uint64_t* fresh, size_t n) {
  size_t end = to.size;  // those behind have moved, or fallen out
  to.size = to.size + n < to.most ? to.size + n : to.most;
  for (; n > 0; n--) {
    const size_t place = count_less(to.keys, end, fresh[n - 1]);
    const size_t kept = n < to.most ? to.most - n : 0;
    const size_t stop = end < kept ? end : kept;
    if (place < stop) move_keys(to.keys + place, stop - place, n);
    if (place + n <= to.most) to.keys[place + n - 1] = fresh[n - 1];
    end = place;
  }
  if (end < to.next) to.next = end;
}

inline void sort_few(uint64_t* keys, size_t n) {
  for (size_t i = 1; i < n; i++) {
    const uint64_t key = keys[i];
    size_t at = i;
    for (; at > 0 && keys[at - 1] > key; at--) keys[at] = keys[at - 1];
    keys[at] = key;
  }
}

inline size_t add_candidates(Candidates* candidates, const float* distances, uint32_t* slots, size_t n) {
  constexpr size_t kAtOnce = 32;
  Candidates& to = *candidates;
  const uint64_t limit = to.size == to.most && to.keys[to.most - 1] < to.limit ? to.keys[to.most - 1] : to.limit;
  size_t taken = 0;
  for (size_t i = 0; i < n;) {
    uint64_t fresh[kAtOnce];
    size_t count = 0;
    for (const size_t end = n - i < kAtOnce ? n : i + kAtOnce; i < end; i++) {
      const uint32_t slot = slots[i];
      slots[taken + count] = slot;
      fresh[count] = pool_key(distances[i], slot);
      count += fresh[count] <= limit;
    }
    taken += count;
    sort_few(fresh, count);
    merge_keys(to, fresh, count);
  }
  return taken;
}

inline size_t count_within(const uint64_t* keys, size_t n, uint64_t key) {
  const uint64_t* first = keys;
  for (; n > 1; n -= n / 2) first += (first[n / 2 - 1] <= key) * (n / 2);
  return static_cast<size_t>(first - keys) + (n == 1 && *first <= key);
}
