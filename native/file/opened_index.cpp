#include "file/opened_index.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "index/registry.h"

namespace annex {

OpenedIndex::OpenedIndex(Container&& container, Image&& image, bool verified, bool thorough, bool read_only)
    : container_(std::move(container)),
      image_(std::move(image)),
      verified_(verified),
      read_only_(read_only),
      reader_(container_, image_, thorough) {}

OpenedIndex::~OpenedIndex() { delete inner(); }

Status OpenedIndex::prepare() {
  Status status = reader_.prepare(verified_);
  void* data = nullptr;
  size_t bytes = 0;
  if (status == Status::ok) status = reader_.get(kOptionsTag, 1, Content::steering, &data, &bytes);
  if (status != Status::ok) return status;
  if (bytes % sizeof(Option) != 0 || bytes > kMostOptions * sizeof(Option)) {
    return corrupt(kOptionsTag, "expected pairs of numbers, at most %zu, got %zu bytes", kMostOptions, bytes);
  }
  if (reader_.rows() > UINT32_MAX || reader_.next_id() < 0 || reader_.next_id() > int64_t{1} << 53) {
    return corrupt(kInfoTag, "its numbers cannot be");
  }
  std::memcpy(options_, data, bytes);
  option_count_ = bytes / sizeof(Option);
  options_[option_count_] = {static_cast<double>(Key::stored), 1};
  return Status::ok;
}

Status OpenedIndex::load() const {
  if (inner() != nullptr) return Status::ok;
#if !defined(__wasm__)
  const std::lock_guard<std::mutex> guard(loading_);
#endif
  if (inner() != nullptr) return Status::ok;
  if (failed_ == Status::ok) {
    failed_ = load_now();
    if (failed_ != Status::ok) std::strncpy(message_, last_error(), sizeof message_ - 1);
    return failed_;
  }
  return fail(failed_, "%s", message_);
}

Status OpenedIndex::load_now() const {
  Index* index = nullptr;
  Status status = create_index(options_, option_count_ + 1, &index);
  if (status != Status::ok && status != Status::out_of_memory) {
    char reason[400];
    std::strncpy(reason, last_error(), sizeof reason - 1);
    reason[sizeof reason - 1] = '\0';
    return fail(status == Status::unsupported ? status : Status::corrupt, "section OPTS: %s", reason);
  }
  if (status == Status::ok) status = index->load(reader_);
  reader_.has(kMetadataTag);
  if (status == Status::ok) status = reader_.finish();
  if (status == Status::ok) {
    index_.store(index, std::memory_order_release);
  } else {
    delete index;
  }
  return status;
}

Status OpenedIndex::writable() const {
  if (read_only_) {
    return fail(Status::unsupported, "the index was opened readOnly: open it without that option to change it");
  }
  return load();
}

size_t OpenedIndex::size() const { return inner() != nullptr ? inner()->size() : static_cast<size_t>(reader_.rows()); }

int64_t OpenedIndex::next_id() const { return inner() != nullptr ? inner()->next_id() : reader_.next_id(); }

size_t OpenedIndex::options(Option* out, size_t room) const {
  std::copy_n(options_, std::min(room, option_count_), out);
  return option_count_;
}

Stats OpenedIndex::stats() const {
  if (load() == Status::ok) return inner()->stats();
  Stats stats{};
  stats.size = size();
  return stats;
}

Status OpenedIndex::open_writer(WriteMode mode, Writer** out) {
  const Status status = writable();
  return status == Status::ok ? inner()->open_writer(mode, out) : status;
}

Status OpenedIndex::remove(const double* ids, size_t n, size_t* removed) {
  *removed = 0;
  const Status status = writable();
  return status == Status::ok ? inner()->remove(ids, n, removed) : status;
}

Status OpenedIndex::has(const double* ids, size_t n, uint8_t* found) const {
  const Status status = load();
  return status == Status::ok ? inner()->has(ids, n, found) : status;
}

Status OpenedIndex::get(const double* ids, size_t n, void* rows, uint8_t* found) const {
  const Status status = load();
  return status == Status::ok ? inner()->get(ids, n, rows, found) : status;
}

size_t OpenedIndex::ids(size_t start, size_t n, double* out) const {
  return load() == Status::ok ? inner()->ids(start, n, out) : 0;
}

Status OpenedIndex::search(const SearchRequest& request) const {
  const Status status = load();
  return status == Status::ok ? inner()->search(request) : status;
}

bool OpenedIndex::divisible() const { return load() == Status::ok && inner()->divisible(); }

Status OpenedIndex::begin_save(Sections* out) {
  Status status = load();
  if (status == Status::ok) status = inner()->begin_save(out);
  if (status != Status::ok) return status;
  for (size_t i = 0; i < container_.size(); ++i) {
    if (reader_.known(i)) continue;
    const FileEntry& entry = container_[i];
    out->begin(entry.tag, entry.version, false);
    out->add(image_.data() + entry.offset, static_cast<size_t>(entry.length));
  }
  return Status::ok;
}

void OpenedIndex::end_save() { inner()->end_save(); }

Status OpenedIndex::load(const SectionReader&) { return fail(Status::internal, "an index is loaded once"); }

Status OpenedIndex::metadata(const void** data, size_t* bytes) const {
  *data = nullptr;
  *bytes = 0;
  if (!reader_.has(kMetadataTag)) return Status::ok;
  void* at = nullptr;
  const Status status = reader_.get(kMetadataTag, 1, Content::steering, &at, bytes);
  *data = at;
  return status;
}

}  // namespace annex
