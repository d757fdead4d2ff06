// Walking a graph: greedy descent through the upper layers, best-first search in one layer.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#include "base/buffer.h"
#include "base/prefetch.h"
#include "index/hnsw_graph.h"
#include "kernels/dispatch.h"

namespace annex {

/// Which nodes a walk has seen: a bitmap of all, or in a large graph a table, which stays in the cache where the
/// bitmaps of several walks would not. Of a table that is half full the bitmap takes over. A large bitmap is cleared
/// word by word, where few were written.
class Visited {
 public:
  /// `most`: nodes that a walk sees, or somewhat more; `alone`: no others go on in turns with it.
  [[nodiscard]] bool prepare(size_t nodes, size_t most, bool alone) {
    used_ = nodes / 64 + 1;
    if (words_.size() < used_ && !words_.resize_zeroed(std::max(used_, words_.size() * 2))) return false;
    few_ = used_ < kLarge ? 0 : used_ / 4;
    if (written_.size() < few_ && !written_.resize(words_.size() / 4)) return false;
    uint32_t bits = kLeastBits;
    while (bits < 31 && size_t{1} << bits < most) ++bits;
    const size_t places = size_t{1} << bits;
    const bool worth = places * sizeof(uint32_t) * (alone ? kWorthAlone : 1) <= nodes / 8;
    most_ = worth ? places / 2 : 0;
    if (worth && (table_.slots == nullptr || table_.shift != 32 - bits)) {
      if (slots_.size() < places && !slots_.resize(places)) return false;
      table_ = {slots_.data(), 32 - bits};
      wipe_table();
    }
    by_bits_ = !worth;
    return true;
  }
  /// True when the node is new.
  bool add(uint32_t slot) {
    if (!by_bits_ && count_ == most_) spill();
    if (by_bits_) {
      uint64_t& word = words_[slot / 64];
      const uint64_t bit = uint64_t{1} << (slot % 64);
      const bool fresh = (word & bit) == 0;
      word |= bit;
      if (fresh) note(&slot, 1);
      return fresh;
    }
    uint32_t& place = table_.slots[table_.find(slot, table_.hash(slot))];
    const bool fresh = place != slot;
    place = slot;
    count_ += fresh;
    return fresh;
  }
  /// Copies those of a list's slots that are new to `fresh`, which has room for one more; returns how many.
  size_t add_links(const WalkKernels& kernels, const LinkList& list, uint32_t* fresh) {
    if (!by_bits_ && count_ + list.room > most_) spill();
    if (by_bits_) {
      const size_t n = kernels.take_unseen(words_.data(), list, fresh);
      note(fresh, n);
      return n;
    }
    const size_t n = kernels.take_unlisted(table_, list, fresh);
    count_ += n;
    return n;
  }
  void clear() {
    if (!by_bits_) {
      wipe_table();
    } else if (noted_ > few_) {
      std::fill_n(words_.data(), used_, uint64_t{0});
    } else {
      for (size_t i = 0; i < noted_; ++i) words_[written_[i] / 64] = 0;
    }
    count_ = noted_ = 0;
    by_bits_ = most_ == 0;
  }

 private:
  static constexpr uint32_t kLeastBits = 12;  // 16 KiB
  // A bitmap not so many times as large as a table stays in the second-level cache, and is faster than the table there.
  static constexpr size_t kWorthAlone = 8;
  static constexpr size_t kLarge = 4096;  // words: as much as the first-level cache

  void note(const uint32_t* slots, size_t n) {
    if (noted_ + n <= few_) std::copy_n(slots, n, written_.data() + noted_);
    noted_ += n;
  }
  void wipe_table() { std::fill_n(table_.slots, table_.places(), kNoLink); }
  // The table is half full: on with bits.
  void spill() {
    by_bits_ = true;
    for (uint32_t i = 0; i < table_.places(); ++i) {
      const uint32_t slot = table_.slots[i];
      if (slot != kNoLink) words_[slot / 64] |= uint64_t{1} << (slot % 64);
    }
    noted_ = used_;  // not few
    wipe_table();
  }

