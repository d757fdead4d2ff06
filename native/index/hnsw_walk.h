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

/// Which nodes a walk has seen: a bitmap, wiped by undoing what was set.
class Visited {
 public:
  [[nodiscard]] bool prepare(size_t nodes) {
    const size_t words = nodes / 64 + 1;
    return words_.size() >= words || words_.resize_zeroed(std::max(words, words_.size() * 2));
  }
  /// True when the node is new.
  bool add(uint32_t slot) {
    uint64_t& word = words_[slot / 64];
    const uint64_t bit = uint64_t{1} << (slot % 64);
    if ((word & bit) != 0) return false;
    word |= bit;
    if (count_ < kRemembered) seen_[count_] = slot;
    ++count_;
    return true;
  }
  /// Copies those of a list's slots that are new to `fresh`, which has room for one more; returns how many.
  size_t add_links(const WalkKernels& kernels, const uint32_t* links, size_t room, uint32_t* fresh) {
    const size_t n = kernels.take_unseen(words_.data(), links, room, fresh);
    if (count_ + n <= kRemembered) std::copy_n(fresh, n, seen_ + count_);
    count_ += n;
    return n;
  }
  void clear() {
    if (count_ <= kRemembered) {
      for (size_t i = 0; i < count_; ++i) words_[seen_[i] / 64] = 0;
    } else {
      std::fill_n(words_.data(), words_.size(), uint64_t{0});
    }
    count_ = 0;
  }

 private:
  static constexpr size_t kRemembered = 8192;
  Buffer<uint64_t> words_;
  size_t count_ = 0;
  uint32_t seen_[kRemembered];
};

/// Which candidates a walk keeps in its pool, and expands.
struct Reach {
  size_t most;   // at most
  size_t least;  // so many, however far they are; beyond, those within `ratio` times the distance of that in `place`
  size_t place = 0;  // less than `least`
  float ratio = std::numeric_limits<float>::infinity();
  float offset = 0;  // added to distances makes them at least zero

  /// The nearest `ef`.
  static Reach nearest(size_t ef) { return {ef, ef}; }
  /// The greatest key that is kept by a pool which holds these.
  uint64_t limit(const uint64_t* pool, size_t size) const {
    if (size <= least) return UINT64_MAX;
    const float distance = std::max(0.0f, key_distance(pool[place]) + offset);
    return std::max(pool[least - 1], pool_key(distance * ratio - offset, kSlotMask));
  }
  /// Drops what is not kept from the end of a pool.
  void trim(Candidates* pool) const {
    pool->limit = limit(pool->keys, pool->size);
    while (pool->size > least && pool->keys[pool->size - 1] > pool->limit) --pool->size;
    pool->next = std::min(pool->next, pool->size);
  }
};

/// What one thread needs for walks; kept from one to the next, so that a query allocates nothing.
struct WalkMemory {
  Visited visited;
  Buffer<uint64_t> pool;    // the best so far, ascending
  Buffer<uint32_t> slots;   // of two expansions
  Buffer<float> distances;  // of those
  uint64_t hops = 0, scored = 0;

  /// `room`: links of a list at most.
  [[nodiscard]] bool prepare(size_t nodes, size_t ef, size_t room) {
    return visited.prepare(nodes) && (pool.size() >= candidates_room(ef) || pool.resize(candidates_room(ef))) &&
           (distances.size() >= room || (slots.resize(2 * room + 2) && distances.resize(room)));
  }
};

/// Marks the next candidate as expanded; returns its slot.
inline uint32_t expand_next(Candidates* pool) {
  const uint32_t slot = key_slot(pool->keys[pool->next]);
  pool->keys[pool->next++] |= 1;
  while (pool->next < pool->size && (pool->keys[pool->next] & 1) != 0) ++pool->next;
  return slot;
}

/// From `key` to the node next to the query in each layer from `from` down to `to`, one neighbor at a time.
template <class Space, class Graph>
uint64_t descend(const Space& space, const Graph& graph, WalkMemory& memory, uint64_t key, int from, int to) {
  for (int layer = from; layer >= to; --layer) {
    for (bool moved = true; moved;) {
      moved = false;
      const uint32_t* links = graph.links(key_slot(key), layer);
      const size_t n = count_links(links, graph.room(layer));
      for (size_t i = 0; i < n; ++i) space.prefetch_row(links[i]);
      space.score(links, n, memory.distances.data());
      memory.scored += n;
      ++memory.hops;
      for (size_t i = 0; i < n; ++i) {
        const uint64_t other = pool_key(memory.distances[i], links[i]);
        if (other >= key) continue;
        key = other;
        moved = true;
      }
    }
  }
  return key;
}

