#include "index/hnsw_writer.h"

#include <algorithm>
#include <new>

#include "index/input.h"

namespace annex {
HnswWriter::HnswWriter(HnswIndex& index, WriteMode mode)
    : index_(index), mode_(mode), ids_(index.state_.ids, mode), edit_(index.state_.graph) {}

HnswWriter::~HnswWriter() {
  if (!committed_) {
    HnswState& state = index_.state_;
    const WriteGuard guard(index_.lock_);
    state.rows.truncate(old_nodes());
    if (state.has_wide) state.wide.truncate(old_nodes());
    state.graph.truncate(old_nodes(), state.graph.upper_lists);
    if (state.codes != nullptr) state.codes->codes.truncate(old_nodes());
  }
  index_.gate_.leave();
}

Status HnswWriter::append(Input type, const void* rows, size_t n, const double* ids, const int32_t* cancel) {
  if (failed_) return fail(Status::invalid_argument, "an earlier part of this write failed: it can only be aborted");
  if (stage_ != Stage::open)
    return fail(Status::invalid_argument, "rows cannot follow the first step: commit, and open another writer");
  failed_ = true;  // until all went well
  HnswState& state = index_.state_;
  const size_t position = ids_.rows();
  Status status = check_input(state.rows.shape(), type, "row", rows, n, position);
  if (status == Status::ok && n != 0) {
    if (n > kMaxNodes - nodes())
      return fail(Status::unsupported, "an HNSW index holds at most %zu rows, removed ones included", kMaxNodes);
    status = ids_.take(ids, n);
  }
  if (status == Status::ok && n != 0) {
    const size_t first = old_nodes() + position;
    {
      const WriteGuard guard(index_.lock_);
      if (!state.rows.reserve(first + n, first) || (state.has_wide && !state.wide.reserve(first + n, first))) {
        return out_of_memory(n * state.rows.shape().stride());
      }
    }
    status = state.rows.encode(first, rows, n, position, cancel);
    if (status == Status::ok && state.has_wide) status = state.wide.encode(first, rows, n, position, cancel);
  }
  failed_ = status != Status::ok;
  return status;
}

Status HnswWriter::step(const int32_t* cancel, Progress* progress) {
  if (failed_) return fail(Status::invalid_argument, "an earlier part of this write failed: it can only be aborted");
  const Status status = part(cancel);
  failed_ = status != Status::ok;
  progress->phase = Phase::link;
  progress->total = static_cast<double>(ids_.rows());
  progress->done = stage_ == Stage::done ? progress->total
                   : builder_ != nullptr ? static_cast<double>(builder_->done())
                                         : 0;
  progress->finished = stage_ == Stage::done;
  return status;
}

Status HnswWriter::part(const int32_t* cancel) {
  if (cancelled(cancel)) return aborted();
  switch (stage_) {
    case Stage::open: return open();
    case Stage::code: return code(cancel);
    case Stage::link: return link(cancel);
    case Stage::reach: return learn_reach(cancel);
    default: return Status::ok;
  }
}

// Room for the new nodes, and their empty lists.
Status HnswWriter::open() {
  if (ids_.rows() == 0) {
    stage_ = Stage::done;
    return Status::ok;
  }
  HnswState& state = index_.state_;
  HnswGraph& graph = state.graph;
  const HnswOptions& options = index_.options_;
  lists_ = graph.upper_lists;
  for (size_t slot = old_nodes(); slot < nodes(); ++slot) {
    lists_ += static_cast<size_t>(level_of(options.seed, static_cast<uint32_t>(slot), options.m));
  }
  const bool anew = index_.coded_ && (state.codes == nullptr || state.codes->outgrown(nodes()));
  {
    const WriteGuard guard(index_.lock_);
    if (!graph.reserve(nodes(), lists_)) return out_of_memory(ids_.rows() * graph.bottom.stride());
    if (index_.coded_ && !anew && !state.codes->codes.reserve(nodes())) {
      return out_of_memory(ids_.rows() * state.codes->codes.stride());
    }
  }
  size_t list = graph.upper_lists;
  for (size_t slot = old_nodes(); slot < nodes(); ++slot) {
    const int level = level_of(options.seed, static_cast<uint32_t>(slot), options.m);
    graph.open_node(static_cast<uint32_t>(slot), level, static_cast<uint32_t>(list));
    list += static_cast<size_t>(level);
  }
  if (anew) {
    const RowShape& shape = state.rows.shape();
    codes_.reset(new (std::nothrow) HnswCodes(shape.metric, shape.dim));
    if (codes_ == nullptr || !codes_->codes.reserve(nodes())) return out_of_memory(nodes() * shape.dim / 2);
    const Status status = codes_->begin_learning(state.rows, nodes(), options.seed);
    if (status != Status::ok) return status;
  }
  coded_ = anew ? 0 : old_nodes();
  const HnswCodes* codes = anew ? codes_.get() : state.codes.get();
  builder_.reset(new (std::nothrow) HnswBuilder(options, state.rows, codes, graph, edit_));
  if (builder_ == nullptr || !edit_.begin()) return out_of_memory(nodes() * 4);
  stage_ = index_.coded_ ? Stage::code : Stage::link;
  return builder_->begin(static_cast<uint32_t>(old_nodes()), ids_.rows());
}

Status HnswWriter::code(const int32_t* cancel) {
  HnswState& state = index_.state_;
  HnswCodes& codes = codes_ != nullptr ? *codes_ : *state.codes;
  if (!codes.learnt()) return codes.learn_step(state.rows, cancel);
  const Status status = codes.encode_part(state.rows, &coded_, nodes(), cancel);
  if (status != Status::ok) return status;
  if (coded_ == nodes()) stage_ = Stage::link;
  return Status::ok;
}

Status HnswWriter::link(const int32_t* cancel) {
  const Status status = builder_->step(cancel);
  if (status != Status::ok || !builder_->finished()) return status;
  if (!index_.state_.reach.outgrown(nodes())) {
    stage_ = Stage::done;
    return Status::ok;
  }
  stage_ = Stage::reach;
  return sample_.begin(nodes());
}

Status HnswWriter::learn_reach(const int32_t* cancel) {
  const HnswState& state = index_.state_;
  const HnswCodes* codes = codes_ != nullptr ? codes_.get() : state.codes.get();
  const Status status = sample_.step(state.rows, codes, edit_, builder_->entry(), builder_->top(), cancel);
  if (status != Status::ok || !sample_.finished()) return status;
  reach_ = sample_.result();
  stage_ = Stage::done;
  return Status::ok;
}

Status HnswWriter::commit() {
  if (failed_) return fail(Status::invalid_argument, "an earlier part of this write failed: it can only be aborted");
  while (stage_ != Stage::done) {
    const Status status = part(nullptr);
    if (status != Status::ok) return status;
  }
  return ids_.rows() == 0 ? Status::ok : publish();
}

Status HnswWriter::publish() {
  HnswState& state = index_.state_;
  Buffer<uint32_t> removed;
  const size_t replaced = ids_.rows() - ids_.fresh();
  Status status = ids_.prepare_moved();
  if (status != Status::ok) return status;
  if (!removed.resize_zeroed(replaced == 0 ? 0 : nodes() / 32 + 1)) return out_of_memory(nodes() / 8);

  const WriteGuard guard(index_.lock_);
  if (replaced != 0) {
    std::copy_n(state.removed.data(), state.removed.size(), removed.data());
    state.removed.swap(removed);
  }
  status = ids_.commit_moved(state.ids);
  if (status != Status::ok) return status;
  for (size_t i = 0; i < replaced; ++i) state.mark_removed(ids_.vacated()[i]);
  edit_.commit();
  HnswGraph& graph = state.graph;
  const size_t total = nodes();
  graph.upper_lists = lists_;
  graph.entry = builder_->entry();
  graph.top = builder_->top();
  if (codes_ != nullptr) state.codes = std::move(codes_);
  if (reach_.known()) state.reach = reach_;
  state.rows.set_size(total);
  if (state.has_wide) state.wide.set_size(total);
  graph.nodes = total;
  committed_ = true;
  index_.size_.store(state.live(), std::memory_order_release);
  return Status::ok;
}

}  // namespace annex
