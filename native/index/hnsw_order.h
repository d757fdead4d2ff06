// An order of a graph's nodes in which those that are visited together lie together: the next node is the one that most
// of the last 64 lead to (Wei, Yu, Lu, Lin: "Speedup graph processing by graph ordering", 2016; for graphs of near
// neighbors Coleman, Segarra, Smola, Shrivastava: "Graph reordering for cache-efficient near neighbor search", 2022).
// Nodes of upper layers, which every search goes through, come first.
#pragma once
#include "index/hnsw_graph.h"

namespace annex {

class HnswOrder {
 public:
  /// Nodes of the graph but those that `left_out` marks, a bit a slot. False: out of memory.
  [[nodiscard]] bool begin(const HnswGraph& graph, const Buffer<uint32_t>& left_out, size_t nodes);
  /// Places so many more.
  void step(size_t count);
  bool finished() const { return graph_ != nullptr && placed_.size() == nodes_; }
  size_t done() const { return placed_.size(); }
  const uint32_t* placed() const { return placed_.data(); }  // before layers are told apart
  /// Writes the slots in their order, `nodes` of them.
  void write(uint32_t* slots) const;

 private:
  static constexpr size_t kWindow = 64;
  static constexpr uint32_t kPlaced = UINT32_MAX;  // in place of a score

  uint32_t take_next();
  void move(uint32_t slot, uint32_t score);
  template <class F>
  void each_open(uint32_t slot, F&& body);

  const HnswGraph* graph_ = nullptr;
  size_t nodes_ = 0;
  Buffer<uint32_t> placed_;
  // How many links of the last kWindow nodes lead to a slot; or kPlaced. Slots of a score are a list, linked in both
  // directions; kNoSlot ends it.
  Buffer<uint32_t> score_, next_, before_;
  Buffer<uint32_t> first_;  // by score
  uint32_t top_ = 0;        // no score is higher
  uint32_t from_ = 0;       // all slots before are placed
};

}  // namespace annex
