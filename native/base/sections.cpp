#include "base/sections.h"

#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace annex {

TagName::TagName(Tag tag) {
  for (int i = 0; i < 4; ++i) {
    const char c = static_cast<char>(tag >> (8 * i) & 255);
    text[i] = c >= ' ' && c <= '~' ? c : '?';
  }
  text[4] = '\0';
}

Sections::~Sections() {
  for (size_t i = 0; i < own_.size(); ++i) std::free(own_[i]);
}

void Sections::begin(Tag tag, uint16_t version, bool critical) {
  ok_ = ok_ && sections_.push({tag, version, critical, spans_.size(), 0, 0});
}

void Sections::add(const void* data, size_t bytes) {
  if (!ok_ || bytes == 0) return;
  ok_ = spans_.push({data, bytes});
  if (!ok_) return;
  Section& section = sections_[sections_.size() - 1];
  ++section.spans;
  section.bytes += bytes;
}

uint8_t* Sections::make(size_t bytes) {
  if (!ok_) return nullptr;
  void* memory = std::calloc(bytes == 0 ? 1 : bytes, 1);
  ok_ = memory != nullptr && own_.push(memory);
  if (!ok_) {
    std::free(memory);
    return nullptr;
  }
  add(memory, bytes);
  return ok_ ? static_cast<uint8_t*>(memory) : nullptr;
}

void Sections::copy(const void* data, size_t bytes) {
  if (uint8_t* memory = make(bytes); memory != nullptr && bytes != 0) std::memcpy(memory, data, bytes);
}

void Sections::zeros(size_t bytes) {
  static constexpr uint8_t kZeros[4096] = {};
  for (size_t part = 0; bytes != 0; bytes -= part) {
    part = bytes < sizeof kZeros ? bytes : sizeof kZeros;
    add(kZeros, part);
  }
}

Status check_finite(Tag tag, const float* values, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    if (!std::isfinite(values[i])) return corrupt(tag, "value %zu is NaN or Infinity", i);
  }
  return Status::ok;
}

Status SectionReader::need(Tag tag, Content content, uint64_t bytes, void** data, uint16_t version) const {
  size_t length = 0;
  const Status status = get(tag, version, content, data, &length);
  if (status != Status::ok) return status;
  if (length == bytes) return Status::ok;
  return corrupt(tag, "expected %.0f bytes, got %.0f", static_cast<double>(bytes), static_cast<double>(length));
}

Status corrupt(Tag tag, const char* format, ...) {
  char text[320];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return fail(Status::corrupt, "section %s: %s; the file is damaged: use another copy", TagName(tag).text, text);
}

}  // namespace annex
