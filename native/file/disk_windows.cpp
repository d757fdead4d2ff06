// Files on Windows. There mapping is reading: a mapped file could not be replaced while it is in use.
#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "file/disk.h"

namespace annex {
namespace {

constexpr size_t kMostAtOnce = size_t{1} << 30;

/// The path as the system takes it; freed by the caller, null when it is no UTF-8 or there is no memory.
wchar_t* wide(const char* path) {
  const int length = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, nullptr, 0);
  if (length <= 0) return nullptr;
  wchar_t* text = static_cast<wchar_t*>(std::malloc(static_cast<size_t>(length) * sizeof(wchar_t)));
  if (text != nullptr) MultiByteToWideChar(CP_UTF8, 0, path, -1, text, length);
  return text;
}

Status io(const char* path, const char* what) {
  return fail(Status::io, "%s: %s: system error %lu", path, what, static_cast<unsigned long>(GetLastError()));
}

HANDLE handle_of(intptr_t value) { return reinterpret_cast<HANDLE>(value); }

}  // namespace

InFile::~InFile() {
  if (handle_ != -1) CloseHandle(handle_of(handle_));
}

Status InFile::open(const char* path) {
  wchar_t* name = wide(path);
  if (name == nullptr) return fail(Status::io, "%s: expected a path of Unicode characters", path);
  const HANDLE handle = CreateFileW(name, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, nullptr,
                                    OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr);
  std::free(name);
  if (handle == INVALID_HANDLE_VALUE) return io(path, "cannot be opened");
  handle_ = reinterpret_cast<intptr_t>(handle);
  LARGE_INTEGER size;
  if (GetFileType(handle) != FILE_TYPE_DISK || !GetFileSizeEx(handle, &size)) return io(path, "expected a file");
  size_ = static_cast<uint64_t>(size.QuadPart);
  return Status::ok;
}

Status InFile::read(uint64_t offset, void* out, size_t bytes) const {
  uint8_t* to = static_cast<uint8_t*>(out);
  while (bytes != 0) {
    OVERLAPPED where{};
    where.Offset = static_cast<DWORD>(offset);
    where.OffsetHigh = static_cast<DWORD>(offset >> 32);
    DWORD got = 0;
    if (!ReadFile(handle_of(handle_), to, static_cast<DWORD>(std::min(bytes, kMostAtOnce)), &got, &where) || got == 0) {
      return fail(Status::io, "reading at byte %.0f failed: system error %lu", static_cast<double>(offset),
                  static_cast<unsigned long>(GetLastError()));
    }
    to += got;
    offset += got;
    bytes -= got;
  }
  return Status::ok;
}

Status InFile::map(bool, Image* out) const {
  Image image;
  if (!image.allocate(size_)) return out_of_memory(static_cast<size_t>(size_));
  const Status status = read(0, image.data(), static_cast<size_t>(size_));
  if (status == Status::ok) out->swap(image);
  return status;
}

OutFile::~OutFile() {
  discard();
  std::free(target_);
}

void OutFile::discard() {
  if (handle_ != -1) CloseHandle(handle_of(handle_));
  handle_ = -1;
  if (wchar_t* name = temporary_ != nullptr ? wide(temporary_) : nullptr) {
    DeleteFileW(name);
    std::free(name);
  }
  std::free(temporary_);
  temporary_ = nullptr;
}

Status OutFile::fail_io(const char* what) const { return io(target_, what); }

Status OutFile::create(const char* path) {
  static std::atomic<unsigned> count{0};
  const size_t room = std::strlen(path) + 64;
  target_ = _strdup(path);
  temporary_ = static_cast<char*>(std::malloc(room));
  if (target_ == nullptr || temporary_ == nullptr) return out_of_memory(room);
  std::snprintf(temporary_, room, "%s.%lu-%u.tmp", path, static_cast<unsigned long>(GetCurrentProcessId()),
                count.fetch_add(1));
  wchar_t* name = wide(temporary_);
  HANDLE handle = INVALID_HANDLE_VALUE;
  if (name != nullptr) {
    handle = CreateFileW(name, GENERIC_WRITE, FILE_SHARE_READ, nullptr, CREATE_NEW, FILE_ATTRIBUTE_NORMAL, nullptr);
  }
  const bool unicode = name != nullptr;
  std::free(name);
  if (handle == INVALID_HANDLE_VALUE) {
    std::free(temporary_);  // whose it is we do not know
    temporary_ = nullptr;
    if (!unicode) return fail(Status::io, "%s: expected a path of Unicode characters", path);
    return io(path, "a file beside it, to be written first, cannot be created");
  }
  handle_ = reinterpret_cast<intptr_t>(handle);
  return Status::ok;
}

Status OutFile::write(const void* data, size_t bytes) {
  const uint8_t* from = static_cast<const uint8_t*>(data);
  while (bytes != 0) {
    DWORD put = 0;
    if (!WriteFile(handle_of(handle_), from, static_cast<DWORD>(std::min(bytes, kMostAtOnce)), &put, nullptr)) {
      return fail_io("cannot be written");
    }
    from += put;
    bytes -= put;
  }
  return Status::ok;
}

void OutFile::flush_soon() {}

Status OutFile::commit() {
  if (!FlushFileBuffers(handle_of(handle_))) return fail_io("cannot be made durable");
  CloseHandle(handle_of(handle_));
  handle_ = -1;
  wchar_t* from = wide(temporary_);
  wchar_t* to = wide(target_);
  const bool moved = from != nullptr && to != nullptr &&
                     MoveFileExW(from, to, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH) != 0;
  std::free(from);
  std::free(to);
  if (!moved) return fail_io("cannot be replaced");
  std::free(temporary_);
  temporary_ = nullptr;
  return Status::ok;
}

}  // namespace annex
#endif
