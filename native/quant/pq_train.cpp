#include "quant/pq_train.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <new>

#include "base/parallel.h"
#include "base/random.h"
#include "kernels/dispatch.h"
#include "quant/anisotropic.h"
#include "quant/codebooks.h"
#include "quant/opq.h"
#include "quant/products.h"

namespace annex {
namespace {

constexpr size_t kPointsPerWord = 256;
constexpr size_t kLeastPoints = 16384;
constexpr size_t kPointsPerDimension = 64;  // for a rotation
constexpr size_t kTurns = 48;
constexpr size_t kFirstRounds = 16;  // over a quarter of the points
constexpr size_t kLastRounds = 16;   // over all of them
constexpr size_t kAimed = 8192;      // points that the anisotropic loss is trained with
constexpr size_t kAimedPerWord = 64;
constexpr size_t kSeedWords = 8;  // points that a codeword is drawn from

}  // namespace

struct PqTrainer::State {
  enum class Phase : uint8_t { sample, rotation, lines, seed, first, last, anisotropic, finished };

  PqTrainOptions options;
  const float* points = nullptr;
  const float* directions = nullptr;
  size_t n = 0;
  Phase phase = Phase::sample;
  size_t position = 0, round = 0;
  Buffer<float> sample, matrix, aims;  // aims: directions of the first points of the sample
  Buffer<uint8_t> codes;
  Lines lines;
  Opq opq;
  Codebooks books;
  Anisotropic anisotropic;

