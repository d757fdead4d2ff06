#include "index/hnsw_reach.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <iterator>

#include "base/of_thread.h"
#include "base/parallel.h"
#include "base/steps.h"
#include "index/hnsw_links.h"

namespace annex {
namespace {

constexpr Tag kReachTag = make_tag("RCHD");
constexpr size_t kLeastSamples = 64, kMostSamples = 256;
constexpr size_t kNodesPerSample = 32;
constexpr size_t kMostPool = 1024;
constexpr size_t kStepSamples = 32 / kStepParts;
constexpr double kMostRatio = 1e6;
constexpr size_t kNearest = 10;   // neighbors that the usual pool is to find
constexpr size_t kWeighed = 64;   // candidates of a long walk among which they are
constexpr double kEnough = 0.97;  // of them
constexpr size_t kUsual[] = {32, 48, 64, 96, 128, 192, 256};

}  // namespace

Reach HnswReach::of(size_t k, size_t ef, size_t nodes, bool estimates) const {
  Reach reach = Reach::nearest(std::min(ef, nodes));
  if (known() && ef < nodes) {
    reach = {std::min(most_of(ef), nodes), least_of(k, ef), k - 1, static_cast<float>(ratio(k, ef))};
  }
  if (estimates) reach.more = kSpare;
  return reach;
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
  facts.usual = static_cast<uint32_t>(usual_);
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
  fits = fits && facts.usual <= std::end(kUsual)[-1];
  if (!fits) return corrupt(kReachTag, "a length, ratio or efSearch cannot be");
  std::copy_n(ratios, kPlaces * kFactors, &ratios_[0][0]);
  longest_ = facts.longest;
  usual_ = facts.usual;
  learnt_from_ = static_cast<size_t>(std::min<uint64_t>(facts.learnt_from, kMaxNodes));
  return Status::ok;
}

Status HnswReachSample::begin(size_t nodes) {
  nodes_ = nodes;
  samples_ = std::clamp(nodes / kNodesPerSample, kLeastSamples, kMostSamples);
  pool_ = std::min(kMostPool, nodes / 4);
  pass_ = done_ = 0;
  finished_ = false;
  reach_ = HnswReach();
  const bool fits = scores_.resize(samples_ * pool_) && nearest_.resize(samples_ * kNearest) && found_.resize(samples_);
  return fits ? Status::ok : out_of_memory(samples_ * (pool_ + kNearest + 1) * 4);
}

/// Where walks go.
template <class Graph>
struct HnswReachSample::Place {
  const RowStore& rows;
  const HnswCodes* codes;
  const Graph& graph;
  uint32_t entry;
  int top;
};

template <class Graph>
Status HnswReachSample::step(const RowStore& rows, const HnswCodes* codes, const Graph& graph, uint32_t entry, int top,
                             const int32_t* cancel) {
  const Place<Graph> place{rows, codes, graph, entry, top};
  if (pass_ == 0 && done_ == 0) {
    float longest = 0;
    for (size_t slot = 0; rows.shape().has_norms() && slot < nodes_; ++slot) {
      longest = std::max(longest, rows.norm(slot));
    }
    reach_.longest_ = std::min(longest, std::numeric_limits<float>::max());
  }
  const size_t begin = done_, end = std::min(samples_, begin + kStepSamples);
  std::atomic<bool> no_memory{false};
  parallel_for(end - begin, 0, [&](size_t task) {
    if (cancelled(cancel)) return;
    if (!(pass_ == 0 ? look_far(place, begin + task) : look_near(place, begin + task))) no_memory = true;
  });
  if (no_memory) return out_of_memory(pool_ * 32);
  if (cancelled(cancel)) return aborted();
  done_ = end;
  if (done_ == samples_) end_pass();
  return Status::ok;
}

template Status HnswReachSample::step(const RowStore&, const HnswCodes*, const HnswGraph&, uint32_t, int,
                                      const int32_t*);
template Status HnswReachSample::step(const RowStore&, const HnswCodes*, const HnswEdit&, uint32_t, int,
                                      const int32_t*);

// A long walk: how far the candidates are, and which rows are nearest. False: out of memory.
template <class Graph>
bool HnswReachSample::look_far(const Place<Graph>& place, size_t sample) {
  const RowShape& shape = place.rows.shape();
  LinkWork& work = of_thread<LinkWork>();
  WalkMemory& walk = work.walk;
  if (!work.prepare(nodes_, shape.dim, pool_ + 1, place.graph.room(0), pool_ + 1)) return false;
  const uint32_t slot = slot_of(sample);
  const float offset = shape.metric == Metric::ip ? reach_.longest_ * place.rows.norm(slot) : 0;
  float* scores = scores_.data() + sample * pool_;
  size_t n = 0;
  with_space(place.rows, place.codes, work.space, [&](auto& space) {
    space.set_new_row(slot);
    space.score(&place.entry, 1, walk.distances.data());
    walk.pool[0] = descend(space, place.graph, walk, pool_key(walk.distances[0], place.entry), place.top, 1);
    const size_t found = search_layer(space, place.graph, walk, 0, Reach::nearest(pool_ + 1), 1);
    for (size_t i = 0; i < found && n < pool_; ++i) {
      if (key_slot(walk.pool[i]) == slot) continue;
      work.slots[n] = key_slot(walk.pool[i]);
      scores[n++] = std::max(0.0f, key_distance(walk.pool[i]) + offset);
    }
    std::fill(scores + n, scores + pool_, std::numeric_limits<float>::infinity());
  });
  n = std::min(n, kWeighed);
  RowSpace exact(place.rows, work.space);
  exact.set_row(slot);
  exact.score(work.slots.data(), n, work.distances.data());
  for (size_t i = 0; i < n; ++i) work.keys[i] = pool_key(work.distances[i], work.slots[i]);
  std::sort(work.keys.data(), work.keys.data() + n);
  uint32_t* nearest = nearest_.data() + sample * kNearest;
  std::fill_n(nearest, kNearest, kNoLink);
  for (size_t i = 0; i < std::min(n, kNearest); ++i) nearest[i] = key_slot(work.keys[i]);
  return true;
}

// A usual walk, which finds some of them. It counts the row itself as seen, for that has links to its neighbors: no
// query of a caller's has such a node.
template <class Graph>
bool HnswReachSample::look_near(const Place<Graph>& place, size_t sample) {
  const RowShape& shape = place.rows.shape();
  LinkWork& work = of_thread<LinkWork>();
  WalkMemory& walk = work.walk;
  Reach reach = reach_.of(kNearest, kUsual[pass_ - 1], nodes_, place.codes != nullptr);
  if (!work.prepare(nodes_, shape.dim, reach.room(), place.graph.room(0), pool_ + 1)) return false;
  const uint32_t slot = slot_of(sample);
  if (shape.metric == Metric::ip) reach.offset = reach_.longest_ * place.rows.norm(slot);
  with_space(place.rows, place.codes, work.space, [&](auto& space) {
    space.set_new_row(slot);
    space.score(&place.entry, 1, walk.distances.data());
    const uint64_t entry = pool_key(walk.distances[0], place.entry);
    const uint64_t near = descend(space, place.graph, walk, entry, place.top, 1);
    walk.pool[0] = key_slot(near) == slot ? entry : near;
    walk.visited.add(slot);
    const size_t found = search_layer(space, place.graph, walk, 0, reach, 1);
    const uint32_t* nearest = nearest_.data() + sample * kNearest;
    found_[sample] = 0;
    for (size_t i = 0; i < found; ++i) {
      found_[sample] += std::find(nearest, nearest + kNearest, key_slot(walk.pool[i])) != nearest + kNearest;
    }
  });
  return true;
}

void HnswReachSample::end_pass() {
  done_ = 0;
  if (pass_ == 0) {
    learn_ratios();
  } else {
    size_t found = 0, wanted = 0;
    for (size_t i = 0; i < samples_; ++i) found += found_[i];
    for (size_t i = 0; i < samples_ * kNearest; ++i) wanted += nearest_[i] != kNoLink;
    reach_.usual_ = kUsual[pass_ - 1];
    finished_ = pass_ == std::size(kUsual) || static_cast<double>(found) >= kEnough * static_cast<double>(wanted);
  }
  ++pass_;
}

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

void HnswReachSample::learn_ratios() {
  for (size_t place = 0; place < HnswReach::kPlaces; ++place) {
    float* ratios = reach_.ratios_[place];
    const size_t k = size_t{1} << place;
    for (size_t factor = 0; factor < HnswReach::kFactors; ++factor) {
      const size_t ef = k << factor;
      if (factor == 0) {
        ratios[factor] = 1;
      } else if (HnswReach::most_of(ef) <= pool_) {
        ratios[factor] = std::max(ratios[factor - 1], solve(k, ef));
      } else if (factor == 1) {
        ratios[factor] = reach_.ratios_[place - 1][factor];
      } else {  // what the samples do not reach goes on as it went
        ratios[factor] = ratios[factor - 1] * (ratios[factor - 1] / ratios[factor - 2]);
      }
      ratios[factor] = std::min(ratios[factor], static_cast<float>(kMostRatio));
    }
  }
  reach_.learnt_from_ = nodes_;
}

}  // namespace annex
