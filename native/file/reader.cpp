#include "file/reader.h"

#include <algorithm>

#include "base/parallel.h"

namespace annex {
namespace {
constexpr uint64_t kPart = 256 << 10;  // bytes that one thread takes at a time; they stay in the second-level cache
}

Status FileReader::prepare(bool verified) {
  if (!state_.resize_zeroed(container_.size())) return out_of_memory(container_.size());
  for (size_t i = 0; i < state_.size(); ++i) state_[i].verified = verified;
  return read(kInfoTag, &info_);
}

bool FileReader::has(Tag tag) const {
  const size_t i = container_.find(tag);
  if (i == Container::npos) return false;
  state_[i].known = true;
  return true;
}

bool FileReader::finite(Tag tag) const {
  const size_t i = container_.find(tag);
  return i != Container::npos && state_[i].finite;
}

Status FileReader::get(Tag tag, uint16_t version, Content content, void** data, size_t* bytes) const {
  const size_t i = container_.find(tag);
  if (i == Container::npos) return corrupt(tag, "it is missing");
  const FileEntry& entry = container_[i];
  state_[i].known = true;
  if (entry.version != version) {
    return fail(Status::unsupported, "section %s: version %u, and this annex reads version %u: update it",
                TagName(tag).text, entry.version, version);
  }
  if (content == Content::steering) {
    const Status status = verify(i, nullptr, nullptr);
    if (status != Status::ok) return status;
  }
  *data = image_.data() + entry.offset;
  *bytes = static_cast<size_t>(entry.length);
  return Status::ok;
}

Status FileReader::sweep_parts(Tag tag, PartCheck check, void* context) const {
  const size_t i = container_.find(tag);
  return i == Container::npos ? corrupt(tag, "it is missing") : verify(i, check, context);
}

Status FileReader::verify(size_t i, PartCheck check, void* context) const {
  const bool sums_up = !state_[i].verified;
  if (!sums_up && check == nullptr) return Status::ok;
  const FileEntry& entry = container_[i];
  const size_t parts = static_cast<size_t>((entry.length + kPart - 1) / kPart);
  const auto length_of = [&](size_t part) { return static_cast<size_t>(std::min(kPart, entry.length - part * kPart)); };
  Buffer<uint32_t> sums;
  if (!sums.resize(parts)) return out_of_memory(parts * sizeof(uint32_t));
  parallel_for(parts, 0, [&](size_t part) {
    const uint64_t offset = part * kPart;
    const uint8_t* data = image_.data() + entry.offset + offset;
    image_.will_read(entry.offset + offset, length_of(part));
    if (sums_up) sums[part] = checksum(0, data, length_of(part));
    if (check != nullptr) check(context, data, static_cast<size_t>(offset), length_of(part));
  });
  if (!sums_up) return Status::ok;
  uint32_t sum = 0;
  for (size_t part = 0; part < parts; ++part) sum = join_checksums(sum, sums[part], length_of(part));
  if (sum != container_.checksum_of(i)) return corrupt(entry.tag, "its checksum does not match");
  state_[i].verified = true;
  return Status::ok;
}

Status FileReader::finish() const {
  for (size_t i = 0; i < state_.size(); ++i) {
    const FileEntry& entry = container_[i];
    if (state_[i].known || (entry.flags & kCritical) == 0) continue;
    return fail(Status::unsupported,
                "section %s: it is needed to read the file, and this annex does not know it: update it",
                TagName(entry.tag).text);
  }
  return Status::ok;
}

}  // namespace annex