  size_t sample_size() const;
  Status take_sample(const int32_t* cancel, double* work);
  Status make_rotation(const int32_t* cancel, double* work);
  Status fill_lines(const int32_t* cancel, double* work);
  Status seed_slice(const int32_t* cancel, double* work);
  Status rounds_slice(size_t rounds, size_t count, const int32_t* cancel, double* work);
  size_t few() const { return std::min(n, std::max(n / 4, 32 * options.shape.codewords())); }
  size_t first_rounds() const;
  size_t last_rounds() const;
  bool aims_at() const { return options.anisotropic > 1 && options.shape.part() <= Anisotropic::kMostPart; }
  size_t aimed() const { return std::min(n, std::max(kAimed, kAimedPerWord * options.shape.codewords())); }
  Status open_anisotropic();
  Status advance(const int32_t* cancel, double* work);
};

PqTrainer::PqTrainer() = default;
PqTrainer::~PqTrainer() = default;
PqTrainer::PqTrainer(PqTrainer&&) noexcept = default;
PqTrainer& PqTrainer::operator=(PqTrainer&&) noexcept = default;

size_t PqTrainer::State::sample_size() const {
  if (options.max_points != 0) return options.max_points;
  const size_t points = std::max(kLeastPoints, kPointsPerWord * options.shape.codewords());
  const bool trained = options.rotate == PqTrainOptions::Rotate::opq;
  return trained ? std::max(points, kPointsPerDimension * options.dim) : points;
}

// Codebooks that come with a rotation are nearly there.
size_t PqTrainer::State::first_rounds() const {
  if (options.rotate == PqTrainOptions::Rotate::opq) return 0;
  return options.iterations == 0 ? kFirstRounds : options.iterations - last_rounds();
}
size_t PqTrainer::State::last_rounds() const {
  return options.iterations == 0 ? kLastRounds
                                 : std::min(options.iterations, std::max<size_t>(1, options.iterations / 3));
}

Status PqTrainer::begin(const PqTrainOptions& options, const float* points, size_t n, const float* directions) {
  const Status status = check_pq_shape(options.shape);
  if (status != Status::ok) return status;
  state_.reset(new (std::nothrow) State);
  if (state_ == nullptr) return out_of_memory(sizeof(State));
  state_->options = options;
  if (options.dim == 0) state_->options.dim = options.shape.dim;
  const size_t dim = state_->options.dim;
  if (dim < options.shape.dim || (options.rotate == PqTrainOptions::Rotate::none && dim != options.shape.dim)) {
    return fail(Status::invalid_argument, "codes of %zu dimensions cannot follow points of %zu", options.shape.dim,
                dim);
  }
  if (n == 0) return fail(Status::invalid_argument, "training of product codes needs at least one point");
  state_->points = points;
  state_->directions = directions != nullptr ? directions : points;
  state_->n = n;
  return Status::ok;
}

// A sample in random order, so that any part of it is one too.
Status PqTrainer::State::take_sample(const int32_t* cancel, double* work) {
  const size_t dim = options.dim, count = std::min(n, sample_size());
  Buffer<uint32_t> chosen;
  if (!chosen.resize(count) || !sample.resize(count * dim)) return out_of_memory(count * dim * sizeof(float));
  Random random(options.seed ^ 0x73616d706c65u);
  size_t taken = 0;
  for (size_t i = 0; i < n && taken < count; ++i) {
    if (random.uniform() * static_cast<double>(n - i) >= static_cast<double>(count - taken)) continue;
    chosen[taken++] = static_cast<uint32_t>(i);
  }
  for (size_t i = 0; i < count; ++i) {
    std::swap(chosen[i], chosen[i + random.below(count - i)]);
    std::memcpy(sample.data() + i * dim, points + chosen[i] * dim, dim * sizeof(float));
    if (i % 4096 == 0 && cancelled(cancel)) return aborted();
  }
  *work += 16.0 * static_cast<double>(count * dim);
  points = sample.data();
  n = count;
  if (aims_at()) {
    if (!aims.resize(aimed() * dim)) return out_of_memory(aimed() * dim * sizeof(float));
    for (size_t i = 0; i < aimed(); ++i) {
      std::memcpy(aims.data() + i * dim, directions + chosen[i] * dim, dim * sizeof(float));
    }
  }
  position = 0;
  phase = Phase::rotation;
  if (options.rotate != PqTrainOptions::Rotate::opq) return Status::ok;
  const size_t turns = options.alternations == 0 ? kTurns : options.alternations;
  return opq.begin(options.shape, dim, points, n, turns, options.seed, options.threads);
}

Status PqTrainer::State::make_rotation(const int32_t* cancel, double* work) {
  const size_t in = options.dim, out = options.shape.dim;
  if (options.rotate == PqTrainOptions::Rotate::opq) {
    if (!opq.finished()) return opq.step(cancel, work);
    matrix.swap(opq.matrix());
    books = static_cast<Codebooks&&>(opq.codebooks());
    opq = Opq();
  } else {
    if (options.rotate == PqTrainOptions::Rotate::random) {
      Rotation rotation;
      const Status status = rotation.random(in, out, options.seed);
      if (status != Status::ok) return status;
      if (!matrix.resize(in * out)) return out_of_memory(in * out * sizeof(float));
      std::memcpy(matrix.data(), rotation.matrix().data(), in * out * sizeof(float));
      *work += 2.0 * static_cast<double>(in * in) * static_cast<double>(out);
    }
    const Status status = books.open(options.shape, options.seed);
    if (status != Status::ok) return status;
  }
  phase = Phase::lines;
  const Status status = lines.open(n, out);
  if (status != Status::ok) return status;
  return codes.resize(options.shape.m * lines.padded) ? Status::ok : out_of_memory(options.shape.m * lines.padded);
}

Status PqTrainer::State::fill_lines(const int32_t* cancel, double* work) {
  constexpr size_t kUnit = 256;
  const size_t in = options.dim;
  const double cost = matrix.size() == 0 ? 16.0 * static_cast<double>(in) : static_cast<double>(matrix.size());
  const size_t wanted = static_cast<size_t>(std::max(kStepWork - *work, 0.0) / cost) / kUnit * kUnit;
  const size_t count = std::min(n - position, std::max(kUnit, wanted));
  if (matrix.size() != 0) {
    const Status status = rotate_into(lines, matrix.data(), in, points, position, count, options.threads);
    if (status != Status::ok) return status;
  } else {
    parallel_for((count + kUnit - 1) / kUnit, options.threads, [&](size_t task) {
      const size_t first = position + task * kUnit;
      lines.put_rows(points + first * in, in, first, std::min(kUnit, position + count - first));
    });
  }
  *work += cost * static_cast<double>(count);
  position += count;
  if (cancelled(cancel)) return aborted();
  if (position < n) return Status::ok;
  sample = Buffer<float>();
  position = round = 0;
  phase = options.rotate == PqTrainOptions::Rotate::opq ? Phase::first : Phase::seed;
  return Status::ok;
}

Status PqTrainer::State::seed_slice(const int32_t* cancel, double* work) {
  const size_t words = options.shape.codewords(), most = kSeedWords * words;
  const double cost = static_cast<double>(most * words * (options.shape.part() + 2));
  const size_t wanted = static_cast<size_t>(std::max(kStepWork - *work, 0.0) / cost), first = position;
  const size_t count = std::min(options.shape.m - first, std::max<size_t>(1, wanted));
  std::atomic<bool> starved{false};
  parallel_for(count, options.threads, [&](size_t task) {
    if (cancelled(cancel)) return;
    if (books.seed(lines, first + task, n, most) != Status::ok) starved.store(true, std::memory_order_relaxed);
  });
  if (starved.load()) return out_of_memory(most * sizeof(float));
  *work += cost * static_cast<double>(count);
  position += count;
  if (cancelled(cancel)) return aborted();
  if (position < options.shape.m) return Status::ok;
  position = 0;
  phase = Phase::first;
  return Status::ok;
}

// `rounds` iterations over the first `count` points, of as many at once as a step has room for.
Status PqTrainer::State::rounds_slice(size_t rounds, size_t count, const int32_t* cancel, double* work) {
  const PqShape& shape = options.shape;
  if (round < rounds) {
    const double cost = static_cast<double>(count * (shape.codewords() + 16) * shape.part());
    const double most = std::max(1.0, kStepWork / cost);
    const size_t together = most < static_cast<double>(rounds - round) ? static_cast<size_t>(most) : rounds - round;
    const double each = cost * static_cast<double>(together);
    const size_t wanted = static_cast<size_t>(std::max(kStepWork - *work, 0.0) / each), first = position;
    const size_t parts = std::min(shape.m - first, std::max<size_t>(1, wanted));
    parallel_for(parts, options.threads, [&](size_t task) {
      for (size_t r = 0; r < together && !cancelled(cancel); ++r) {
        books.improve(lines, first + task, count, round + r, codes.data() + (first + task) * lines.padded);
      }
    });
    *work += each * static_cast<double>(parts);
    position += parts;
    if (cancelled(cancel)) return aborted();
    if (position < shape.m) return Status::ok;
    position = 0;
    round += together;
  }
  if (round < rounds) return Status::ok;
  round = 0;
  if (phase == Phase::last && aims_at()) return open_anisotropic();
  phase = phase == Phase::first ? Phase::last : Phase::finished;
  return Status::ok;
}

// The first points of the sample as rows again, and their directions rotated as they are.
Status PqTrainer::State::open_anisotropic() {
  const size_t in = options.dim, out = options.shape.dim, count = aimed();
  Buffer<float> rows;
  if (!rows.resize(count * out)) return out_of_memory(count * out * sizeof(float));
  for (size_t d = 0; d < out; ++d) {
    const float* line = lines.element(d);
    for (size_t i = 0; i < count; ++i) rows[i * out + d] = line[i];
  }
  if (matrix.size() != 0) {
    Buffer<float> panels, turned;
    if (!panels.resize(panel_floats(out, in)) || !turned.resize(count * out)) {
      return out_of_memory(count * out * sizeof(float));
    }
    kernels().pack[static_cast<size_t>(Scalar::f32)](matrix.data(), in * sizeof(float), out, in, panels.data());
    const Status status =
        product_all(aims.data(), in, count, panels.data(), out, in, turned.data(), out, options.threads);
    if (status != Status::ok) return status;
    aims.swap(turned);
  }
  lines = Lines();
  phase = Phase::anisotropic;
  return anisotropic.begin(options.shape, static_cast<Buffer<float>&&>(books.data()),
                           static_cast<Buffer<float>&&>(rows), static_cast<Buffer<float>&&>(aims), count,
                           options.anisotropic, options.threads);
}

Status PqTrainer::State::advance(const int32_t* cancel, double* work) {
  switch (phase) {
    case Phase::sample: return take_sample(cancel, work);
    case Phase::rotation: return make_rotation(cancel, work);
    case Phase::lines: return fill_lines(cancel, work);
    case Phase::seed: return seed_slice(cancel, work);
    case Phase::first: return rounds_slice(first_rounds(), few(), cancel, work);
    case Phase::last: return rounds_slice(last_rounds(), n, cancel, work);
    case Phase::anisotropic: {
      const Status status = anisotropic.step(cancel, work);
      if (status != Status::ok || !anisotropic.finished()) return status;
      books.data().swap(anisotropic.codebooks());
      phase = Phase::finished;
      return Status::ok;
    }
    case Phase::finished: return Status::ok;
  }
  return Status::ok;
}

Status PqTrainer::step(const int32_t* cancel, TrainProgress* progress) {
  *progress = TrainProgress{1, 1, true};
  if (state_ == nullptr) return Status::ok;
  State& state = *state_;
  double work = 0;
  while (work < kStepWork && state.phase != State::Phase::finished) {
    if (cancelled(cancel)) return aborted();
    const Status status = state.advance(cancel, &work);
    if (status != Status::ok) return status;
  }
  // In hundredths: the rotation takes most where there is one.
  const bool opq = state.options.rotate == PqTrainOptions::Rotate::opq;
  const double start = opq ? 80 : 5;
  const double end = state.aims_at() ? start + (100 - start) / 2 : 100;
  const double rounds = static_cast<double>(state.first_rounds() + state.last_rounds());
  const double part = static_cast<double>(state.position) / static_cast<double>(state.options.shape.m);
  progress->total = 100;
  progress->finished = state.phase == State::Phase::finished;
  progress->rotating = opq && state.phase == State::Phase::rotation;
  switch (state.phase) {
    case State::Phase::sample: progress->done = 0; break;
    case State::Phase::rotation: progress->done = opq ? start * state.opq.done() : 0; break;
    case State::Phase::lines:
    case State::Phase::seed: progress->done = start; break;
    case State::Phase::first:
      progress->done = start + (end - start) * std::min(1.0, (static_cast<double>(state.round) + part) / rounds);
      break;
    case State::Phase::last: {
      const double before = static_cast<double>(state.first_rounds() + state.round);
      progress->done = start + (end - start) * std::min(1.0, (before + part) / rounds);
      break;
    }
    case State::Phase::anisotropic: progress->done = end + (100 - end) * state.anisotropic.done(); break;
    case State::Phase::finished: progress->done = 100; break;
  }
  return Status::ok;
}

Status PqTrainer::run(const int32_t* cancel) {
  TrainProgress progress;
  while (!progress.finished) {
    const Status status = step(cancel, &progress);
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

Status PqTrainer::take(ProductQuantizer* quantizer, Rotation* rotation) {
  if (state_ == nullptr || state_->phase != State::Phase::finished) {
    return fail(Status::not_trained, "the training of product codes has not ended");
  }
  State& state = *state_;
  Status status = quantizer->set(state.options.shape, static_cast<Buffer<float>&&>(state.books.data()));
  if (status == Status::ok && state.matrix.size() != 0) {
    status = rotation->set(state.options.dim, state.options.shape.dim, static_cast<Buffer<float>&&>(state.matrix));
  }
  state_.reset();
  return status;
}

}  // namespace annex
