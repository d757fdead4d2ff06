#include "index/hnsw_order.h"

#include <algorithm>

namespace annex {

bool HnswOrder::begin(const HnswGraph& graph, const Buffer<uint32_t>& left_out, size_t nodes) {
  graph_ = &graph;
  nodes_ = nodes;
  const size_t scores = (kWindow + 1) * graph.bottom_room() + 1;  // a list may hold a slot more than once
  if (!placed_.reserve(nodes) || !score_.resize_zeroed(graph.nodes) || !next_.resize(graph.nodes) ||
      !before_.resize(graph.nodes) || !first_.resize(scores)) {
    return false;
  }
  std::fill_n(first_.data(), scores, kNoSlot);
  for (size_t slot = 0; slot < std::min(graph.nodes, left_out.size() * 32); ++slot) {
    if ((left_out[slot / 32] >> (slot % 32) & 1) != 0) score_[slot] = kPlaced;
  }
  return true;
}

template <class F>
void HnswOrder::each_open(uint32_t slot, F&& body) {
  LinkRoom links;
  const size_t n = read_links(graph_->list(slot, 0), links);
  for (size_t i = 0; i < n; ++i) {
    const uint32_t other = links[i] & kSlotMask;
    if (score_[other] != kPlaced) body(other);
  }
}

// From the list of its score to that of another. There is none of score 0.
void HnswOrder::move(uint32_t slot, uint32_t score) {
  const uint32_t next = next_[slot], before = before_[slot], old = score_[slot];
  if (old != 0) {
    if (next != kNoSlot) before_[next] = before;
    (before != kNoSlot ? next_[before] : first_[old]) = next;
  }
  score_[slot] = score;
  if (score == 0 || score == kPlaced) return;
  next_[slot] = first_[score];
  before_[slot] = kNoSlot;
  if (first_[score] != kNoSlot) before_[first_[score]] = slot;
  first_[score] = slot;
  top_ = std::max(top_, score);
}

uint32_t HnswOrder::take_next() {
  while (top_ > 0 && first_[top_] == kNoSlot) --top_;
  if (top_ > 0) return first_[top_];
  while (score_[from_] == kPlaced) ++from_;
  return from_;
}

void HnswOrder::step(size_t count) {
  for (const size_t end = std::min(nodes_, placed_.size() + count); placed_.size() < end;) {
    const uint32_t slot = take_next();
    move(slot, kPlaced);
    (void)placed_.push(slot);
    each_open(slot, [&](uint32_t other) { move(other, score_[other] + 1); });
    if (placed_.size() <= kWindow) continue;
    each_open(placed_[placed_.size() - 1 - kWindow], [&](uint32_t other) { move(other, score_[other] - 1); });
  }
}

void HnswOrder::write(uint32_t* slots) const {
  for (int level = graph_->top; level >= 0; --level) {
    for (size_t i = 0; i < placed_.size(); ++i) {
      if (graph_->level(placed_[i]) == level) *slots++ = placed_[i];
    }
  }
}

}  // namespace annex
