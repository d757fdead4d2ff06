// Choosing the links of a node: what inserting nodes and removing them share.
#pragma once
#include <algorithm>

#include "base/of_thread.h"
#include "index/hnsw_codes.h"
#include "index/hnsw_space.h"
#include "index/hnsw_walk.h"

namespace annex {

/// What one thread needs to link nodes; kept by it.
struct LinkWork {
  WalkMemory walk;
  SpaceMemory space;
  Buffer<uint64_t> keys;    // candidates, by distance
  Buffer<uint32_t> slots;   // of those that are left
  Buffer<float> distances;  // from the node
  Buffer<float> between;    // from the one selected last
  Buffer<uint32_t> chosen;

  /// `most`: candidates at most.
  [[nodiscard]] bool prepare(size_t nodes, size_t dim, size_t ef, size_t room, size_t most) {
    return walk.prepare(nodes, ef, room) && space.prepare(dim, std::max(most, room)) &&
           (keys.size() >= most || (keys.resize(most) && slots.resize(most) && distances.resize(most) &&
                                    between.resize(most) && chosen.resize(most)));
  }
};

/// Calls body(space): distances by codes, or where there are none (null) by the rows.
template <class F>
void with_space(const RowStore& rows, const HnswCodes* codes, SpaceMemory& memory, F&& body) {
  if (codes != nullptr) {
    NibbleSpace space(rows, codes->coder, codes->codes.view(), memory);
    body(space);
  } else {
    RowSpace space(rows, memory);
    body(space);
  }
}

// Selects for diversity (Malkov, Yashunin, algorithm 4) from the n ascending candidates in work.slots and
// work.distances: one that is nearer to a selected one than to the node is left out, unless its link is of the tree.
// At most `limit` are selected. What is left in work.slots and work.distances is spent.
template <class Space>
size_t select_links(LinkWork& work, Space& space, size_t n, size_t limit) {
  uint32_t* slots = work.slots.data();
  float* distances = work.distances.data();
  size_t kept_for_tree = 0, count = 0;
  for (size_t i = 0; i < n; ++i) kept_for_tree += (slots[i] & kTreeBit) != 0;
  size_t left = n;
  while (left > 0) {
    const uint32_t chosen = slots[0];
    const bool tree = (chosen & kTreeBit) != 0;
    const bool fits = tree || count + kept_for_tree < limit;
    if (tree) --kept_for_tree;
    if (fits) work.chosen[count++] = chosen;
    if (count + kept_for_tree >= limit && kept_for_tree == 0) break;
    if (!fits || left == 1) {
      std::copy(slots + 1, slots + left, slots);
      std::copy(distances + 1, distances + left, distances);
      --left;
      continue;
    }
    space.set_row(chosen & kSlotMask);
    for (size_t i = 1; i < left; ++i) work.keys[i] = slots[i] & kTreeBit;
    for (size_t i = 1; i < left; ++i) slots[i] &= kSlotMask;
    space.score(slots + 1, left - 1, work.between.data());
    size_t kept = 0;
    for (size_t i = 1; i < left; ++i) {
      const auto mark = static_cast<uint32_t>(work.keys[i]);
      if (mark == 0 && work.between[i - 1] < distances[i]) continue;
      slots[kept] = slots[i] | mark;
      distances[kept++] = distances[i];
    }
    left = kept;
  }
  return count;
}

}  // namespace annex
