// How far from the query a walk looks. A pool of efSearch candidates is too long for most queries, whose neighbors are
// much nearer than what follows them, and too short for some. So a walk keeps, and expands, the candidates whose
// distance is at most so many times that of the k-th best (Al-Jazzazi, Diwan et al.: "Distance adaptive beam search for
// provably accurate graph-based nearest neighbor search", 2025): as many times as makes efSearch candidates on the
// average. What that comes to is learnt from the index itself, by walks to some of its rows; and so is the efSearch
// that a search has where none is given: how many candidates find enough differs by far from rows to rows.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/sections.h"
#include "index/hnsw_codes.h"
#include "index/hnsw_graph.h"
#include "index/hnsw_walk.h"

namespace annex {

class HnswReach {
 public:
  /// True when `nodes` nodes are so many more than it learnt from that it should learn anew.
  bool outgrown(size_t nodes) const { return nodes >= kLeastNodes && nodes >= learnt_from_ + learnt_from_ / 2; }
  bool known() const { return learnt_from_ != 0; }
  /// Candidates that are kept and looked at, though not expanded, where estimates order them.
  static constexpr size_t kSpare = 6;
  /// Of a walk for the k nearest with `ef` candidates on the average, k ≤ ef; by estimates or by distances.
  Reach of(size_t k, size_t ef, size_t nodes, bool estimates) const;
  /// The efSearch that finds some 97 of 100 of the ten nearest; 0 where that is not known.
  size_t usual() const { return usual_; }
  /// The greatest length of a row.
  float longest() const { return longest_; }

  void save(Sections* out) const;
  /// Where there is a section: files of before have none.
  Status load(const SectionReader& sections);

 private:
  friend class HnswReachSample;
  // Candidates that any walk keeps, and that none exceeds.
  static size_t least_of(size_t k, size_t ef) { return std::max(k, ef / 4); }
  static size_t most_of(size_t ef) { return 4 * ef; }
  double ratio(size_t k, size_t ef) const;
  static constexpr size_t kLeastNodes = 512;
  static constexpr size_t kPlaces = 9;    // k: powers of two up to 256
  static constexpr size_t kFactors = 10;  // ef over k: powers of two up to 512
  struct Facts {
    uint64_t learnt_from;
    float longest;
    float ratios[kPlaces][kFactors];
    uint32_t usual;
  };
  static_assert(sizeof(Facts) == 376);

  float ratios_[kPlaces][kFactors] = {};
  float longest_ = 0;
  size_t learnt_from_ = 0;
  size_t usual_ = 0;
};

/// Learns it, in steps: walks from rows spread evenly over the graph; long ones first, then, with what is known from
/// these, ones of longer and longer usual pools until enough of what the long ones found is found.
class HnswReachSample {
 public:
  Status begin(size_t nodes);
  /// The next part, in parallel; `graph` has `nodes` nodes, and is entered at `entry` on layer `top`.
  template <class Graph>
  Status step(const RowStore& rows, const HnswCodes* codes, const Graph& graph, uint32_t entry, int top,
              const int32_t* cancel);
  bool finished() const { return finished_; }
  /// Of a finished one.
  const HnswReach& result() const { return reach_; }

 private:
  template <class Graph>
  struct Place;
  template <class Graph>
  bool look_far(const Place<Graph>& place, size_t sample);
  template <class Graph>
  bool look_near(const Place<Graph>& place, size_t sample);
  void end_pass();
  void learn_ratios();
  double candidates(double ratio, size_t k, size_t ef) const;
  float solve(size_t k, size_t ef) const;
  uint32_t slot_of(size_t sample) const { return static_cast<uint32_t>(uint64_t{sample} * nodes_ / samples_); }

  size_t nodes_ = 0, samples_ = 0, pool_ = 0;
  size_t pass_ = 0, done_ = 0;  // samples of this pass
  bool finished_ = false;
  Buffer<float> scores_;      // `pool_` a sample, ascending; infinite where there are fewer
  Buffer<uint32_t> nearest_;  // the ten nearest of each
  Buffer<uint32_t> found_;    // how many of them a usual walk has found
  HnswReach reach_;
};

}  // namespace annex
