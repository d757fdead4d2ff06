#include "index/ivf_writer.h"

#include <algorithm>
#include <new>

#include "index/input.h"

namespace annex {

IvfWriter::IvfWriter(IvfIndex& index, WriteMode mode)
    : index_(index),
      mode_(mode),
      encoder_(index.centroids_, index.centroid_ids_, index.options_, index.codec_, index.lists_.layout()),
      ids_(index.ids_, mode),
      rows_(index.store_) {}

IvfWriter::~IvfWriter() {
  for (size_t p = 0; p < parts_.size(); ++p) delete parts_[p];
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
  return encoder_.encode(rows, n, named_from, part->lists.data(), part->records.data(), cancel);
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
  const bool early = replaced_.size() == 0;
  if (early) write_entries(sizes, ends, false, true);

  const size_t rows = index_.ids_.size() + fresh_;
  const bool places = index_.places_.size() != 0 || (replaced_.size() != 0);
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
  for (size_t i = 0; i < replaced_.size(); ++i) index_.drop_entries(replaced_[i], record.data());
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
  return Status::ok;
}

}  // namespace annex
