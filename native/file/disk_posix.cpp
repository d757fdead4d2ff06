// Files on Linux, macOS and other Unix systems.
#if (defined(__unix__) || defined(__APPLE__)) && !defined(__wasm__)
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/parallel.h"
#include "file/disk.h"

namespace annex {
namespace {

constexpr size_t kMostAtOnce = size_t{1} << 30;  // some systems refuse 2 GiB and more

Status io(const char* path, const char* what, int error) {
  return fail(Status::io, "%s: %s: %s", path, what, std::strerror(error));
}

int open_retrying(const char* path, int flags, mode_t mode) {
  int fd;
  do fd = ::open(path, flags, mode);
  while (fd < 0 && errno == EINTR);
  return fd;
}

/// The directory of a path, "." where it names none; freed by the caller.
char* directory_of(const char* path) {
  const char* slash = std::strrchr(path, '/');
  if (slash == nullptr) return strdup(".");
  return strndup(path, slash == path ? 1 : static_cast<size_t>(slash - path));
}

// Durable without its directory is not durable; but some file systems cannot sync one, and then that is that.
void sync_directory(const char* path) {
  char* directory = directory_of(path);
  if (directory == nullptr) return;
  const int fd = open_retrying(directory, O_RDONLY | O_CLOEXEC, 0);
  std::free(directory);
  if (fd < 0) return;
  (void)fsync(fd);
  ::close(fd);
}

/// Whether `name` is what OutFile::create calls a file beside `base`: base.1234-5.tmp.
bool is_temporary(const char* name, const char* base) {
  const size_t length = std::strlen(base);
  if (std::strncmp(name, base, length) != 0 || name[length] != '.') return false;
  name += length + 1;
  const size_t process = std::strspn(name, "0123456789");
  if (process == 0 || name[process] != '-') return false;
  name += process + 1;
  const size_t number = std::strspn(name, "0123456789");
  return number != 0 && std::strcmp(name + number, ".tmp") == 0;
}

// What saves that were killed have left beside `target`. Who writes such a file holds a lock on it, which ends with the
// process, wherever that runs; so a file that can be locked belongs to nobody.
void remove_abandoned(const char* target) {
  char* directory = directory_of(target);
  DIR* entries = directory != nullptr ? opendir(directory) : nullptr;
  std::free(directory);
  if (entries == nullptr) return;
  const char* slash = std::strrchr(target, '/');
  const char* base = slash == nullptr ? target : slash + 1;
  while (const dirent* entry = readdir(entries)) {
    if (!is_temporary(entry->d_name, base)) continue;
    const int fd = openat(dirfd(entries), entry->d_name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0) continue;
    struct stat facts;
    if (fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode) && flock(fd, LOCK_EX | LOCK_NB) == 0) {
      unlinkat(dirfd(entries), entry->d_name, 0);
    }
    ::close(fd);
  }
  closedir(entries);
}

/// Locks a new file; false where it was taken for an abandoned one before that.
bool keep(int fd) {
  if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) return false;
  struct stat facts;
  return fstat(fd, &facts) != 0 || facts.st_nlink != 0;
}

void close_file(void* fd) { ::close(static_cast<int>(reinterpret_cast<intptr_t>(fd))); }

// The last to close a file without a name frees its blocks and what is cached of it, which takes a third as long as
// writing it did; so another thread does.
void close_aside(int fd) {
  if (fd >= 0 && !pool_submit(close_file, reinterpret_cast<void*>(static_cast<intptr_t>(fd)))) ::close(fd);
}

int sync_file(int fd) {
#if defined(__APPLE__)
  if (fcntl(fd, F_FULLFSYNC) == 0) return 0;  // fsync alone leaves the bytes in the drive's cache
#endif
  return fsync(fd);
}

}  // namespace

InFile::~InFile() {
  if (handle_ >= 0) ::close(static_cast<int>(handle_));
}

