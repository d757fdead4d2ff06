// One search of an HNSW index: by walks through the graph, or by a scan of what may be found.
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
  uint64_t code_searches() const { return coded_; }

 private:
  static constexpr size_t kDefaultEf = 96;
  static constexpr size_t kLanes = 4;       // queries that one thread has in hand at a time
  static constexpr size_t kGroup = 32;      // queries that are compared with a row while it is in the cache
  static constexpr size_t kFewQueries = 4;  // fewer are faster on one thread
  static constexpr size_t kScoredRows = 64;
  static constexpr size_t kScannedRows = 64;  // by codes at a time
  static constexpr size_t kSeeds = 16;        // of a walk through allowed rows alone
  struct Work;
  enum class Way {
    walk,     // through all nodes, as far as it takes to find enough that may be returned
    allowed,  // through allowed nodes alone, in one step or two
    codes,    // estimates of all allowed rows
    exact     // distances of all allowed rows
  };
  // hnsw_scan.cpp: the choice of the way, and scans
  Status prepare();
  size_t default_ef() const;
  Way cheapest(size_t ef);
  bool list_allowed();
  Status scan_left(size_t threads);
  void scan_rows(Work& work, const uint32_t* queries, size_t count);
  void scan_codes(Work& work, const uint32_t* queries, size_t count);
  size_t shortlisted() const;  // estimates of a scan by codes that are ranked

  // hnsw_search.cpp: walks, and ranking what was found
  bool reserve(Work& work, size_t lanes, size_t pool) const;
  Status walk_all(size_t threads);
  Status search_in_turns(Work& work, size_t begin, size_t end);
  Status search_apart(Work& work, size_t begin, size_t end);
  Status search_one(Work& work, size_t q);
  size_t fill_pool(Work& work, size_t q);
  Reach reach_for(size_t q) const;
  bool enough(const WalkMemory& memory, size_t pooled) const;
  bool promising(const WalkMemory& memory, size_t pooled) const;
  size_t held(const WalkMemory& memory, size_t pooled) const;
  bool rank(Work& work, const uint64_t* pool, size_t q, size_t pooled, size_t at_least = 0);
  void count(Work& work);
  // A query that walks do not serve: a scan will. There is room.
  void leave(size_t q) { left_[left_count_.fetch_add(1, std::memory_order_relaxed)] = static_cast<uint32_t>(q); }
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
  size_t k_ = 0;                     // no larger than what may be found
  size_t ef_ = 0;                    // candidates that may be returned
  size_t pool_ = 0;                  // the same, with those that may not be returned
  Reach reach_ = Reach::nearest(0);  // of a walk through all nodes, for no query yet
  size_t most_ = 0;                  // expansions beyond which a scan is cheaper
  SlotFilter filter_;
  size_t allowed_ = 0;
  Buffer<uint32_t> slots_;            // for a scan: what is allowed, where the filter has no list of it
  const uint32_t* listed_ = nullptr;  // `allowed_` slots
  uint32_t few_left_[kFewQueries];    // queries for a scan, where there are few: a single one allocates nothing
  Buffer<uint32_t> many_left_;        // where there are more
  uint32_t* left_ = few_left_;        // the one or the other
  std::atomic<size_t> left_count_{0};
  std::atomic<uint64_t> scanned_{0}, rescored_{0}, hops_{0}, exact_{0}, coded_{0};
};

}  // namespace annex
