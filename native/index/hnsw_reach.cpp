#include "index/hnsw_reach.h"

#include <atomic>
#include <cmath>

#include "base/of_thread.h"
#include "base/parallel.h"
#include "index/hnsw_links.h"

namespace annex {
namespace {

constexpr Tag kReachTag = make_tag("RCHD");
constexpr size_t kMore = 6;  // candidates beyond k that are kept: estimates err
constexpr size_t kLeastSamples = 64, kMostSamples = 256;
constexpr size_t kNodesPerSample = 32;
constexpr size_t kMostPool = 1024;
constexpr size_t kStepSamples = 32;
constexpr double kMostRatio = 1e6;

}  // namespace

Reach HnswReach::of(size_t k, size_t ef, size_t nodes) const {
  if (!known() || ef >= nodes) return Reach::nearest(std::min(ef, nodes));
  return {std::min(most_of(ef), nodes), least_of(k + kMore, ef), k - 1, static_cast<float>(ratio(k, ef)), 0};
}

// Between the powers of two, and beyond them as from the last but one to the last.
double HnswReach::ratio(size_t k, size_t ef) const {
  const double factor = std::log2(static_cast<double>(ef) / static_cast<double>(k));
  const auto along = [&](size_t place) {
    const size_t i = std::min(static_cast<size_t>(factor), kFactors - 2);
    const double low = ratios_[place][i], high = ratios_[place][i + 1];
    return low * std::pow(high / low, factor - static_cast<double>(i));
  };
  const double at = std::min(std::log2(static_cast<double>(k)), static_cast<double>(kPlaces - 1));
  const size_t i = std::min(static_cast<size_t>(at), kPlaces - 2);
  const double part = at - static_cast<double>(i);
  return std::min((1 - part) * along(i) + part * along(i + 1), kMostRatio);
}

void HnswReach::save(Sections* out) const {
  if (!known()) return;
  Facts facts{};
  facts.learnt_from = learnt_from_;
  facts.longest = longest_;
  std::copy_n(&ratios_[0][0], kPlaces * kFactors, &facts.ratios[0][0]);
  out->begin(kReachTag, 1, false);
  out->copy(&facts, sizeof facts);
}

Status HnswReach::load(const SectionReader& sections) {
  if (!sections.has(kReachTag)) return Status::ok;
  Facts facts{};
  const Status status = sections.read(kReachTag, &facts);
  if (status != Status::ok) return status;
  const float* ratios = &facts.ratios[0][0];
  bool fits = facts.learnt_from >= kLeastNodes && facts.longest >= 0 && std::isfinite(facts.longest);
  for (size_t i = 0; i < kPlaces * kFactors; ++i) fits = fits && ratios[i] >= 1 && ratios[i] <= kMostRatio;
  if (!fits) return corrupt(kReachTag, "a length or ratio cannot be");
  std::copy_n(ratios, kPlaces * kFactors, &ratios_[0][0]);
  longest_ = facts.longest;
  learnt_from_ = static_cast<size_t>(std::min<uint64_t>(facts.learnt_from, kMaxNodes));
  return Status::ok;
}

Status HnswReachSample::begin(size_t nodes) {
  nodes_ = nodes;
  samples_ = std::clamp(nodes / kNodesPerSample, kLeastSamples, kMostSamples);
  pool_ = std::min(kMostPool, nodes / 4);
  done_ = 0;
  return scores_.resize(samples_ * pool_) ? Status::ok : out_of_memory(samples_ * pool_ * 4);
}

template <class Graph>
Status HnswReachSample::step(const RowStore& rows, const HnswCodes* codes, const Graph& graph, uint32_t entry, int top,
                             const int32_t* cancel) {
  const RowShape& shape = rows.shape();
  if (done_ == 0) {
    longest_ = 0;
    for (size_t slot = 0; shape.has_norms() && slot < nodes_; ++slot) longest_ = std::max(longest_, rows.norm(slot));
    longest_ = std::min(longest_, std::numeric_limits<float>::max());
  }
  const size_t begin = done_, end = std::min(samples_, begin + kStepSamples);
  std::atomic<bool> no_memory{false};
  parallel_for(end - begin, 0, [&](size_t task) {
    if (cancelled(cancel)) return;
    LinkWork& work = of_thread<LinkWork>();
    if (!work.prepare(nodes_, shape.dim, pool_ + 1, graph.room(0), pool_ + 1)) {
      no_memory = true;
      return;
    }
    const size_t sample = begin + task;
    const auto slot = static_cast<uint32_t>(uint64_t{sample} * nodes_ / samples_);
    const float offset = shape.metric == Metric::ip ? longest_ * rows.norm(slot) : 0;
    float* scores = scores_.data() + sample * pool_;
    WalkMemory& walk = work.walk;
    with_space(rows, codes, work.space, [&](auto& space) {
      space.set_new_row(slot);
      space.score(&entry, 1, walk.distances.data());
      walk.pool[0] = descend(space, graph, walk, pool_key(walk.distances[0], entry), top, 1);
      const size_t found = search_layer(space, graph, walk, 0, Reach::nearest(pool_ + 1), 1);
      size_t n = 0;
      for (size_t i = 0; i < found && n < pool_; ++i) {
        if (key_slot(walk.pool[i]) == slot) continue;
        scores[n++] = std::max(0.0f, key_distance(walk.pool[i]) + offset);
      }
      std::fill(scores + n, scores + pool_, std::numeric_limits<float>::infinity());
    });
  });
  if (no_memory) return out_of_memory(pool_ * 32);
  if (cancelled(cancel)) return aborted();
  done_ = end;
  return Status::ok;
}

template Status HnswReachSample::step(const RowStore&, const HnswCodes*, const HnswGraph&, uint32_t, int,
                                      const int32_t*);
template Status HnswReachSample::step(const RowStore&, const HnswCodes*, const HnswEdit&, uint32_t, int,
                                      const int32_t*);

// How many candidates walks with these parameters keep, on the average of the samples.
double HnswReachSample::candidates(double ratio, size_t k, size_t ef) const {
  double sum = 0;
  for (size_t sample = 0; sample < samples_; ++sample) {
    const float* scores = scores_.data() + sample * pool_;
    const float limit = static_cast<float>(scores[k - 1] * ratio);
    const auto within = static_cast<size_t>(std::upper_bound(scores, scores + pool_, limit) - scores);
    sum += static_cast<double>(std::clamp(within, HnswReach::least_of(k, ef), HnswReach::most_of(ef)));
  }
  return sum / static_cast<double>(samples_);
}

float HnswReachSample::solve(size_t k, size_t ef) const {
  double low = 0, high = std::log(kMostRatio);
  for (int i = 0; i < 20; ++i) {
    const double middle = (low + high) / 2;
    (candidates(std::exp(middle), k, ef) < static_cast<double>(ef) ? low : high) = middle;
  }
  return static_cast<float>(std::exp(high));
}

HnswReach HnswReachSample::result() const {
  HnswReach reach;
  for (size_t place = 0; place < HnswReach::kPlaces; ++place) {
    float* ratios = reach.ratios_[place];
    const size_t k = size_t{1} << place;
    for (size_t factor = 0; factor < HnswReach::kFactors; ++factor) {
      const size_t ef = k << factor;
      if (factor == 0) {
        ratios[factor] = 1;
      } else if (HnswReach::most_of(ef) <= pool_) {
        ratios[factor] = std::max(ratios[factor - 1], solve(k, ef));
      } else if (factor == 1) {
        ratios[factor] = reach.ratios_[place - 1][factor];
      } else {  // what the samples do not reach goes on as it went
        ratios[factor] = ratios[factor - 1] * (ratios[factor - 1] / ratios[factor - 2]);
      }
      ratios[factor] = std::min(ratios[factor], static_cast<float>(kMostRatio));
    }
  }
  reach.longest_ = longest_;
  reach.learnt_from_ = nodes_;
  return reach;
}

}  // namespace annex