Status InFile::open(const char* path) {
  // Not to wait for the other end of a pipe.
  const int fd = open_retrying(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
  if (fd < 0) return io(path, "cannot be opened", errno);
  handle_ = fd;
  struct stat facts;
  if (fstat(fd, &facts) != 0) return io(path, "cannot be looked at", errno);
  if (S_ISDIR(facts.st_mode)) return fail(Status::io, "%s: expected a file, and it is a directory", path);
  if (!S_ISREG(facts.st_mode)) {
    return fail(Status::io, "%s: expected a regular file: read its bytes and open those", path);
  }
  size_ = static_cast<uint64_t>(facts.st_size);
  return Status::ok;
}

Status InFile::read(uint64_t offset, void* out, size_t bytes) const {
  uint8_t* to = static_cast<uint8_t*>(out);
  while (bytes != 0) {
    const ssize_t got = pread(static_cast<int>(handle_), to, std::min(bytes, kMostAtOnce), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      return fail(Status::io, "reading at byte %.0f failed: %s", static_cast<double>(offset), strerror(errno));
    if (got == 0) {
      return fail(Status::io, "the file ended at byte %.0f while it was read: it was changed meanwhile",
                  static_cast<double>(offset));
    }
    to += got;
    offset += static_cast<uint64_t>(got);
    bytes -= static_cast<size_t>(got);
  }
  return Status::ok;
}

Status InFile::map(bool writable, Image* out) const {
  if (size_ == 0) return fail(Status::corrupt, "the file is empty");
  int flags = writable ? MAP_PRIVATE : MAP_SHARED;
#if defined(MAP_NORESERVE)
  if (writable) flags |= MAP_NORESERVE;  // room is needed for what is written to, not for the whole
#endif
  void* data = mmap(nullptr, static_cast<size_t>(size_), writable ? PROT_READ | PROT_WRITE : PROT_READ, flags,
                    static_cast<int>(handle_), 0);
  if (data == MAP_FAILED) {
    return fail(Status::io, "the file cannot be mapped: %s; open it without mmap", strerror(errno));
  }
  Image image;
  image.data_ = static_cast<uint8_t*>(data);
  image.bytes_ = size_;
  image.mapped_ = true;
  out->swap(image);
  return Status::ok;
}

OutFile::~OutFile() {
  discard();
  std::free(target_);
}

void OutFile::discard() {
  if (temporary_ != nullptr) ::unlink(temporary_);
  if (handle_ >= 0) ::close(static_cast<int>(handle_));
  std::free(temporary_);
  temporary_ = nullptr;
  handle_ = -1;
}

Status OutFile::fail_io(const char* what) const { return io(target_, what, errno); }

Status OutFile::create(const char* path) {
  // A link stays a link: the file it leads to is replaced.
  target_ = realpath(path, nullptr);
  if (target_ == nullptr) target_ = strdup(path);
  if (target_ == nullptr) return out_of_memory(std::strlen(path));
  struct stat facts;
  const bool exists = stat(target_, &facts) == 0;
  if (exists && !S_ISREG(facts.st_mode)) {
    return fail(Status::io, "%s: expected the path of a file, and there is %s", path,
                S_ISDIR(facts.st_mode) ? "a directory" : "something else");
  }
  static std::atomic<unsigned> count{0};
  const size_t room = std::strlen(target_) + 64;
  temporary_ = static_cast<char*>(std::malloc(room));
  if (temporary_ == nullptr) return out_of_memory(room);
  int fd = -1;
  for (int attempt = 0; attempt < 100 && fd < 0; ++attempt) {
    std::snprintf(temporary_, room, "%s.%ld-%u.tmp", target_, static_cast<long>(getpid()), count.fetch_add(1));
    fd = open_retrying(temporary_, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0 && errno != EEXIST) break;
    if (fd >= 0 && !keep(fd)) {
      ::close(fd);
      fd = -1;
      errno = EBUSY;
    }
  }
  if (fd < 0) {
    const int error = errno;
    std::free(temporary_);
    temporary_ = nullptr;
    return io(path, "a file beside it, to be written first, cannot be created", error);
  }
  handle_ = fd;
  remove_abandoned(target_);
  if (exists) (void)fchmod(fd, facts.st_mode & 07777);
  return Status::ok;
}

Status OutFile::write(const void* data, size_t bytes) {
  const uint8_t* from = static_cast<const uint8_t*>(data);
  while (bytes != 0) {
    const ssize_t put = ::write(static_cast<int>(handle_), from, std::min(bytes, kMostAtOnce));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_io("cannot be written");
    from += put;
    bytes -= static_cast<size_t>(put);
    written_ += static_cast<uint64_t>(put);
  }
  return Status::ok;
}

void OutFile::flush_soon() {
#if defined(__linux__)
  sync_file_range(static_cast<int>(handle_), static_cast<off_t>(flushed_), static_cast<off_t>(written_ - flushed_),
                  SYNC_FILE_RANGE_WRITE);
#endif
  flushed_ = written_;
}

Status OutFile::commit() {
  if (sync_file(static_cast<int>(handle_)) != 0) return fail_io("cannot be made durable");
  const int replaced = open_retrying(target_, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0);
  // Closed afterwards: until then the lock says that the file is not abandoned.
  if (rename(temporary_, target_) != 0) {
    const Status status = fail_io("cannot be replaced");
    close_aside(replaced);
    return status;
  }
  close_aside(replaced);
  std::free(temporary_);
  temporary_ = nullptr;
  ::close(static_cast<int>(handle_));
  handle_ = -1;
  sync_directory(target_);
  return Status::ok;
}

}  // namespace annex
#endif
