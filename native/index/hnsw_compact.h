// Compacting an HNSW index: rows that were removed go, and the links through them are mended. A node that had removed
// neighbors keeps the others, and chooses more among those of the removed ones (Singh, Subramanya et al.:
// "FreshDiskANN", 2021, section 4.2). A large graph is laid out such that searches find near together what they read.
// All of it is made aside and swapped in.
#pragma once
#include "index/hnsw.h"
#include "index/hnsw_order.h"

namespace annex {

struct LinkWork;

class HnswCompactWriter final : public Writer {
 public:
  explicit HnswCompactWriter(HnswIndex& index) : index_(index) {}
  ~HnswCompactWriter() override { index_.gate_.leave(); }
  Status append(Input type, const void* rows, size_t n, const double* ids, const int32_t* cancel) override;
  Status step(const int32_t* cancel, Progress* progress) override;
  Status commit() override;

 private:
  enum class Stage { open, order, copy, code, mend, join, reach, done };

  Status part(const int32_t* cancel);
  Status open();
  Status order();
  Status lay_out();
  Status copy();
  Status code();
  Status mend();
  Status join();
  Status learn_reach(const int32_t* cancel);
  /// Nothing was removed: the graph stays as it is.
  bool whole() const { return index_.state_.removed_count == 0; }
  void copy_list(uint32_t slot, int layer);
  template <class Space>
  void mend_list(LinkWork& work, Space& space, uint32_t slot, int layer);
  bool gather(LinkWork& work, uint32_t slot, int layer, size_t* kept, size_t* found);
  uint32_t find_parent(LinkWork& work, uint32_t slot);
  void connect(uint32_t parent, uint32_t child);
  void link_tree(uint32_t from, uint32_t to);

  HnswIndex& index_;
  std::unique_ptr<HnswState> next_;
  HnswReachSample sample_;
  HnswOrder order_;
  Buffer<uint32_t> old_of_;  // slot before, by slot after
  Buffer<uint32_t> new_of_;  // slot after, by slot before, or kNoSlot
  Stage stage_ = Stage::open;
  size_t done_ = 0;          // slots of the stage
  Buffer<uint32_t> queue_;   // nodes of the spanning tree, in the order in which they were reached
  size_t expanded_ = 0;      // of those
  Buffer<uint16_t> degree_;  // tree edges; 0 for a node that is not in the tree
  bool failed_ = false;
};

}  // namespace annex
