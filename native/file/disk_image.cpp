#include "base/buffer.h"
#include "file/disk.h"
#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#define ANNEX_MAPS 1
#endif

namespace annex {

bool Image::allocate(uint64_t bytes) {
  release();
  if (bytes > SIZE_MAX / 2) return false;
  data_ = static_cast<uint8_t*>(aligned_allocate(static_cast<size_t>(bytes == 0 ? 1 : bytes)));
  if (data_ == nullptr) return false;
  bytes_ = bytes;
  return true;
}

void Image::will_read(uint64_t offset, uint64_t bytes) const {
#if defined(ANNEX_MAPS)
  constexpr uint64_t kLargestPage = 1 << 16;
  if (!mapped_ || bytes == 0) return;
  const uint64_t from = offset / kLargestPage * kLargestPage;
  madvise(data_ + from, static_cast<size_t>(offset + bytes - from), MADV_WILLNEED);
#else
  (void)offset, (void)bytes;
#endif
}

void Image::swap(Image& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(mapped_, other.mapped_);
}

void Image::release() {
  if (data_ == nullptr) return;
#if defined(ANNEX_MAPS)
  if (mapped_) {
    munmap(data_, static_cast<size_t>(bytes_));
  } else {
    aligned_release(data_);
  }
#else
  aligned_release(data_);
#endif
  data_ = nullptr;
  bytes_ = 0;
  mapped_ = false;
}

}  // namespace annex
