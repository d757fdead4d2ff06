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

inline size_t add_candidates(Candidates* candidates, const float* distances, uint32_t* slots, size_t n) {
  Candidates& to = *candidates;
  const uint64_t limit = to.size == to.most && to.keys[to.most - 1] < to.limit ? to.keys[to.most - 1] : to.limit;
  size_t taken = 0;
  for (size_t i = 0; i < n; i++) {
    const uint64_t key = pool_key(distances[i], slots[i]);
    if (key > limit) continue;
    slots[taken++] = slots[i];
    const size_t place = pool_insert(to.keys, &to.size, to.most, key);
    if (place < to.next) to.next = place;
  }
  return taken;
}

inline size_t count_within(const uint64_t* keys, size_t n, uint64_t key) {
  const uint64_t* first = keys;
  for (; n > 1; n -= n / 2) first += (first[n / 2 - 1] <= key) * (n / 2);
  return static_cast<size_t>(first - keys) + (n == 1 && *first <= key);
}
