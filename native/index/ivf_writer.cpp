#include "index/ivf_writer.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "index/input.h"

namespace annex {
namespace {

// From so many rows the centre of a flat index is learnt: a fixed number, so that it does not depend on how rows are
// handed over.
constexpr size_t kCentreRows = 16384;

}  // namespace

IvfWriter::IvfWriter(IvfIndex& index, WriteMode mode)
    : index_(index),
      mode_(mode),
      encoder_(index.centroids_, index.centroid_ids_, index.options_, index.codec_, index.lists_.layout()),
      ids_(index.ids_, mode),
      rows_(index.store_) {}

IvfWriter::~IvfWriter() {
  for (size_t p = 0; p < parts_.size(); ++p) delete parts_[p];
  if (learnt_) (void)set_centre(nullptr);
  index_.gate_.leave();
}

Status IvfWriter::append(Input type, const void* rows, size_t n, const double* ids, const int32_t* cancel) {
  if (failed_) return fail(Status::invalid_argument, "an earlier part of this write failed: it can only be aborted");
  if (mode_ == WriteMode::compact) return fail(Status::invalid_argument, "compact takes no rows");
  failed_ = true;  // until all went well
  const size_t position = ids_.rows();
  Status status = check_input(index_.shape_, type, "row", rows, n, position);
  if (status == Status::ok && n != 0) status = ids_.take(ids, n);
  if (status == Status::ok && n != 0) status = stage(static_cast<const uint8_t*>(rows), n, position, cancel);
  failed_ = status != Status::ok;
  return status;
}

Status IvfWriter::stage(const uint8_t* rows, size_t n, size_t named_from, const int32_t* cancel) {
  if (index_.options_.has_store()) {
    const Status status = rows_.stage(rows, n, ids_, named_from, cancel);
    if (status != Status::ok) return status;
  }
  const size_t entries = n * index_.copies();
  const size_t bytes = entries * index_.lists_.layout().record_bytes();
  Part* part = new (std::nothrow) Part;
  if (part == nullptr) return out_of_memory(sizeof(Part));
  if (!parts_.push(part)) {
    delete part;
    return out_of_memory(parts_.bytes() * 2);
  }
  if (!part->slots.resize(n) || !part->lists.resize(entries) || !part->records.resize(bytes)) {
    return out_of_memory(bytes);
  }
  for (size_t i = 0; i < n; ++i) {
    const uint32_t target = ids_.target(i);
    part->slots[i] = target != kNoSlot ? target : static_cast<uint32_t>(index_.ids_.size() + fresh_++);
    if (target != kNoSlot && !replaced_.push(target)) return out_of_memory(replaced_.bytes() * 2);
  }
  part->named_from = named_from;
  const bool centred = index_.trained_ || learnt_;
  return centred || !index_.options_.learns_centre() ? encode(*part, rows, named_from, cancel)
                                                     : hold(*part, rows, named_from, cancel);
}

Status IvfWriter::encode(Part& part, const uint8_t* rows, size_t named_from, const int32_t* cancel) {
  const size_t n = part.slots.size();
  const Status status = encoder_.encode(rows, n, named_from, part.lists.data(), part.records.data(), cancel);
  if (status != Status::ok || !index_.options_.flat) return status;
  // Rows that replace others are written in their places.
  for (size_t i = 0; i < n; ++i) {
    if (part.slots[i] < index_.ids_.size()) part.lists[i] = UINT32_MAX;
  }
  return Status::ok;
}

// Keeps the part's rows until there are enough of them, or no more come.
Status IvfWriter::hold(Part& part, const uint8_t* rows, size_t named_from, const int32_t* cancel) {
  const size_t bytes = index_.shape_.input_bytes();
  const size_t before = held_.size() / bytes, taken = std::min(part.slots.size(), kCentreRows - before);
  if (!held_.reserve((before + taken) * bytes) || !held_.resize((before + taken) * bytes)) {
    return out_of_memory((before + taken) * bytes);
  }
  std::memcpy(held_.data() + before * bytes, rows, taken * bytes);
  ++waiting_;
  if (before + taken < kCentreRows) {
    // What is wrong with a row is told at once.
    Buffer<float> wide;
    if (!wide.resize(taken * index_.shape_.dim)) return out_of_memory(taken * bytes);
    return widen_rows(index_.options_, rows, taken, named_from, true, wide.data());
  }
  --waiting_;
  const Status status = learn_centre(cancel);
  return status == Status::ok ? encode(part, rows, named_from, cancel) : status;
}

// Learns the centre from the rows held, and codes the parts that waited for it.
Status IvfWriter::learn_centre(const int32_t* cancel) {
  const size_t dim = index_.shape_.dim, n = held_.size() / index_.shape_.input_bytes();
  Buffer<float> wide, mean;
  if (!wide.resize(n * dim)) return out_of_memory(n * dim * sizeof(float));
  Status status = widen_rows(index_.options_, held_.data(), n, parts_[0]->named_from, true, wide.data());
  if (status == Status::ok) status = mean_of(wide.data(), n, dim, &mean);
  if (status == Status::ok) status = set_centre(mean.data());
  const uint8_t* rows = held_.data();
  for (size_t p = 0; p < waiting_ && status == Status::ok; ++p) {
    status = encode(*parts_[p], rows, parts_[p]->named_from, cancel);
    rows += parts_[p]->slots.size() * index_.shape_.input_bytes();
  }
  waiting_ = 0;
  held_ = Buffer<uint8_t>();
  return status;
}

// Of an index without rows. Null: forgets it.
Status IvfWriter::set_centre(const float* centre) {
  const WriteGuard guard(index_.lock_);
  learnt_ = centre != nullptr;
  Status status = Status::ok;
  if (centre == nullptr) {
    index_.centroids_.truncate(0);
  } else {
    if (!index_.centroids_.reserve(1) || !index_.centroid_ids_.reserve(1, true)) return out_of_memory(kCacheLine);
    status = index_.centroids_.encode(0, centre, 1, 0, nullptr);
    index_.centroids_.set_size(1);
    if (index_.centroid_ids_.size() == 0) index_.centroid_ids_.append(0);
  }
  TrainProgress progress;
  if (status == Status::ok) status = index_.codec_->train_open(nullptr, 0, centre, 1);
  return status == Status::ok ? index_.codec_->train_step(nullptr, &progress) : status;
}

Status IvfWriter::commit() {
  if (failed_) return fail(Status::invalid_argument, "an earlier part of this write failed: it can only be aborted");
  if (mode_ == WriteMode::compact) return index_.lists_.compact(index_.lock_);
  return parts_.size() == 0 ? Status::ok : commit_rows();
}

void IvfWriter::write_entries(const Buffer<uint32_t>& sizes, Buffer<uint32_t>& ends, bool near, bool far) {
  IvfLists& lists = index_.lists_;
  const size_t copies = index_.copies();
  const size_t group = lists.layout().group();
  const size_t bytes = lists.layout().record_bytes();
  std::copy_n(sizes.data(), sizes.size(), ends.data());
  for (size_t p = 0; p < parts_.size(); ++p) {
    const Part& part = *parts_[p];
    for (size_t e = 0; e < part.lists.size(); ++e) {
      const uint32_t list = part.lists[e];
      if (list == UINT32_MAX) continue;
      const uint32_t at = ends[list]++;
      const bool shares = at / group * group < sizes[list];
      if (shares ? near : far) lists.write(list, at, part.records.data() + e * bytes, part.slots[e / copies]);
    }
  }
}

void IvfWriter::note_places(const Buffer<uint32_t>& sizes, Buffer<uint32_t>& ends) {
  const size_t copies = index_.copies();
  std::copy_n(sizes.data(), sizes.size(), ends.data());
  for (size_t p = 0; p < parts_.size(); ++p) {
    const Part& part = *parts_[p];
    for (size_t e = 0; e < part.lists.size(); ++e) {
      const uint32_t list = part.lists[e];
      IvfIndex::Place& place = index_.places_[part.slots[e / copies] * copies + e % copies];
      place = {list, list != UINT32_MAX ? ends[list]++ : 0};
    }
  }
}

Status IvfWriter::commit_rows() {
  if (waiting_ != 0) {
    const Status learnt = learn_centre(nullptr);
    if (learnt != Status::ok) return learnt;
  }
  IvfLists& lists = index_.lists_;
  const size_t nlist = lists.nlist();
  Buffer<uint32_t> sizes, ends;
  Buffer<float> reaches;
  if (!sizes.resize_zeroed(nlist) || !ends.resize(nlist) || !reaches.resize_zeroed(nlist)) {
    return out_of_memory(nlist * 12);
  }
  for (size_t p = 0; p < parts_.size(); ++p) {
    const Part& part = *parts_[p];
    for (size_t e = 0; e < part.lists.size(); ++e) {
      const uint32_t list = part.lists[e];
      if (list == UINT32_MAX) continue;
      ++sizes[list];
      const float reach = lists.layout().reach(part.records.data() + e * lists.layout().record_bytes());
      reaches[list] = std::max(reaches[list], reach);
    }
  }
  // Aside, while searches go on.
  Status status = lists.reserve(sizes.data(), index_.lock_);
  if (status == Status::ok && index_.options_.has_store()) status = rows_.prepare();
  if (status == Status::ok) status = ids_.prepare();
  if (status == Status::ok && replaced_.size() != 0) status = index_.make_places();
  Buffer<uint8_t> record;
  if (status == Status::ok && !record.resize(lists.layout().record_bytes())) {
    status = out_of_memory(lists.layout().record_bytes());
  }
  if (status != Status::ok) return status;
  for (size_t l = 0; l < nlist; ++l) sizes[l] = static_cast<uint32_t>(lists.size(l));
  // What no search reads can be written before the lock is taken; when entries go, the ends of lists move first.
  const bool flat = index_.options_.flat;
  const bool early = replaced_.size() == 0 || flat;
  if (early) write_entries(sizes, ends, false, true);

  const size_t rows = index_.ids_.size() + fresh_;
  const bool places = !flat && (index_.places_.size() != 0 || replaced_.size() != 0);
  const WriteGuard guard(index_.lock_);
  if (index_.options_.has_store()) status = rows_.reserve(index_.store_);
  const size_t wanted = rows * index_.copies();
  if (status == Status::ok && places && wanted > index_.places_.capacity() &&
      !index_.places_.reserve(std::max(wanted, index_.places_.size() + index_.places_.size() / 8))) {
    status = out_of_memory(wanted * sizeof(IvfIndex::Place));
  }
  if (status == Status::ok) status = ids_.commit(index_.ids_);
  if (status != Status::ok) return status;
  if (places) (void)index_.places_.resize(wanted);
  for (size_t i = 0; i < replaced_.size() && !flat; ++i) index_.drop_entries(replaced_[i], record.data());
  if (flat) write_replaced();
  if (!early) {
    for (size_t l = 0; l < nlist; ++l) sizes[l] = static_cast<uint32_t>(lists.size(l));
  }
  write_entries(sizes, ends, true, !early);
  for (size_t l = 0; l < nlist; ++l) {
    lists.set_size(l, ends[l]);
    lists.raise_reach(l, reaches[l]);
  }
  if (places) note_places(sizes, ends);
  if (index_.options_.has_store()) rows_.commit(index_.store_);
  index_.size_.store(index_.ids_.size(), std::memory_order_release);
  if (learnt_) index_.trained_.store(true, std::memory_order_release);
  learnt_ = false;
  return Status::ok;
}

// The entries of a flat index stand where their rows do: so does what replaces one.
void IvfWriter::write_replaced() {
  const size_t bytes = index_.lists_.layout().record_bytes();
  for (size_t p = 0; p < parts_.size(); ++p) {
    const Part& part = *parts_[p];
    for (size_t i = 0; i < part.slots.size(); ++i) {
      if (part.lists[i] == UINT32_MAX) {
        index_.lists_.write(0, part.slots[i], part.records.data() + i * bytes, part.slots[i]);
      }
    }
  }
}

}  // namespace annex
