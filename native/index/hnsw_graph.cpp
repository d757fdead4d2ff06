#include "index/hnsw_graph.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/random.h"

namespace annex {

void write_links(const LinkList& list, const uint32_t* links, size_t n) {
  auto* to = const_cast<uint8_t*>(list.links);
  const size_t width = list.narrow ? kNarrowBytes : sizeof(uint32_t);
  if (list.narrow) {
    for (size_t i = 0; i < n; ++i) pack_link(links[i], to + i * width);
  } else {
    std::memcpy(to, links, n * width);
  }
  std::memset(to + n * width, 0xFF, (list.room - n) * width);
}

void HnswGraph::open_node(uint32_t slot, int level, uint32_t list) {
  *levels.item(slot) = static_cast<uint8_t>(level);
  *reinterpret_cast<uint32_t*>(first_upper.item(slot)) = level == 0 ? kNoSlot : list;
  std::memset(bottom.item(slot), 0xFF, bottom.stride());
  for (int layer = 0; layer < level; ++layer) {
    std::memset(upper.item(list + static_cast<uint32_t>(layer)), 0xFF, upper.stride());
  }
}

bool HnswGraph::widen() {
  if (!narrow()) return true;
  Blocks wide(bottom_room() * sizeof(uint32_t));
  if (!wide.reserve(nodes)) return false;
  for (size_t slot = 0; slot < nodes; ++slot) {
    kernels().walk.unpack_links(bottom.item(slot), bottom_room(), reinterpret_cast<uint32_t*>(wide.item(slot)));
  }
  bottom.swap(wide);
  return true;
}

void HnswGraph::swap(HnswGraph& other) noexcept {
  std::swap(m, other.m);
  bottom.swap(other.bottom);
  upper.swap(other.upper);
  first_upper.swap(other.first_upper);
  levels.swap(other.levels);
  std::swap(nodes, other.nodes);
  std::swap(upper_lists, other.upper_lists);
  std::swap(entry, other.entry);
  std::swap(top, other.top);
}

int level_of(uint64_t seed, uint32_t slot, size_t m) {
  // In whole numbers, so that it is the same everywhere.
  const uint64_t random = hash(seed, slot);
  uint64_t bound = UINT64_MAX / m;
  int level = 0;
  while (level < kMaxLevel && random < bound) {
    ++level;
    bound /= m;
  }
  return level;
}

bool HnswEdit::begin() {
  Blocks changed(graph_.bottom.stride());  // which may have grown since
  bottom_.swap(changed);
  return bottom_at_.resize_zeroed(old_nodes_) && upper_at_.resize_zeroed(old_lists_);
}

bool HnswEdit::touch(uint32_t slot, int layer) {
  if (layer == 0) return slot >= old_nodes_ || touch(graph_.bottom, slot, bottom_at_, bottom_, &bottom_count_);
  const uint32_t list = graph_.upper_list(slot, layer);
  return list >= old_lists_ || touch(graph_.upper, list, upper_at_, upper_, &upper_count_);
}

bool HnswEdit::touch(const Blocks& from, uint32_t list, Buffer<uint32_t>& at, Blocks& changed, size_t* count) {
  if (at[list] != 0) return true;
  if (!changed.reserve(*count + 1)) return false;
  std::memcpy(changed.item(*count), from.item(list), from.stride());
  at[list] = static_cast<uint32_t>(++*count);
  return true;
}

void HnswEdit::commit() {
  const auto apply = [](Blocks& to, const Buffer<uint32_t>& at, const Blocks& changed) {
    for (size_t list = 0; list < at.size(); ++list) {
      if (at[list] != 0) std::memcpy(to.item(list), changed.item(at[list] - 1), to.stride());
    }
  };
  apply(graph_.bottom, bottom_at_, bottom_);
  apply(graph_.upper, upper_at_, upper_);
}

}  // namespace annex
