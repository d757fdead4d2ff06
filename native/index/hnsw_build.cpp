#include "index/hnsw_build.h"

#include <algorithm>
#include <atomic>

#include "base/of_thread.h"
#include "base/parallel.h"
#include "base/random.h"
#include "base/steps.h"
#include "index/hnsw_links.h"

namespace annex {
namespace {

constexpr size_t kMostBatch = 2048;
constexpr size_t kLeastBatch = 16;
constexpr size_t kStepWork = size_t{128} * 200 * 256 / kStepParts;  // nodes × efConstruction × dim of one step
constexpr size_t kStepGroups = 4096 / kStepParts;
constexpr size_t kTaskNodes = 4;
constexpr size_t kTaskGroups = 32;

size_t round_up_div(size_t n, size_t unit) { return (n + unit - 1) / unit; }

}  // namespace

Status HnswBuilder::begin(uint32_t first, size_t count) {
  old_nodes_ = first;
  entry_ = graph_.entry;
  top_ = graph_.top;
  Buffer<uint64_t> keys;
  if (!keys.resize(count) || !order_.resize(count) || !children_.resize_zeroed(first + count)) {
    return out_of_memory(count * 12 + first * 2);
  }
  // In random order, so that a batch is no run of rows that belong together.
  for (size_t i = 0; i < count; ++i) keys[i] = hash(options_.seed + 1, first + i) << 32 | i;
  std::sort(keys.data(), keys.data() + count);
  for (size_t i = 0; i < count; ++i) order_[i] = first + static_cast<uint32_t>(keys[i]);
  batch_end_ = next_batch();
  return Status::ok;
}

// The larger the graph, the larger the batch; and what is added together should see most of its like.
size_t HnswBuilder::next_batch() const {
  const size_t of_graph = (old_nodes_ + linked_) / 16;
  const size_t of_added = std::max(kLeastBatch, linked_ / 4);
  const size_t size = std::clamp(std::min(of_graph, of_added), size_t{1}, kMostBatch);
  return std::min(order_.size(), linked_ + size);
}

Status HnswBuilder::step(const int32_t* cancel) {
  if (cancelled(cancel)) return aborted();
  if (searched_ < batch_end_) {
    const Status status = search_part(cancel);
    if (status != Status::ok || searched_ < batch_end_) return status;
    return collect_edges();
  }
  return apply_part(cancel);
}

template <class F>
Status HnswBuilder::parallel(size_t tasks, F&& body) {
  const size_t dim = rows_.shape().dim;
  std::atomic<bool> no_memory{false};
  parallel_for(tasks, 0, [&](size_t task) {
    LinkWork& work = of_thread<LinkWork>();
    if (!work.prepare(old_nodes_ + order_.size(), dim, options_.ef_construction, 2 * options_.m,
                      std::max(options_.ef_construction, 4 * options_.m) + 1)) {
      no_memory = true;
      return;
    }
    with_space(rows_, codes_, work.space, [&](auto& space) { body(work, space, task); });
  });
  return no_memory ? out_of_memory(options_.ef_construction * 32 + dim * 16) : Status::ok;
}

Status HnswBuilder::search_part(const int32_t* cancel) {
  const size_t nodes = std::max(kTaskNodes, kStepWork / (std::max<size_t>(16, options_.ef_construction) *
                                                         std::max<size_t>(64, rows_.shape().dim)));
  const size_t end = std::min(batch_end_, searched_ + nodes);
  const size_t begin = searched_;
  const Status status = parallel(round_up_div(end - begin, kTaskNodes), [&](LinkWork& work, auto& space, size_t task) {
    for (size_t i = begin + task * kTaskNodes; i < std::min(end, begin + (task + 1) * kTaskNodes); ++i) {
      if (!cancelled(cancel)) find_links(work, space, order_[i]);
    }
  });
  if (status != Status::ok) return status;
  if (cancelled(cancel)) return aborted();
  searched_ = end;
  return Status::ok;
}

// The links of a new node in each of its layers.
template <class Space>
void HnswBuilder::find_links(LinkWork& work, Space& space, uint32_t slot) {
  if (entry_ == kNoSlot) return;
  WalkMemory& walk = work.walk;
  space.set_new_row(slot);
  space.score(&entry_, 1, walk.distances.data());
  const int level = graph_.level(slot);
  uint64_t best = descend(space, edit_, walk, pool_key(walk.distances[0], entry_), top_, level + 1);
  for (int layer = std::min(level, top_); layer >= 0; --layer) {
    walk.pool[0] = best;
    const size_t n = search_layer(space, edit_, walk, layer, Reach::nearest(options_.ef_construction), 1);
    for (size_t i = 0; i < n; ++i) work.slots[i] = key_slot(walk.pool[i]);
    best = walk.pool[0] & ~uint64_t{1};
    if constexpr (Space::kEstimates) {
      // Among themselves candidates are compared by their codes: so is the node here.
      space.set_row(slot);
      space.score(work.slots.data(), n, work.distances.data());
      for (size_t i = 0; i < n; ++i) work.keys[i] = pool_key(work.distances[i], work.slots[i]);
      std::sort(work.keys.data(), work.keys.data() + n);
    } else {
      for (size_t i = 0; i < n; ++i) work.keys[i] = walk.pool[i] & ~uint64_t{1};
    }
    for (size_t i = 0; i < n; ++i) {
      work.slots[i] = key_slot(work.keys[i]);
      work.distances[i] = key_distance(work.keys[i]);
    }
    const size_t chosen = select_links(work, space, n, options_.m);
    edit_.put(slot, layer, work.chosen.data(), chosen);
    if (layer > 0) space.set_new_row(slot);
  }
}

// Links back of the whole batch, grouped by the node that gets them.
Status HnswBuilder::collect_edges() {
  edges_.clear();
  groups_.clear();
  applied_ = 0;
  for (size_t i = linked_; i < batch_end_; ++i) {
    const uint32_t slot = order_[i];
    if (entry_ == kNoSlot) continue;
    choose_parent(slot);
    for (int layer = std::min(graph_.level(slot), top_); layer >= 0; --layer) {
      LinkRoom links;
      const size_t n = read_links(edit_.list(slot, layer), links);
      for (size_t l = 0; l < n; ++l) {
        const uint64_t target = static_cast<uint64_t>(layer) << 32 | (links[l] & kSlotMask);
        const Edge edge{target, static_cast<uint32_t>(i - linked_), slot | (links[l] & kTreeBit)};
        if (!edges_.push(edge)) return out_of_memory(edges_.bytes() * 2);
      }
    }
  }
  std::sort(edges_.data(), edges_.data() + edges_.size(), [](const Edge& a, const Edge& b) {
    return a.target != b.target ? a.target < b.target : a.order < b.order;
  });
  for (size_t begin = 0; begin < edges_.size();) {
    size_t end = begin + 1;
    while (end < edges_.size() && edges_[end].target == edges_[begin].target) ++end;
    const uint64_t target = edges_[begin].target;
    const auto slot = static_cast<uint32_t>(target);
    children_[slot] = 0;
    if (!groups_.push({begin, end}) || !edit_.touch(slot, static_cast<int>(target >> 32))) {
      return out_of_memory(groups_.bytes() * 2);
    }
    begin = end;
  }
  return Status::ok;
}

size_t HnswBuilder::tree_edges(uint32_t slot) const {
  LinkRoom links;
  const size_t count = read_links(edit_.list(slot, 0), links);
  size_t n = children_[slot];
  for (size_t i = 0; i < count; ++i) n += links[i] >> 31;
  return n;
}

// Marks the edge of the spanning tree that reaches a new node: from the nearest of its links that has few such edges.
void HnswBuilder::choose_parent(uint32_t slot) {
  LinkRoom links;
  const size_t most = options_.m + 1, n = read_links(edit_.list(slot, 0), links);
  for (size_t i = 0; i < n; ++i) {
    if (tree_edges(links[i]) >= most) continue;
    ++children_[links[i]];
    links[i] |= kTreeBit;
    return edit_.put(slot, 0, links, n);
  }
  // All are full: a node that was linked shortly before is a leaf of the tree.
  uint32_t parent = kNoSlot;
  for (size_t i = linked_; i > 0 && parent == kNoSlot; --i) {
    if (tree_edges(order_[i - 1]) < most) parent = order_[i - 1];
  }
  for (size_t old = old_nodes_; old > 0 && parent == kNoSlot; --old) {
    if (tree_edges(static_cast<uint32_t>(old - 1)) < most) parent = static_cast<uint32_t>(old - 1);
  }
  ++children_[parent];
  const size_t place = std::min(n, graph_.bottom_room() - 1);
  links[place] = parent | kTreeBit;
  edit_.put(slot, 0, links, place + 1);
}

Status HnswBuilder::apply_part(const int32_t* cancel) {
  const size_t begin = applied_, end = std::min(groups_.size(), begin + kStepGroups);
  const Status status = parallel(round_up_div(end - begin, kTaskGroups), [&](LinkWork& work, auto& space, size_t task) {
    for (size_t g = begin + task * kTaskGroups; g < std::min(end, begin + (task + 1) * kTaskGroups); ++g) {
      if (cancelled(cancel)) return;
      link_back(work, space, edges_.data() + groups_[g].begin, groups_[g].end - groups_[g].begin);
    }
  });
  if (status != Status::ok) return status;
  if (cancelled(cancel)) return aborted();
  applied_ = end;
  if (applied_ < groups_.size()) return Status::ok;
  for (size_t i = linked_; i < batch_end_; ++i) {
    if (graph_.level(order_[i]) <= top_) continue;
    top_ = graph_.level(order_[i]);
    entry_ = order_[i];
  }
  linked_ = batch_end_;
  batch_end_ = next_batch();
  return Status::ok;
}

// Adds new neighbors to a node; where they do not fit, all are selected anew.
template <class Space>
void HnswBuilder::link_back(LinkWork& work, Space& space, const Edge* edges, size_t n) {
  const auto target = static_cast<uint32_t>(edges->target);
  const int layer = static_cast<int>(edges->target >> 32);
  const size_t room = graph_.room(layer);
  LinkRoom links;
  size_t present = read_links(edit_.list(target, layer), links);
  // More than a list's length of new neighbors are taken in parts: those of the tree never fill a list.
  for (size_t at = 0; at < n;) {
    const size_t part = std::min(n - at, room);
    if (present + part <= room) {
      for (size_t i = 0; i < part; ++i) links[present++] = edges[at + i].source;
      at += part;
      continue;
    }
    const size_t all = present + part;
    for (size_t i = 0; i < present; ++i) work.slots[i] = links[i] & kSlotMask;
    for (size_t i = 0; i < part; ++i) work.slots[present + i] = edges[at + i].source & kSlotMask;
    space.set_row(target);
    space.score(work.slots.data(), all, work.distances.data());
    // The place, not the slot, is the key's lower part: it leads to the mark.
    for (size_t i = 0; i < all; ++i) work.keys[i] = pool_key(work.distances[i], static_cast<uint32_t>(i));
    std::sort(work.keys.data(), work.keys.data() + all);
    for (size_t i = 0; i < all; ++i) {
      const uint32_t place = key_slot(work.keys[i]);
      work.slots[i] = place < present ? links[place] : edges[at + place - present].source;
      work.distances[i] = key_distance(work.keys[i]);
    }
    present = select_links(work, space, all, room);
    std::copy_n(work.chosen.data(), present, links);
    at += part;
  }
  edit_.put(target, layer, links, present);
}

}  // namespace annex
