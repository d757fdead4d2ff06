#include "index/ivf_train.h"

#include <algorithm>
#include <cstring>

#include "index/input.h"
#include "index/ivf_encode.h"

namespace annex {
namespace {

constexpr size_t kGoodRows = 39;      // a list, below which centroids are poorly known
constexpr size_t kCodecRows = 65536;  // worth having for codebooks, however few the lists
constexpr size_t kAppendRows = 4096;
constexpr size_t kAssignedRows = 256;  // at least at a time: their lists are found together

uint64_t next_random(uint64_t* state) {  // splitmix64 (Steele, Lea and Flood 2014)
  uint64_t z = (*state += 0x9E3779B97F4A7C15u);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

}  // namespace

IvfTrainer::IvfTrainer(IvfIndex& index)
    : index_(index), random_(index.options_.seed), centroids_(index.options_.centroid_shape()) {}

IvfTrainer::~IvfTrainer() {
  if (stage_ == Stage::codec) index_.codec_->train_abort();
  index_.gate_.leave();
}

size_t IvfTrainer::most_rows() const {
  const IvfOptions& options = index_.options_;
  return std::max(options.nlist * options.max_points, kCodecRows);
}

// Keeps a uniform sample of what comes, whatever comes after (reservoir sampling: Vitter 1985, algorithm R).
Status IvfTrainer::append(Input type, const void* rows, size_t n, const double* ids, const int32_t* cancel) {
  if (failed_) return fail(Status::invalid_argument, "an earlier part of this write failed: it can only be aborted");
  if (stage_ != Stage::collect) return fail(Status::invalid_argument, "the training has begun: it takes no more rows");
  if (ids != nullptr) return fail(Status::invalid_argument, "rows to train on have no ids");
  failed_ = true;  // until all went well
  const size_t dim = index_.shape_.dim;
  const size_t input_bytes = index_.shape_.input_bytes();
  const Status checked = check_input(index_.shape_, type, "row", rows, n, seen_);
  if (checked != Status::ok) return checked;
  const size_t most = most_rows();
  Buffer<float> wide;
  if (!wide.resize(std::min(n, kAppendRows) * dim)) return out_of_memory(kAppendRows * dim * sizeof(float));
  const size_t room = std::min(most, kept_ + n) * dim;
  if (room > sample_.capacity() && !sample_.reserve(std::min(most * dim, std::max(room, 2 * sample_.size())))) {
    return out_of_memory(room * sizeof(float));
  }
  for (size_t done = 0; done < n; done += kAppendRows) {
    if (cancelled(cancel)) return aborted();
    const size_t count = std::min(kAppendRows, n - done);
    const uint8_t* input = static_cast<const uint8_t*>(rows) + done * input_bytes;
    const Status status = widen_rows(index_.options_, input, count, seen_, true, wide.data());
    if (status != Status::ok) return status;
    for (size_t i = 0; i < count; ++i, ++seen_) {
      const size_t place = kept_ < most ? kept_++ : static_cast<size_t>(next_random(&random_) % (seen_ + 1));
      if (place >= most) continue;
      if (place * dim == sample_.size()) (void)sample_.resize((place + 1) * dim);
      std::memcpy(sample_.data() + place * dim, wide.data() + i * dim, dim * sizeof(float));
    }
  }
  failed_ = false;
  return Status::ok;
}

Status IvfTrainer::begin_kmeans() {
  const IvfOptions& options = index_.options_;
  if (kept_ < options.nlist) {
    return fail(Status::invalid_argument,
                "training needs ≥ 39 × nlist rows (%zu) for good lists, at least nlist (%zu); got %zu",
                kGoodRows * options.nlist, options.nlist, seen_);
  }
  KmeansOptions wanted;
  wanted.k = options.nlist;
  wanted.dim = options.common.dim;
  wanted.spherical = options.common.metric == Metric::cosine || options.common.metric == Metric::ip;
  wanted.iterations = options.iterations;
  wanted.max_points_per_centroid = options.max_points;
  wanted.balanced = options.balanced;
  wanted.seed = options.seed;
  return kmeans_.begin(wanted, sample_.data(), kept_);
}

Status IvfTrainer::end_kmeans(const int32_t* cancel) {
  const size_t nlist = index_.options_.nlist;
  const size_t dim = index_.shape_.dim;
  Buffer<float> scaled = kmeans_.take_centroids();
  // Under ip the order of the lists is that of directions, whatever the common length of the centroids: that of the
  // rows leaves little of them to their codes.
  if (index_.options_.common.metric == Metric::ip) {
    double sum = 0;
    for (size_t i = 0; i < kept_; ++i) sum += norm_of(sample_.data() + i * dim, dim);
    const double length = sum / static_cast<double>(kept_);
    for (size_t i = 0; i < nlist * dim && length > 1e-15 && length < 1e15; ++i) {
      scaled[i] = static_cast<float>(scaled[i] * length);
    }
  }
  return set_centroids(scaled.data(), cancel);
}

// A flat index has one centre for all.
Status IvfTrainer::find_mean(const int32_t* cancel) {
  if (kept_ == 0) {
    return fail(Status::invalid_argument, "training needs %zu rows or more for good codes, at least one; got none",
                kGoodCodeRows);
  }
  Buffer<float> mean;
  const Status status = mean_of(sample_.data(), kept_, index_.shape_.dim, &mean);
  return status == Status::ok ? set_centroids(mean.data(), cancel) : status;
}

// The centroids as a small flat index; what follows is for the codec, where there is one.
Status IvfTrainer::set_centroids(const float* centroids, const int32_t* cancel) {
  const size_t nlist = index_.options_.nlist;
  const size_t dim = index_.shape_.dim;
  if (!centroids_.reserve(nlist)) return out_of_memory(nlist * dim * sizeof(float));
  const Status status = centroids_.encode(0, centroids, nlist, 0, cancel);
  if (status != Status::ok) return status;
  centroids_.set_size(nlist);
  (void)centroid_ids_.reserve(nlist, true);
  for (size_t l = 0; l < nlist; ++l) centroid_ids_.append(static_cast<int64_t>(l));
  if (index_.codec_ == nullptr) {
    stage_ = Stage::done;
    return Status::ok;
  }
  stage_ = Stage::residuals;
  // The mean of the centroids, for codecs that gain by an origin near all rows.
  return mean_of(centroids, nlist, dim, &origin_);
}

// The sample's rows less their centroids, a part of them; then the codec's training begins.
Status IvfTrainer::residuals_part(const int32_t* cancel) {
  const size_t dim = index_.shape_.dim;
  const size_t copies = index_.copies();
  // Residuals take the rows' place, unless the codec wants both.
  const bool wants_rows = index_.codec_->options().anisotropic != 0;
  if (wants_rows && residuals_ == 0) {
    if (!rows_.resize(kept_ * dim)) return out_of_memory(kept_ * dim * sizeof(float));
    std::memcpy(rows_.data(), sample_.data(), kept_ * dim * sizeof(float));
  }
  const IvfEncoder encoder(centroids_, centroid_ids_, index_.options_, index_.codec_, index_.lists_.layout());
  Buffer<uint32_t> lists;
  if (!lists.resize(std::min(kept_, kAppendRows) * copies)) return out_of_memory(kAppendRows * copies * 4);
  if (!index_.options_.residual) residuals_ = kept_;
  const double cost = static_cast<double>((index_.options_.nlist + 1) * dim);
  const size_t fits = std::max(kAssignedRows, static_cast<size_t>(kStepWork / cost));
  const size_t count = std::min({kAppendRows, fits, kept_ - residuals_});
  float* rows = sample_.data() + residuals_ * dim;
  const Status status = count == 0 ? Status::ok : encoder.assign(rows, count, lists.data(), cancel);
  if (status != Status::ok) return status;
  for (size_t i = 0; i < count; ++i) {
    // What goes into second lists is coded as well: every other row stands for that.
    uint32_t list = lists[i * copies + (residuals_ + i) % copies];
    if (list == UINT32_MAX) list = lists[i * copies];
    const float* centroid = reinterpret_cast<const float*>(centroids_.row(list));
    for (size_t d = 0; d < dim; ++d) rows[i * dim + d] -= centroid[d];
  }
  residuals_ += count;
  if (residuals_ < kept_) return Status::ok;
  stage_ = Stage::codec;
  return index_.codec_->train_open(sample_.data(), kept_, origin_.data(), 0, wants_rows ? rows_.data() : nullptr);
}

Status IvfTrainer::next(const int32_t* cancel, Progress* progress) {
  *progress = Progress{};
  progress->finished = false;
  Status status = Status::ok;
  switch (stage_) {
    case Stage::collect:
      if (index_.options_.flat) {
        status = find_mean(cancel);
        progress->phase = Phase::codebooks;
        progress->total = 1;
        return status;
      }
      status = begin_kmeans();
      stage_ = Stage::kmeans;
      progress->phase = Phase::kmeans;
      progress->total = 1;
      return status;
    case Stage::kmeans: {
      TrainProgress train;
      status = kmeans_.step(cancel, &train);
      progress->phase = Phase::kmeans;
      progress->done = train.done;
      progress->total = train.total;
      if (status != Status::ok || !train.finished) return status;
      status = end_kmeans(cancel);
      progress->finished = stage_ == Stage::done;
      return status;
    }
    case Stage::residuals:
      progress->phase = index_.options_.flat ? Phase::codebooks : Phase::kmeans;
      progress->total = 1;
      progress->done = index_.options_.flat ? 0 : 1;
      return residuals_part(cancel);
    case Stage::codec: {
      TrainProgress train;
      status = index_.codec_->train_step(cancel, &train);
      progress->phase = train.rotating ? Phase::rotation : Phase::codebooks;
      progress->done = train.done;
      progress->total = train.total;
      if (status != Status::ok || !train.finished) return status;
      stage_ = Stage::done;
      progress->finished = true;
      return status;
    }
    case Stage::done: progress->finished = true; return Status::ok;
  }
  return Status::ok;
}

Status IvfTrainer::step(const int32_t* cancel, Progress* progress) {
  if (failed_) return fail(Status::invalid_argument, "an earlier part of this write failed: it can only be aborted");
  const Status status = next(cancel, progress);
  failed_ = status != Status::ok;
  return status;
}

Status IvfTrainer::commit() {
  Progress progress;
  do {
    const Status status = step(nullptr, &progress);
    if (status != Status::ok) return status;
  } while (!progress.finished);
  const size_t blocks = centroids_.blocks();
  Index* graph = nullptr;
  const Status made = index_.make_graph(centroids_, &graph);
  if (made != Status::ok) return made;
  const WriteGuard guard(index_.lock_);
  if (!index_.centroids_.reserve_blocks(blocks)) {
    delete graph;
    return out_of_memory(blocks * sizeof(RowBlock*));
  }
  index_.graph_ = graph;
  for (size_t b = 0; b < blocks; ++b) index_.centroids_.push_block(centroids_.release_block(b));
  index_.centroids_.set_size(index_.options_.nlist);
  centroids_.set_size(0);
  index_.centroid_ids_.swap(centroid_ids_);
  index_.trained_.store(true, std::memory_order_release);
  return Status::ok;
}

}  // namespace annex
