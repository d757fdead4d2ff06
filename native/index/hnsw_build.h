// Inserting nodes into a graph, in batches: the nodes of a batch are searched for in the graph as it was before, side
// by side; then the links back to them are set, grouped by the node that gets them. So the result does not depend on
// threads (Dobson, Shen, Blelloch et al.: "Scaling graph-based ANNS algorithms to billion-size datasets", 2023).
#pragma once
#include "index/hnsw_codes.h"
#include "index/hnsw_graph.h"

namespace annex {

struct LinkWork;

struct HnswOptions {
  size_t m = 16;
  size_t ef_construction = 200;
  uint64_t seed = 0;
};

class HnswBuilder {
 public:
  /// `codes` may be null: then the rows themselves are compared.
  HnswBuilder(const HnswOptions& options, const RowStore& rows, const HnswCodes* codes, HnswGraph& graph,
              HnswEdit& edit)
      : options_(options), rows_(rows), codes_(codes), graph_(graph), edit_(edit) {}

  /// Slots [first, first + count) become nodes: they have been opened in the graph.
  Status begin(uint32_t first, size_t count);
  /// The next part (base/steps.h).
  Status step(const int32_t* cancel);
  bool finished() const { return linked_ == order_.size(); }
  size_t done() const { return linked_ + (searched_ - linked_) / 2; }
  size_t total() const { return order_.size(); }
  /// The entry of the graph with the new nodes.
  uint32_t entry() const { return entry_; }
  int top() const { return top_; }

 private:
  struct Edge {       // a link back: `target` gets `source`
    uint64_t target;  // layer << 32 | slot
    uint32_t order;   // of the source among the batch
    uint32_t source;  // with kTreeBit
  };
  struct Group {
    size_t begin, end;  // edges
  };

  size_t next_batch() const;
  Status search_part(const int32_t* cancel);
  template <class Space>
  void find_links(LinkWork& work, Space& space, uint32_t slot);
  Status collect_edges();
  void choose_parent(uint32_t slot);
  size_t tree_edges(uint32_t slot) const;
  Status apply_part(const int32_t* cancel);
  template <class Space>
  void link_back(LinkWork& work, Space& space, const Edge* edges, size_t n);
  template <class F>
  Status parallel(size_t tasks, F&& body);

  const HnswOptions options_;
  const RowStore& rows_;
  const HnswCodes* codes_;
  HnswGraph& graph_;
  HnswEdit& edit_;
  Buffer<uint32_t> order_;  // slots, in the order of insertion
  size_t linked_ = 0;       // of those, nodes that are in the graph
  size_t searched_ = 0;     // nodes whose own links are known
  size_t batch_end_ = 0;
  Buffer<Edge> edges_;  // of the batch, by target
  Buffer<Group> groups_;
  size_t applied_ = 0;         // groups
  Buffer<uint16_t> children_;  // tree edges of the batch, by slot
  size_t old_nodes_ = 0;
  uint32_t entry_ = kNoSlot;
  int top_ = -1;
};

}  // namespace annex