/// Best-first search of one layer from the `size` ascending keys that the pool holds; returns how many it holds then.
///
/// While the neighbors of one node are on their way from memory, the next node is expanded: distances arrive one
/// expansion late, which costs a few more expansions and hides the latency of most.
template <class Space, class Graph>
size_t search_layer(const Space& space, const Graph& graph, WalkMemory& memory, int layer, const Reach& reach,
                    size_t size) {
  const WalkKernels& walk = kernels().walk;
  Candidates pool{memory.pool.data(), size, reach.most, UINT64_MAX, 0};
  float* distances = memory.distances.data();
  const size_t room = graph.room(layer);
  uint32_t* fresh = memory.slots.data();
  uint32_t* waiting = fresh + room + 1;  // one more: a place that is written in vain
  size_t waiting_count = 0;
  for (size_t i = 0; i < size; ++i) memory.visited.add(key_slot(pool.keys[i]));
  while (pool.next < pool.size || waiting_count != 0) {
    size_t n = 0;
    if (pool.next < pool.size) {
      n = memory.visited.add_links(walk, graph.links(expand_next(&pool), layer), room, fresh);
      for (size_t i = 0; i < n; ++i) space.prefetch_row(fresh[i]);
      memory.scored += n;
      ++memory.hops;
    }
    space.score(waiting, waiting_count, distances);
    const size_t taken = walk.add_candidates(&pool, distances, waiting, waiting_count);
    for (size_t i = 0; i < taken; ++i) prefetch_bytes(graph.links(waiting[i], layer), room * sizeof *waiting);
    reach.trim(&pool);
    std::swap(fresh, waiting);
    waiting_count = n;
  }
  memory.visited.clear();
  return pool.size;
}

/// One of several walks that go on in turns on one thread: each step asks for the memory that the next one reads, and
/// while it comes, the others take theirs. So a batch of queries waits for memory hardly at all.
template <class Space, class Graph>
class LaneWalk {
 public:
  LaneWalk(Space& space, const Graph& graph, WalkMemory& memory)
      : kernels_(kernels().walk), space_(space), graph_(graph), memory_(memory) {}

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
      default: return expand();
    }
  }
  size_t found() const { return pool_.size; }

 private:
  enum class At { links, rows, expand };

  void enter() {
    at_ = layer_ == 0 ? At::expand : At::links;
    prefetch_bytes(graph_.links(key_slot(best_), layer_), graph_.room(layer_) * sizeof(uint32_t));
    if (layer_ != 0) return;
    memory_.pool[0] = best_;
    memory_.visited.add(key_slot(best_));
    pool_ = {memory_.pool.data(), 1, reach_.most, UINT64_MAX, 0};
    waiting_count_ = 0;
    swapped_ = false;
  }
  bool take_links() {
    links_ = graph_.links(key_slot(best_), layer_);
    count_ = count_links(links_, graph_.room(layer_));
    for (size_t i = 0; i < count_; ++i) space_.prefetch_row(links_[i]);
    at_ = At::rows;
    return true;
  }
  bool descend() {
    float* distances = memory_.distances.data();
    space_.score(links_, count_, distances);
    memory_.scored += count_;
    ++memory_.hops;
    const uint64_t before = best_;
    for (size_t i = 0; i < count_; ++i) best_ = std::min(best_, pool_key(distances[i], links_[i]));
    if (best_ == before) --layer_;
    enter();
    return true;
  }
  // As in search_layer, distances arrive one expansion late: a query finds the same in a batch as alone.
  bool expand() {
    if (pool_.next == pool_.size && waiting_count_ == 0) {
      memory_.visited.clear();
      return false;
    }
    const size_t room = graph_.room(0);
    uint32_t* fresh = memory_.slots.data() + (swapped_ ? room + 1 : 0);
    uint32_t* waiting = memory_.slots.data() + (swapped_ ? 0 : room + 1);
    size_t n = 0;
    if (pool_.next < pool_.size) {
      n = memory_.visited.add_links(kernels_, graph_.links(expand_next(&pool_)), room, fresh);
      for (size_t i = 0; i < n; ++i) space_.prefetch_row(fresh[i]);
      memory_.scored += n;
      ++memory_.hops;
    }
    float* distances = memory_.distances.data();
    space_.score(waiting, waiting_count_, distances);
    kernels_.add_candidates(&pool_, distances, waiting, waiting_count_);
    reach_.trim(&pool_);
    if (pool_.next < pool_.size) {
      prefetch_bytes(graph_.links(key_slot(pool_.keys[pool_.next])), room * sizeof(uint32_t));
    }
    swapped_ = !swapped_;
    waiting_count_ = n;
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
  Reach reach_{};
  Candidates pool_{};
  size_t count_ = 0;
  size_t waiting_count_ = 0;  // rows of the expansion before, whose distances are still to come
  bool swapped_ = false;      // which half of the slots holds them
};

}  // namespace annex