  Buffer<uint64_t> words_;      // clear but where by_bits_
  size_t used_ = 0;             // of these
  Buffer<uint32_t> written_;    // slots whose bits were set, as long as they are few
  size_t noted_ = 0, few_ = 0;  // how many were set; how many are few
  Buffer<uint32_t> slots_;
  SlotTable table_{};
  size_t count_ = 0, most_ = 0;  // slots in the table
  bool by_bits_ = true;
};

/// Which candidates a walk expands, and keeps in its pool.
struct Reach {
  size_t most;   // expanded at most
  size_t least;  // so many, however far they are; beyond, those within `ratio` times the distance of that in `place`
  size_t place = 0;  // less than `least`
  float ratio = std::numeric_limits<float>::infinity();
  float offset = 0;  // added to distances makes them at least zero
  size_t more = 0;   // kept behind those that are expanded

  /// The nearest `ef`.
  static Reach nearest(size_t ef) { return {ef, ef}; }
  /// Candidates that a pool has to have room for.
  size_t room() const { return most + more; }
  /// The greatest key that is expanded in a pool which holds these.
  uint64_t limit(const uint64_t* pool, size_t size) const {
    if (size <= least) return UINT64_MAX;
    const float distance = std::max(0.0f, key_distance(pool[place]) + offset);
    return std::max(pool[least - 1], pool_key(distance * ratio - offset, kSlotMask));
  }
  /// Drops what is not kept from the end of a pool, and says how many of its first are to be expanded.
  void trim(const WalkKernels& kernels, Candidates* pool, size_t* expanded) const {
    if (pool->size <= least) {
      *expanded = pool->size;
      pool->limit = UINT64_MAX;
      return;
    }
    const uint64_t greatest = limit(pool->keys, pool->size);
    const size_t ends = kernels.count_within(pool->keys, std::min(pool->size, most), greatest);
    *expanded = ends;
    const size_t kept = ends + more;
    pool->limit = pool->size < kept ? UINT64_MAX : std::max(greatest, pool->keys[kept - 1]);
    pool->size = std::min(pool->size, kept);
    pool->next = std::min(pool->next, pool->size);
  }
};

/// After how many further expansions the distances of a node's neighbors come to a walk. What is asked for from memory
/// has so long to arrive; a walk expands a few nodes more for it, and finds a little more.
inline constexpr size_t kLate = 2;

/// What one thread needs for walks; kept from one to the next, so that a query allocates nothing.
struct WalkMemory {
  Visited visited;
  Buffer<uint64_t> pool;     // the best so far, ascending
  Buffer<uint32_t> slots;    // of the expansions whose distances are to come, and of one more
  Buffer<const void*> rows;  // where those are
  Buffer<float> distances;   // of one
  uint64_t hops = 0, scored = 0;

  /// `room`: links of a list at most; `alone`: no other walk goes on in turns with this one.
  [[nodiscard]] bool prepare(size_t nodes, size_t ef, size_t room, bool alone = true) {
    return visited.prepare(nodes, ef * room, alone) &&
           (pool.size() >= candidates_room(ef) || pool.resize(candidates_room(ef))) &&
           (distances.size() >= room ||
            (slots.resize((kLate + 1) * (room + 1)) && rows.resize((kLate + 1) * room) && distances.resize(room)));
  }
};

inline void prefetch_list(const LinkList& list) { prefetch_bytes(list.links, list.bytes()); }
inline void load_list(const LinkList& list) {
  const void* links = list.links;
  load_lines(&links, 1, list.bytes());
}

/// Marks the next candidate as expanded; returns its slot.
inline uint32_t expand_next(Candidates* pool) {
  const uint32_t slot = key_slot(pool->keys[pool->next]);
  pool->keys[pool->next++] |= 1;
  while (pool->next < pool->size && (pool->keys[pool->next] & 1) != 0) ++pool->next;
  return slot;
}

/// From `key` to the node next to the query in each layer from `from` down to `to`, one neighbor at a time. All of them
/// are above the bottom.
template <class Space, class Graph>
uint64_t descend(const Space& space, const Graph& graph, WalkMemory& memory, uint64_t key, int from, int to) {
  const WalkKernels& walk = kernels().walk;
  for (int layer = from; layer >= to; --layer) {
    for (bool moved = true; moved;) {
      moved = false;
      const uint32_t* links = graph.list(key_slot(key), layer).words();
      const size_t n = walk.count_links(links, graph.room(layer));
      space.ask(links, n, memory.rows.data());
      space.load_asked(memory.rows.data(), n);
      space.score_asked(links, memory.rows.data(), n, memory.distances.data());
      memory.scored += n;
      ++memory.hops;
      const uint64_t other = walk.nearest_key(memory.distances.data(), links, n);
      moved = other < key;
      key = std::min(key, other);
    }
  }
  return key;
}

/// Best-first search of one layer, one expansion a step.
template <class Space, class Graph>
class LayerWalk {
 public:
  LayerWalk(const Space& space, const Graph& graph, WalkMemory& memory)
      : kernels_(kernels().walk), space_(space), graph_(graph), memory_(memory) {}

