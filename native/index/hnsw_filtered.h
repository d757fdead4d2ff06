// Walking the bottom layer for nodes of which some may not be returned.
#pragma once
#include "index/hnsw_walk.h"

namespace annex {

/// Best-first search of the bottom layer through all nodes, from the `size` keys that the pool holds, until no node is
/// left that is nearer than the `ef` nearest allowed ones. So it goes as far as the filter is dense near the query, not
/// on the average. Where it has to expand more than `most` nodes, or must be expected to, it gives up and returns 0;
/// otherwise how many keys the pool holds, which has room for one more than `most`.
template <class Space, class Graph, class Allowed>
size_t search_filtered(const Space& space, const Graph& graph, WalkMemory& memory, size_t ef, size_t size, size_t most,
                       const Allowed& allowed) {
  constexpr size_t kFirstLook = 16, kLooks = 8;  // in expansions: when it is asked whether to go on
  Candidates pool{memory.pool.data(), size, most, UINT64_MAX, 0};
  float* distances = memory.distances.data();
  const size_t room = graph.room(0);
  uint32_t* fresh = memory.slots.data();
  uint32_t* waiting = fresh + room + 1;
  const void** fresh_rows = memory.rows.data();
  const void** waiting_rows = fresh_rows + room;
  size_t waiting_count = 0, hops = 0;
  size_t held = 0, scored = 0, passed = 0;  // allowed ones in the pool; nodes seen, and allowed ones of those
  const auto last_allowed = [&] { return allowed(key_slot(pool.keys[pool.size - 1])); };
  for (size_t i = 0; i < size; ++i) {
    memory.visited.add(key_slot(pool.keys[i]));
    held += allowed(key_slot(pool.keys[i]));
  }
  const auto insert = [&](uint32_t slot, float distance) {
    const uint64_t key = pool_key(distance, slot);
    const bool may = allowed(slot);
    passed += may;
    if ((held == ef || pool.size == most) && key >= pool.keys[pool.size - 1]) return;
    if (pool.size == most) held -= last_allowed();  // makes room
    pool.next = std::min(pool.next, pool_insert(pool.keys, &pool.size, most, key));
    prefetch_list(graph.list(slot, 0));
    held += may;
    for (; held > ef || (held == ef && !last_allowed()); --pool.size) held -= last_allowed();
    pool.next = std::min(pool.next, pool.size);
  };
  while (pool.next < pool.size || waiting_count != 0) {
    size_t n = 0;
    if (pool.next < pool.size) {
      n = memory.visited.add_links(kernels().walk, graph.list(expand_next(&pool), 0), fresh);
      space.ask(fresh, n, fresh_rows);
      if (pool.next < pool.size) load_list(graph.list(key_slot(pool.keys[pool.next]), 0));
      space.load_asked(fresh_rows, n);
      ++hops;
    }
    space.score_asked(waiting, waiting_rows, waiting_count, distances);
    for (size_t i = 0; i < waiting_count; ++i) insert(waiting[i], distances[i]);
    scored += waiting_count;
    std::swap(fresh, waiting);
    std::swap(fresh_rows, waiting_rows);
    waiting_count = n;
    // As many nodes are expanded as the pool has to hold for `ef` allowed ones.
    if (hops >= kFirstLook && hops % kLooks == 0 && held < ef && (passed + 1) * most < ef * scored) {
      pool.size = 0;
      break;
    }
  }
  memory.hops += hops;
  memory.scored += scored;
  memory.visited.clear();
  return held < ef && pool.size == most ? 0 : pool.size;
}

/// Best-first search of the bottom layer through allowed nodes alone: where a neighbor is not allowed, its own
/// neighbors stand in for it (Patel, Kraft et al.: "ACORN", 2024). Starts from the `seeds` keys that the pool holds.
template <class Space, class Graph, class Allowed>
size_t search_allowed(const Space& space, const Graph& graph, WalkMemory& memory, size_t ef, size_t seeds,
                      const Allowed& allowed) {
  Candidates pool{memory.pool.data(), 0, ef, UINT64_MAX, 0};
  uint32_t* fresh = memory.slots.data();
  const void** rows = memory.rows.data();
  float* distances = memory.distances.data();
  const size_t room = graph.room(0);
  const size_t list_bytes = std::min(graph.list(0, 0).bytes(), size_t{128});
  LinkRoom links, further;
  const void* lists[2 * kMaxM];
  size_t n = 0;
  const auto flush = [&] {
    space.load_asked(rows, n);
    space.score_asked(fresh, rows, n, distances);
    memory.scored += n;
    const size_t taken = kernels().walk.add_candidates(&pool, distances, fresh, n);
    for (size_t i = 0; i < taken; ++i) prefetch_list(graph.list(fresh[i], 0));
    n = 0;
  };
  const auto take = [&](uint32_t slot) {
    if (!memory.visited.add(slot)) return;
    space.ask(&slot, 1, rows + n);
    fresh[n++] = slot;
    if (n == room) flush();
  };
  const auto expand = [&](uint32_t slot) {
    const size_t count = read_links(graph.list(slot, 0), links);
    for (size_t i = 0; i < count; ++i) lists[i] = graph.list(links[i] & kSlotMask, 0).links;
    for (size_t i = 0; i < count; ++i) prefetch_bytes(lists[i], list_bytes);
    load_lines(lists, count, list_bytes);
    for (size_t i = 0; i < count; ++i) {
      const uint32_t other = links[i] & kSlotMask;
      if (allowed(other)) {
        take(other);
      } else if (memory.visited.add(other)) {
        const size_t further_count = read_links(graph.list(other, 0), further);
        for (size_t j = 0; j < further_count; ++j) {
          if (allowed(further[j] & kSlotMask)) take(further[j] & kSlotMask);
        }
      }
    }
    ++memory.hops;
  };
  uint32_t starts[64];
  seeds = std::min(seeds, sizeof starts / sizeof *starts);
  for (size_t i = 0; i < seeds; ++i) starts[i] = key_slot(pool.keys[i]);
  for (size_t i = 0; i < seeds; ++i) {
    if (allowed(starts[i])) take(starts[i]);
  }
  for (size_t i = 0; i < seeds; ++i) {
    if (!allowed(starts[i]) && memory.visited.add(starts[i])) expand(starts[i]);
  }
  flush();
  while (pool.next < pool.size) {
    expand(expand_next(&pool));
    flush();
  }
  memory.visited.clear();
  return pool.size;
}

}  // namespace annex
