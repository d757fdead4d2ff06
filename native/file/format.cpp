#include "file/format.h"

#include "kernels/dispatch.h"

namespace annex {
namespace {
#include "kernels/crc_algebra.inl"
}  // namespace

uint32_t checksum(uint32_t crc, const void* data, size_t bytes) {
  return bytes == 0 ? crc : kernels().crc32c(crc, data, bytes);
}

uint32_t join_checksums(uint32_t a, uint32_t b, uint64_t bytes_b) { return crc_multiply(a, crc_zeros(bytes_b)) ^ b; }

}  // namespace annex
