// A growable array of plain data that reports a failed allocation instead of throwing (WebAssembly is built without
// exceptions), aligned to cache lines; large ones to 2 MiB with huge pages asked for, since scans are bound by the TLB
// as much as by the bus. A buffer can also stand on memory of somebody else (a file in memory): it is used and
// changed in place, and left alone as soon as the buffer must grow.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <utility>
#if defined(_WIN32)
#include <malloc.h>
#elif defined(__linux__)
#include <malloc.h>
#include <sys/mman.h>
#endif

namespace annex {

inline constexpr size_t kCacheLine = 64;
inline constexpr size_t kHugePage = size_t{1} << 21;

inline void* aligned_allocate(size_t bytes) {
#if defined(_WIN32)
  return _aligned_malloc(bytes, kCacheLine);
#elif defined(__linux__)
  const size_t alignment = bytes >= kHugePage ? kHugePage : kCacheLine;
  void* pointer = nullptr;
  if (posix_memalign(&pointer, alignment, bytes) != 0) return nullptr;
  if (bytes >= kHugePage) madvise(pointer, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
  return pointer;
#else
  void* pointer = nullptr;
  return posix_memalign(&pointer, kCacheLine, bytes) == 0 ? pointer : nullptr;
#endif
}

inline void aligned_release(void* pointer) {
#if defined(_WIN32)
  _aligned_free(pointer);
#else
  std::free(pointer);
#endif
}

/// Gives what was freed back to the system, where it is much: allocators keep blocks of a size that they have seen come
/// and go.
inline void give_back_memory(size_t freed) {
#if defined(__GLIBC__)
  if (freed >= size_t{32} << 20) malloc_trim(0);
#else
  (void)freed;
#endif
}

template <class T>
class Buffer {
  static_assert(std::is_trivially_copyable_v<T>, "plain data only");

 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { release(); }

  /// Room for `count` items; keeps what is there. False when the memory cannot be had: nothing has changed then.
  [[nodiscard]] bool reserve(size_t count) {
    if (count <= capacity_) return true;
    if (count > SIZE_MAX / 2 / sizeof(T)) return false;
    T* grown = static_cast<T*>(aligned_allocate(count * sizeof(T)));
    if (grown == nullptr) return false;
    if (size_ != 0) std::memcpy(grown, data_, size_ * sizeof(T));
    release();
    data_ = grown;
    capacity_ = count;
    borrowed_ = false;
    return true;
  }

  /// Exactly `count` items, new ones unset. Grows by what is asked, no more.
  [[nodiscard]] bool resize(size_t count) {
    if (!reserve(count)) return false;
    size_ = count;
    return true;
  }

  /// Exactly `count` items, new ones all bytes zero.
  [[nodiscard]] bool resize_zeroed(size_t count) {
    const size_t old = size_;
    if (!resize(count)) return false;
    if (count > old) std::memset(static_cast<void*>(data_ + old), 0, (count - old) * sizeof(T));
    return true;
  }

  /// Appends one item, doubling the room where needed.
  [[nodiscard]] bool push(const T& item) {
    const T copy = item;  // `item` may lie in this buffer
    if (size_ == capacity_ && !reserve(capacity_ < 8 ? 8 : capacity_ * 2)) return false;
    data_[size_++] = copy;
    return true;
  }

  /// Stands on `count` items that outlive the buffer, instead of what it held.
  void borrow(T* items, size_t count) {
    release();
    data_ = items;
    size_ = capacity_ = count;
    borrowed_ = true;
  }

  void pop() { --size_; }
  void clear() { size_ = 0; }

  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  size_t bytes() const { return capacity_ * sizeof(T); }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }

  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    std::swap(borrowed_, other.borrowed_);
  }

 private:
  void release() {
    if (!borrowed_) aligned_release(data_);
  }

  T* data_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
  bool borrowed_ = false;
};

}  // namespace annex
