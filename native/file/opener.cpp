#include "file/opener.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>
#include <utility>

#include "base/parallel.h"
#include "kernels/dispatch.h"

namespace annex {
namespace {

constexpr size_t kPart = 256 << 10;  // summed while it is in the second-level cache
// Stretches end at multiples of this: two threads that fill one huge page would both have it zeroed.
constexpr uint64_t kStretch = kHugePage;
#if defined(__wasm__)
constexpr size_t kStretchesPerStep = 2;  // some 5 ms: the caller's thread is all there is
#else
constexpr size_t kStretchesPerStep = 64;
#endif

bool all_zero(const uint8_t* data, size_t bytes) {
  return std::all_of(data, data + bytes, [](uint8_t byte) { return byte == 0; });
}

double number(uint64_t n) { return static_cast<double>(n); }

// A section of anything else than floats seldom gets far.
bool all_finite(const uint8_t* data, size_t bytes) {
  const size_t n = bytes / sizeof(float);
  return bytes % sizeof(float) == 0 && kernels().first_nonfinite(reinterpret_cast<const float*>(data), n) == n;
}

Status cut_off(uint64_t expected, uint64_t got) {
  return fail(Status::corrupt, "expected %s%.0f bytes, got %.0f: the file was cut off; use a whole copy",
              expected == sizeof(FileHeader) ? "at least " : "", number(expected), number(got));
}

}  // namespace

Status Opener::open(const char* path) {
  failed_ = true;  // until all went well
  Status status = file_.open(path);
  if (status != Status::ok) return status;
  if (file_.size() < sizeof head_) return cut_off(sizeof head_, file_.size());
  from_file_ = true;
  if (options_.map) {
    status = file_.map(!options_.read_only, &image_);
    if (status == Status::ok) status = begin(image_.data(), file_.size());
    if (status == Status::ok) status = table_read();
  } else {
    status = file_.read(0, head_, sizeof head_);
    if (status == Status::ok) status = begin(head_, file_.size());
    const size_t table = container_.table_bytes();
    if (status == Status::ok) status = file_.read(sizeof head_, image_.data() + sizeof head_, table);
    const uint64_t sums = container_.checksums_offset();
    if (status == Status::ok) {
      status = file_.read(sums, image_.data() + sums, static_cast<size_t>(container_.length() - sums));
    }
    if (status == Status::ok) status = table_read();
  }
  failed_ = status != Status::ok;
  return status;
}

// The header is there: room for the file.
Status Opener::begin(const uint8_t* header, uint64_t known) {
  const Status status = container_.read_header(header, known);
  if (status != Status::ok) return status;
  begun_ = true;
  if (image_.mapped()) return Status::ok;
  if (container_.length() > SIZE_MAX / 2 || !image_.allocate(container_.length())) {
    return fail(Status::out_of_memory,
                "out of memory: no room for the %.0f bytes of the file; open it with mmap, or "
                "close indexes that are no longer needed",
                number(container_.length()));
  }
  std::memcpy(image_.data(), header, sizeof head_);
  return Status::ok;
}

// Table and checksums are in the image.
Status Opener::table_read() {
  Status status = container_.read_table(image_.data() + sizeof(FileHeader));
  if (status == Status::ok) status = container_.read_checksums(image_.data() + container_.checksums_offset());
  if (status == Status::ok) status = plan();
  listed_ = status == Status::ok;
  return status;
}

// Cuts what lies between the table and the checksums into stretches.
Status Opener::plan() {
  const bool reads = from_file_ && !image_.mapped();
  if (!reads && options_.lazy) return Status::ok;
  bool ok = true;
  const auto cut = [&](uint64_t from, uint64_t to, size_t section) {
    while (ok && from < to) {
      const uint64_t end = std::min(to, (from / kStretch + 1) * kStretch);
      ok = stretches_.push({from, end - from, section, 0, true});
      from = end;
    }
  };
  uint64_t at = sizeof(FileHeader) + container_.table_bytes();
  for (size_t i = 0; i < container_.size(); ++i) {
    const FileEntry& entry = container_[i];
    cut(at, entry.offset, Container::npos);
    at = entry.offset + entry.length;
    cut(entry.offset, at, i);
  }
  cut(at, container_.checksums_offset(), Container::npos);
  return ok ? Status::ok : out_of_memory(stretches_.bytes() * 2);
}

Status Opener::append(const void* data, size_t bytes) {
  if (failed_ || from_file_) return fail(Status::invalid_argument, "this opener takes no bytes (any more)");
  failed_ = true;
  const uint8_t* from = static_cast<const uint8_t*>(data);
  if (!begun_) {
    const size_t part = std::min(bytes, static_cast<size_t>(sizeof head_ - received_));
    if (part != 0) std::memcpy(head_ + received_, from, part);
    received_ += part;
    from += part;
    bytes -= part;
    if (received_ == sizeof head_) {
      const Status status = begin(head_, known_);
      if (status != Status::ok) return status;
    }
  }
  if (bytes > (begun_ ? container_.length() : 0) - (begun_ ? received_ : 0)) {
    return fail(Status::corrupt, "expected %.0f bytes, and more came: something follows the end of the file",
                number(container_.length()));
  }
  if (bytes != 0) std::memcpy(image_.data() + received_, from, bytes);
  received_ += bytes;
  failed_ = false;
  return Status::ok;
}

Status Opener::step(const int32_t* cancel, Progress* progress) {
  if (failed_) return fail(Status::invalid_argument, "an earlier step failed: close this opener");
  failed_ = true;
  Status status = Status::ok;
  if (!from_file_ && !listed_) {
    if (!begun_) return cut_off(sizeof head_, received_);
    if (received_ != container_.length()) return cut_off(container_.length(), received_);
    status = table_read();
    if (status != Status::ok) return status;
  }
  if (index_ == nullptr) {
    if (cancelled(cancel)) return aborted();
    const size_t count = std::min(kStretchesPerStep, stretches_.size() - done_);
    if (count != 0) {
      status = look(done_, count, cancel);
      done_ += count;
    } else {
      status = compare();
      if (status == Status::ok) status = build();
    }
    if (status != Status::ok) return status;
  }
  failed_ = false;
  const double total = number(container_.length());
  progress->phase = Phase::read;
  progress->total = total;
  progress->done = done_ < stretches_.size() ? number(stretches_[done_].offset) : total;
  progress->finished = index_ != nullptr;
  return Status::ok;
}

// Reads stretches where that is to be done, and sums them up while they are in the cache.
Status Opener::look(size_t first, size_t count, const int32_t* cancel) {
  std::atomic<bool> unread{false};
  std::atomic<bool> filled{false};
  const bool reads = from_file_ && !image_.mapped();
  parallel_for(count, 0, [&](size_t i) {
    if (cancelled(cancel) || unread) return;
    Stretch& stretch = stretches_[first + i];
    for (uint64_t at = 0; at < stretch.bytes; at += kPart) {
      const uint64_t offset = stretch.offset + at;
      uint8_t* data = image_.data() + offset;
      const size_t bytes = static_cast<size_t>(std::min<uint64_t>(kPart, stretch.bytes - at));
      if (reads && file_.read(offset, data, bytes) != Status::ok) {
        unread = true;
        return;
      }
      if (options_.lazy) continue;
      if (stretch.section == Container::npos) {
        if (!all_zero(data, bytes)) filled = true;
      } else {
        stretch.sum = checksum(stretch.sum, data, bytes);
        stretch.finite = stretch.finite && all_finite(data, bytes);
      }
    }
  });
  if (cancelled(cancel)) return aborted();
  if (unread) {
    // Once more on this thread, to leave the message here.
    for (size_t i = first; i < first + count; ++i) {
      const Stretch& stretch = stretches_[i];
      const Status status =
          file_.read(stretch.offset, image_.data() + stretch.offset, static_cast<size_t>(stretch.bytes));
      if (status != Status::ok) return status;
    }
    return fail(Status::io, "reading failed, and did not when it was tried again: try once more");
  }
  if (filled)
    return fail(Status::corrupt, "bytes between the sections are not zero; the file is damaged: use another copy");
  return Status::ok;
}

// The sums of the stretches, joined, are the checksums of the sections.
Status Opener::compare() const {
  if (options_.lazy) return Status::ok;
  size_t i = 0;
  for (size_t section = 0; section < container_.size(); ++section) {
    while (i < stretches_.size() && stretches_[i].section == Container::npos) ++i;
    uint32_t sum = 0;
    for (; i < stretches_.size() && stretches_[i].section == section; ++i) {
      sum = join_checksums(sum, stretches_[i].sum, stretches_[i].bytes);
    }
    if (sum != container_.checksum_of(section)) {
      return corrupt(container_[section].tag, "its checksum does not match");
    }
  }
  return Status::ok;
}

void Opener::tell_finite() const {
  for (size_t i = 0; i < stretches_.size();) {
    const size_t section = stretches_[i].section;
    bool finite = section != Container::npos && !options_.lazy;
    for (; i < stretches_.size() && stretches_[i].section == section; ++i) finite = finite && stretches_[i].finite;
    if (finite) index_->found_finite(section);
  }
}

Status Opener::build() {
  const bool mapped = image_.mapped();
  index_ = new (std::nothrow)
      OpenedIndex(std::move(container_), std::move(image_), !options_.lazy, !options_.lazy, options_.read_only);
  if (index_ == nullptr) return out_of_memory(sizeof(OpenedIndex));
  Status status = index_->prepare();
  if (status == Status::ok) tell_finite();
  if (status == Status::ok) status = index_->metadata(&metadata_, &metadata_bytes_);
  if (status == Status::ok && !(mapped && options_.lazy)) status = index_->load();
  return status;
}

Status Opener::finish(Index** out) {
  if (failed_ || index_ == nullptr) return fail(Status::invalid_argument, "the steps of opening are not finished");
  *out = index_;
  index_ = nullptr;
  metadata_ = nullptr;
  metadata_bytes_ = 0;
  failed_ = true;
  return Status::ok;
}

}  // namespace annex