  /// From the `size` ascending keys that the pool holds.
  void start(int layer, const Reach& reach, size_t size) {
    reach_ = reach;
    pool_ = {memory_.pool.data(), size, reach.room(), UINT64_MAX, 0};
    expanded_ = size;
    expansions_ = 0;
    layer_ = layer;
    room_ = graph_.room(layer);
    at_ = waiting_ = 0;
    for (size_t i = 0; i <= kLate; ++i) {
      lists_[i] = {memory_.slots.data() + i * (room_ + 1), memory_.rows.data() + i * room_, 0, true};
    }
    for (size_t i = 0; i < size; ++i) memory_.visited.add(key_slot(pool_.keys[i]));
  }
  /// The next step; false where there was none left: then the pool is complete.
  bool step() {
    if (pool_.next >= expanded_ && waiting_ == 0) {
      memory_.visited.clear();
      return false;
    }
    const bool expands = pool_.next < expanded_;
    LinkList links{};
    if (expands) links = graph_.list(expand_next(&pool_), layer_);
    List& fresh = lists_[at_];
    at_ = at_ == kLate ? 0 : at_ + 1;
    List& oldest = lists_[at_];
    if constexpr (!kPrefetchWorks) {
      if (!oldest.loaded) load_ahead(links);
    }
    float* distances = memory_.distances.data();
    space_.score_asked(oldest.slots, oldest.rows, oldest.count, distances);
    if (expands) {
      fresh.count = memory_.visited.add_links(kernels_, links, fresh.slots);
      space_.ask(fresh.slots, fresh.count, fresh.rows);
      fresh.loaded = fresh.count == 0;
      waiting_ += fresh.count;
      memory_.scored += fresh.count;
      ++memory_.hops;
      ++expansions_;
    }
    kernels_.add_candidates(&pool_, distances, oldest.slots, oldest.count);
    waiting_ -= oldest.count;
    oldest.count = 0;
    reach_.trim(kernels_, &pool_, &expanded_);
    return true;
  }
  /// Asks for the links of the candidate that is expanded next.
  void ask_for_next() const {
    if (pool_.next < expanded_) ask_for_links(pool_.next);
  }
  /// The same, and for those of the one after it.
  void ask_for_next_two() const {
    ask_for_next();
    for (size_t i = pool_.next + 1; i < expanded_; ++i) {
      if ((pool_.keys[i] & 1) == 0) return ask_for_links(i);
    }
  }
  size_t found() const { return pool_.size; }
  size_t expansions() const { return expansions_; }
  /// Instead of further steps.
  void abandon() { memory_.visited.clear(); }

 private:
  // New neighbors of one node. There is room for one more: a place that is written in vain.
  struct List {
    uint32_t* slots;
    const void** rows;
    size_t count;
    bool loaded;  // or there was no need to
  };
  // Where memory cannot be asked for: the links of the node that is being expanded, if one is, and of the one after it,
  // and the rows of all lists; so that is once in kLate steps.
  void load_ahead(const LinkList& expanding) {
    const void* links[2];
    size_t n = 0;
    if (expanding.links != nullptr) links[n++] = expanding.links;
    if (pool_.next < expanded_) links[n++] = graph_.list(key_slot(pool_.keys[pool_.next]), layer_).links;
    load_lines(links, n, expanding.bytes());
    for (List& list : lists_) {
      if (!list.loaded) space_.load_asked(list.rows, list.count);
      list.loaded = true;
    }
  }
  void ask_for_links(size_t place) const { prefetch_list(graph_.list(key_slot(pool_.keys[place]), layer_)); }

