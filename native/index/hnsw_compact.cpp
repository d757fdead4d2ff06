#include "index/hnsw_compact.h"

#include <algorithm>
#include <atomic>
#include <new>

#include "base/of_thread.h"
#include "base/parallel.h"
#include "base/steps.h"
#include "index/hnsw_links.h"

namespace annex {
namespace {

constexpr size_t kStepBytes = (size_t{32} << 20) / kStepParts;  // of rows copied in one step
constexpr size_t kStepOrdered = 65536 / kStepParts;
constexpr size_t kStepMended = 1024 / kStepParts;
constexpr size_t kStepJoined = 16384 / kStepParts;
constexpr size_t kSlice = 64;
constexpr size_t kPassed = 256;  // removed nodes that are looked through for one list
constexpr size_t kGathered = 8;  // candidates, in lengths of a list
constexpr size_t kParentPool = 32;
// Smaller graphs are not laid out anew: what a search reads of them is near enough in any order, and ids would have to
// be kept beside the rows.
constexpr size_t kLeastOrdered = size_t{1} << 17;

}  // namespace

Status HnswCompactWriter::append(Input, const void*, size_t, const double*, const int32_t*) {
  return fail(Status::invalid_argument, "compact takes no rows");
}

Status HnswCompactWriter::step(const int32_t* cancel, Progress* progress) {
  if (failed_) return fail(Status::invalid_argument, "an earlier part of this write failed: it can only be aborted");
  const Status status = part(cancel);
  failed_ = status != Status::ok;
  const double n = static_cast<double>(old_of_.size());
  progress->phase = Phase::compact;
  progress->total = 5 * n;
  progress->done = (static_cast<double>(stage_) - 1) * n + static_cast<double>(done_);
  progress->done = stage_ >= Stage::reach ? 5 * n : std::max(progress->done, 0.0);
  progress->finished = stage_ == Stage::done;
  return status;
}

Status HnswCompactWriter::part(const int32_t* cancel) {
  if (cancelled(cancel)) return aborted();
  switch (stage_) {
    case Stage::open: return open();
    case Stage::order: return order();
    case Stage::copy: return copy();
    case Stage::code: return code();
    case Stage::mend: return mend();
    case Stage::join: return join();
    case Stage::reach: return learn_reach(cancel);
    default: return Status::ok;
  }
}

Status HnswCompactWriter::open() {
  const HnswState& state = index_.state_;
  const size_t n = state.live();
  const bool orders = n >= kLeastOrdered && state.ordered != state.graph.nodes;
  if (state.removed_count == 0 && !orders) {
    stage_ = Stage::done;
    return Status::ok;
  }
  if (!old_of_.resize(n) || !new_of_.resize(state.graph.nodes) || !degree_.resize_zeroed(n) || !queue_.reserve(n)) {
    return out_of_memory(n * 10 + state.graph.nodes * 4);
  }
  if (orders) {
    if (!order_.begin(state.graph, state.removed, n)) return out_of_memory(state.graph.nodes * 16);
    stage_ = Stage::order;
    return Status::ok;
  }
  size_t slot = 0;
  for (uint32_t old = 0; old < state.graph.nodes; ++old) {
    if (!state.is_removed(old)) old_of_[slot++] = old;
  }
  return lay_out();
}

Status HnswCompactWriter::order() {
  order_.step(kStepOrdered);
  done_ = order_.done();
  if (!order_.finished()) return Status::ok;
  order_.write(old_of_.data());
  done_ = 0;
  return lay_out();
}

// Rooms and nodes of the new state, in the order of old_of_.
Status HnswCompactWriter::lay_out() {
  const HnswState& state = index_.state_;
  const size_t n = old_of_.size();
  next_.reset(new (std::nothrow) HnswState(state.rows.shape(), state.wide.shape(), state.graph.m));
  if (next_ == nullptr) return out_of_memory(sizeof(HnswState));
  next_->has_wide = state.has_wide;
  size_t lists = 0;
  bool sequential = state.ids.next_id() == static_cast<int64_t>(n);
  std::fill_n(new_of_.data(), new_of_.size(), kNoSlot);
  for (uint32_t slot = 0; slot < n; ++slot) {
    const uint32_t old = old_of_[slot];
    sequential = sequential && state.ids.id_of(old) == static_cast<int64_t>(slot);
    new_of_[old] = slot;
    lists += static_cast<size_t>(state.graph.level(old));
  }
  HnswGraph& graph = next_->graph;
  if (!next_->rows.reserve(n) || (state.has_wide && !next_->wide.reserve(n)) || !graph.reserve(n, lists) ||
      !next_->ids.reserve(n, sequential)) {
    return out_of_memory(n * (state.rows.shape().stride() + graph.bottom.stride() + 16));
  }
  size_t list = 0;
  for (uint32_t s = 0; s < n; ++s) {
    const int level = state.graph.level(old_of_[s]);
    graph.open_node(s, level, static_cast<uint32_t>(list));
    list += static_cast<size_t>(level);
    next_->ids.append(state.ids.id_of(old_of_[s]));
    if (level > graph.top) {
      graph.top = level;
      graph.entry = s;
    }
  }
  next_->ids.continue_from(state.ids.next_id());
  if (n != 0 && new_of_[state.graph.entry] != kNoSlot) {
    graph.entry = new_of_[state.graph.entry];
    graph.top = state.graph.top;
  }
  graph.nodes = n;
  graph.upper_lists = lists;
  next_->ordered = order_.finished() || state.ordered == state.graph.nodes ? n : 0;
  stage_ = n == 0 ? Stage::done : Stage::copy;
  return Status::ok;
}

Status HnswCompactWriter::copy() {
  const HnswState& state = index_.state_;
  const size_t n = old_of_.size(), end = std::min(n, done_ + kStepBytes / state.rows.shape().stride() + 1);
  for (; done_ < end; ++done_) {
    next_->rows.copy_row(done_, state.rows, old_of_[done_]);
    if (state.has_wide) next_->wide.copy_row(done_, state.wide, old_of_[done_]);
  }
  if (done_ < n) return Status::ok;
  next_->rows.set_size(n);
  if (state.has_wide) next_->wide.set_size(n);
  done_ = 0;
  stage_ = state.codes != nullptr ? Stage::code : Stage::mend;
  return Status::ok;
}

Status HnswCompactWriter::code() {
  const size_t n = old_of_.size();
  if (next_->codes == nullptr) {
    const RowShape& shape = next_->rows.shape();
    next_->codes.reset(new (std::nothrow) HnswCodes(shape.metric, shape.dim));
    if (next_->codes == nullptr || !next_->codes->codes.reserve(n)) return out_of_memory(n * shape.dim / 2);
    return next_->codes->begin_learning(next_->rows, n, index_.options_.seed);
  }
  if (!next_->codes->learnt()) return next_->codes->learn_step(next_->rows, nullptr);
  const Status status = next_->codes->encode_part(next_->rows, &done_, n, nullptr);
  if (status != Status::ok || done_ < n) return status;
  done_ = 0;
  stage_ = Stage::mend;
  return Status::ok;
}

Status HnswCompactWriter::mend() {
  const HnswGraph& graph = next_->graph;
  const size_t begin = done_, end = std::min(graph.nodes, begin + kStepMended);
  const size_t most = (kGathered + 1) * graph.bottom_room();
  std::atomic<bool> no_memory{false};
  parallel_for((end - begin + kSlice - 1) / kSlice, 0, [&](size_t task) {
    LinkWork& work = of_thread<LinkWork>();
    if (!work.prepare(std::max(graph.nodes, index_.state_.graph.nodes), next_->rows.shape().dim, kParentPool,
                      graph.bottom_room(), most)) {
      no_memory = true;
      return;
    }
    with_space(next_->rows, next_->codes.get(), work.space, [&](auto& space) {
      for (size_t s = begin + task * kSlice; s < std::min(end, begin + (task + 1) * kSlice); ++s) {
        const auto slot = static_cast<uint32_t>(s);
        for (int layer = graph.level(slot); layer >= 0; --layer) {
          whole() ? copy_list(slot, layer) : mend_list(work, space, slot, layer);
        }
      }
    });
  });
  if (no_memory) return out_of_memory(graph.nodes / 8 + most * 24);
  done_ = end;
  if (done_ < graph.nodes) return Status::ok;
  if (whole()) {
    next_->reach = index_.state_.reach;
    stage_ = Stage::done;
    return Status::ok;
  }
  done_ = 0;
  degree_[graph.entry] = 1;  // for the time being
  (void)queue_.push(graph.entry);
  stage_ = Stage::join;
  return Status::ok;
}

// The neighbors that a node had and keeps, `kept` of them, then those of removed ones, into work.slots. False where
// none was removed.
bool HnswCompactWriter::gather(LinkWork& work, uint32_t slot, int layer, size_t* kept, size_t* found) {
  const HnswGraph& old = index_.state_.graph;
  const size_t most = (kGathered + 1) * old.room(layer) - 1;
  LinkRoom links;
  uint32_t passed[kPassed];
  size_t passed_count = 0, looked = 0, n = 0;
  Visited& visited = work.walk.visited;
  uint32_t at = old_of_[slot];
  visited.add(at);
  for (;;) {
    const size_t count = read_links(old.list(at, layer), links);
    for (size_t i = 0; i < count; ++i) {
      const uint32_t other = links[i] & kSlotMask;
      if (!visited.add(other)) continue;
      if (new_of_[other] != kNoSlot) {
        if (n < most) work.slots[n++] = new_of_[other];
      } else if (passed_count < kPassed) {
        passed[passed_count++] = other;
      }
    }
    if (looked == 0) *kept = n;
    if (looked == passed_count) break;
    at = passed[looked++];
  }
  visited.clear();
  *found = n;
  return passed_count != 0;
}

void HnswCompactWriter::copy_list(uint32_t slot, int layer) {
  LinkRoom links;
  const size_t n = read_links(index_.state_.graph.list(old_of_[slot], layer), links);
  for (size_t i = 0; i < n; ++i) links[i] = new_of_[links[i] & kSlotMask] | (links[i] & kTreeBit);
  next_->graph.put(slot, layer, links, n);
}

template <class Space>
void HnswCompactWriter::mend_list(LinkWork& work, Space& space, uint32_t slot, int layer) {
  HnswGraph& graph = next_->graph;
  const size_t room = graph.room(layer);
  size_t kept = 0, n = 0;
  if (!gather(work, slot, layer, &kept, &n)) return graph.put(slot, layer, work.slots.data(), n);
  space.set_row(slot);
  space.score(work.slots.data(), n, work.distances.data());
  for (size_t i = 0; i < n; ++i) work.keys[i] = pool_key(work.distances[i], work.slots[i]);
  std::sort(work.keys.data(), work.keys.data() + n);
  // Neighbors that a node has keep their places, as if they were of the tree, which is made anew.
  for (size_t i = 0; i < kept; ++i) work.walk.visited.add(work.slots[i]);
  for (size_t i = 0; i < n; ++i) {
    const uint32_t other = key_slot(work.keys[i]);
    work.slots[i] = work.walk.visited.add(other) ? other : other | kTreeBit;
    work.distances[i] = key_distance(work.keys[i]);
  }
  work.walk.visited.clear();
  const size_t chosen = select_links(work, space, n, room);
  for (size_t i = 0; i < chosen; ++i) work.chosen[i] &= kSlotMask;
  graph.put(slot, layer, work.chosen.data(), chosen);
}

// A spanning tree of the bottom layer, by breadth; what it does not reach is connected to a near node that it does.
Status HnswCompactWriter::join() {
  HnswGraph& graph = next_->graph;
  LinkWork& work = of_thread<LinkWork>();
  if (!work.prepare(graph.nodes, next_->rows.shape().dim, kParentPool, graph.bottom_room(), kParentPool)) {
    return out_of_memory(graph.nodes / 8);
  }
  const size_t most = graph.m + 1;
  for (size_t part = 0; part < kStepJoined && queue_.size() < graph.nodes; ++part) {
    if (expanded_ < queue_.size()) {
      const uint32_t parent = queue_[expanded_++];
      LinkRoom links;
      const size_t n = read_links(graph.list(parent, 0), links);
      for (size_t i = 0; i < n; ++i) {
        const uint32_t child = links[i] & kSlotMask;
        if (degree_[child] == 0 && degree_[parent] < most) connect(parent, child);
      }
    } else {
      while (degree_[done_] != 0) ++done_;
      const auto child = static_cast<uint32_t>(done_);
      connect(find_parent(work, child), child);
    }
  }
  if (queue_.size() < graph.nodes) return Status::ok;
  if (!next_->reach.outgrown(graph.nodes)) {
    stage_ = Stage::done;
    return Status::ok;
  }
  stage_ = Stage::reach;
  return sample_.begin(graph.nodes);
}

Status HnswCompactWriter::learn_reach(const int32_t* cancel) {
  const HnswGraph& graph = next_->graph;
  const Status status = sample_.step(next_->rows, next_->codes.get(), graph, graph.entry, graph.top, cancel);
  if (status != Status::ok || !sample_.finished()) return status;
  next_->reach = sample_.result();
  stage_ = Stage::done;
  return Status::ok;
}

uint32_t HnswCompactWriter::find_parent(LinkWork& work, uint32_t slot) {
  const HnswGraph& graph = next_->graph;
  const size_t most = graph.m + 1;
  uint32_t parent = kNoSlot;
  with_space(next_->rows, next_->codes.get(), work.space, [&](auto& space) {
    space.set_row(slot);
    float distance;
    space.score(&graph.entry, 1, &distance);
    work.walk.pool[0] = descend(space, graph, work.walk, pool_key(distance, graph.entry), graph.top, 1);
    const size_t n = search_layer(space, graph, work.walk, 0, Reach::nearest(kParentPool), 1);
    for (size_t i = 0; i < n && parent == kNoSlot; ++i) {
      const uint32_t near = key_slot(work.walk.pool[i]);
      if (near != slot && degree_[near] != 0 && degree_[near] < most) parent = near;
    }
  });
  // A node that was reached late is a leaf of the tree.
  for (size_t i = queue_.size(); i > 0 && parent == kNoSlot; --i) {
    if (degree_[queue_[i - 1]] < most) parent = queue_[i - 1];
  }
  return parent;
}

void HnswCompactWriter::connect(uint32_t parent, uint32_t child) {
  link_tree(parent, child);
  link_tree(child, parent);
  ++degree_[parent];
  ++degree_[child];
  (void)queue_.push(child);
}

// Marks the link, or makes it: where the list is full, in place of the last one that is not of the tree.
void HnswCompactWriter::link_tree(uint32_t from, uint32_t to) {
  HnswGraph& graph = next_->graph;
  LinkRoom links;
  const size_t n = read_links(graph.list(from, 0), links);
  size_t place = static_cast<size_t>(std::find(links, links + n, to) - links);
  if (place == graph.bottom_room()) {
    do --place;
    while ((links[place] & kTreeBit) != 0);
  }
  links[place] = to | kTreeBit;
  graph.put(from, 0, links, std::max(n, place + 1));
}

Status HnswCompactWriter::commit() {
  if (failed_) return fail(Status::invalid_argument, "an earlier part of this write failed: it can only be aborted");
  while (stage_ != Stage::done) {
    const Status status = part(nullptr);
    if (status != Status::ok) return status;
  }
  if (next_ == nullptr) return Status::ok;
  const WriteGuard guard(index_.lock_);
  index_.state_.swap(*next_);
  return Status::ok;
}

}  // namespace annex
