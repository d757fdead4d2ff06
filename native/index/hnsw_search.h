// One search of an HNSW index.
#pragma once
#include <atomic>

#include "base/top_k.h"
#include "index/hnsw.h"
#include "index/hnsw_links.h"
#include "index/slot_filter.h"

namespace annex {

class HnswSearch {
 public:
  HnswSearch(const HnswState& state, const SearchRequest& request);
  Status run();
  uint64_t scanned() const { return scanned_; }
  uint64_t rescored() const { return rescored_; }
  uint64_t hops() const { return hops_; }
  uint64_t exact_searches() const { return exact_; }

 private:
  struct Work;
  enum class Way {
    walk,     // through all nodes, with room in the pool for those that may not be returned
    allowed,  // through allowed nodes alone, in one step or two
    codes,    // estimates of all allowed rows
    exact     // distances of all allowed rows
  };
  Status prepare();
  bool reserve(Work& work, size_t lanes, size_t pool) const;
  Status search_in_turns(Work& work, size_t begin, size_t end);
  Status search_apart(Work& work, size_t begin, size_t end);
  Status search_one(Work& work, size_t q);
  size_t fill_pool(Work& work, size_t q, size_t pool);
  bool rank(Work& work, const WalkMemory& memory, size_t q, size_t pooled);
  template <class Space>
  size_t scan_codes(Work& work, Space& space);
  Status scan_allowed(Work& work, size_t q);
  bool allowed(size_t slot) const { return filter_.allows(slot) && !state_.is_removed(slot); }
  RowScorer::Query scored_query(size_t q) const {
    return {query(q), shape_.metric == Metric::cosine ? query_norm(shape_, query(q)) : 0};
  }
  const uint8_t* query(size_t q) const { return static_cast<const uint8_t*>(request_.queries) + q * query_bytes_; }

  const HnswState& state_;
  const SearchRequest& request_;
  const RowShape& shape_;
  const RowScorer decide_;  // the distances that are reported
  const size_t query_bytes_;
  Way way_ = Way::walk;
  size_t k_ = 0;            // no larger than what may be found
  size_t pool_ = 0;         // length of the pool
  Buffer<uint32_t> slots_;  // exact, codes: what is allowed
  SlotFilter filter_;
  size_t allowed_ = 0;
  std::atomic<uint64_t> scanned_{0}, rescored_{0}, hops_{0}, exact_{0};
};

}  // namespace annex