  const WalkKernels& kernels_;
  const Space& space_;
  const Graph& graph_;
  WalkMemory& memory_;
  Reach reach_{};
  Candidates pool_{};
  size_t expanded_ = 0;  // so many of its first are, or are to be
  int layer_ = 0;
  size_t room_ = 0;
  List lists_[kLate + 1];  // in turn; the one at `at_` is the next to be filled
  size_t at_ = 0;
  size_t waiting_ = 0;  // rows in all lists
  size_t expansions_ = 0;
};

/// Best-first search of one layer from the `size` ascending keys that the pool holds; returns how many it holds then.
template <class Space, class Graph>
size_t search_layer(const Space& space, const Graph& graph, WalkMemory& memory, int layer, const Reach& reach,
                    size_t size) {
  LayerWalk walk(space, graph, memory);
  walk.start(layer, reach, size);
  while (walk.step()) {
    if constexpr (kPrefetchWorks) walk.ask_for_next_two();  // a step is too short a time for the links to come
  }
  return walk.found();
}

/// One of several walks that go on in turns on one thread: each step asks for the memory that the next one reads, and
/// while it comes, the others take theirs. So a batch of queries waits for memory hardly at all.
template <class Space, class Graph>
class LaneWalk {
 public:
  LaneWalk(Space& space, const Graph& graph, WalkMemory& memory)
      : kernels_(kernels().walk), space_(space), graph_(graph), memory_(memory), bottom_(space, graph, memory) {}

  void start(uint32_t entry, int top, const Reach& reach) {
    space_.score(&entry, 1, memory_.distances.data());
    best_ = pool_key(memory_.distances[0], entry);
    layer_ = top;
    reach_ = reach;
    enter();
  }
  /// The next step; false when the pool is complete.
  bool advance() {
    switch (at_) {
      case At::links: return take_links();
      case At::rows: return descend();
      default: break;
    }
    const bool more = bottom_.step();
    bottom_.ask_for_next();
    return more;
  }
  size_t found() const { return bottom_.found(); }
  /// In the bottom layer.
  size_t expansions() const { return at_ == At::bottom ? bottom_.expansions() : 0; }
  /// Instead of further steps.
  void abandon() { bottom_.abandon(); }

 private:
  enum class At { links, rows, bottom };

  void enter() {
    if (layer_ == 0) {
      at_ = At::bottom;
      memory_.pool[0] = best_;
      bottom_.start(0, reach_, 1);
      bottom_.ask_for_next();
    } else {
      at_ = At::links;
      prefetch_list(graph_.list(key_slot(best_), layer_));
    }
  }
  bool take_links() {
    links_ = graph_.list(key_slot(best_), layer_).words();
    count_ = kernels_.count_links(links_, graph_.room(layer_));
    space_.ask(links_, count_, memory_.rows.data());
    at_ = At::rows;
    return true;
  }
  bool descend() {
    float* distances = memory_.distances.data();
    space_.score_asked(links_, memory_.rows.data(), count_, distances);
    memory_.scored += count_;
    ++memory_.hops;
    const uint64_t near = kernels_.nearest_key(distances, links_, count_);
    if (near >= best_) --layer_;
    best_ = std::min(best_, near);
    enter();
    return true;
  }

  const WalkKernels& kernels_;
  Space& space_;
  const Graph& graph_;
  WalkMemory& memory_;
  At at_ = At::links;
  uint64_t best_ = 0;
  int layer_ = 0;
  const uint32_t* links_ = nullptr;
  size_t count_ = 0;
  Reach reach_{};
  LayerWalk<Space, Graph> bottom_;
};

}  // namespace annex
