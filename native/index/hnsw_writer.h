// Writes to an HNSW index. Rows, codes and links of new nodes are written where they will stay, behind what searches
// see; changes to the lists of old nodes are kept aside until commit.
#pragma once
#include "index/hnsw.h"
#include "index/staging.h"

namespace annex {

class HnswWriter final : public Writer {
 public:
  HnswWriter(HnswIndex& index, WriteMode mode);
  ~HnswWriter() override;
  Status append(Input type, const void* rows, size_t n, const double* ids, const int32_t* cancel) override;
  Status step(const int32_t* cancel, Progress* progress) override;
  Status commit() override;

 private:
  enum class Stage { open, code, link, reach, done };

  Status part(const int32_t* cancel);
  Status open();
  Status code(const int32_t* cancel);
  Status link(const int32_t* cancel);
  Status learn_reach(const int32_t* cancel);
  Status publish();
  size_t old_nodes() const { return index_.state_.graph.nodes; }
  size_t nodes() const { return old_nodes() + ids_.rows(); }

  HnswIndex& index_;
  const WriteMode mode_;
  StagedIds ids_;
  HnswEdit edit_;
  std::unique_ptr<HnswCodes> codes_;  // made anew; else those of the index serve
  std::unique_ptr<HnswBuilder> builder_;
  HnswReachSample sample_;
  HnswReach reach_;  // learnt anew
  Stage stage_ = Stage::open;
  size_t lists_ = 0;  // above the bottom, with those of the new nodes
  size_t coded_ = 0;
  bool failed_ = false;
  bool committed_ = false;
};

}  // namespace annex
