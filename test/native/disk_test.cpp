// Saving to paths: a disk that is full, what killed saves leave behind, processes that save to one path, and how much
// memory and how many bytes a file takes.
#if defined(__unix__) || defined(__APPLE__)
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "file_testing.h"

using testing::Bytes;
using testing::Index;

namespace {

constexpr size_t kMiB = size_t{1} << 20;
std::string directory;

std::string in(const char* name) { return directory + "/" + name; }

Bytes content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

size_t files() { return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(directory), {})); }

/// Runs fn in a process of its own, so that limits and peaks are its own; its failed checks fail this test.
template <class F>
void apart(F&& fn) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    fn();
    std::fflush(stdout);
    _exit(testing::failures == 0 ? 0 : 1);
  }
  int status = 0;
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

AnnexStatus save_to(AnnexIndex* index, const std::string& path) {
  AnnexSaver* saver = nullptr;
  AnnexStatus status = annex_saver_open(index, nullptr, 0, &saver);
  if (status == ANNEX_OK) status = annex_saver_target(saver, path.c_str());
  AnnexProgress progress{};
  while (status == ANNEX_OK && progress.finished == 0) status = annex_saver_step(saver, nullptr, &progress);
  annex_saver_close(saver);
  return status;
}

AnnexStatus open_path(const std::string& path, int32_t flags, AnnexIndex** index) {
  AnnexOpener* opener = nullptr;
  AnnexStatus status = annex_opener_open(flags, &opener);
  if (status == ANNEX_OK) status = annex_opener_path(opener, path.c_str());
  AnnexProgress progress{};
  while (status == ANNEX_OK && progress.finished == 0) status = annex_opener_step(opener, nullptr, &progress);
  if (status == ANNEX_OK) status = annex_opener_finish(opener, index);
  annex_opener_close(opener);
  return status;
}

constexpr size_t kDim = 64;

void fill(const Index& index, size_t n, float value) {
  CHECK(const_cast<Index&>(index).add(std::vector<float>(n * kDim, value).data(), n) == ANNEX_OK);
}

void test_full_disk() {
  const std::string path = in("full.annex");
  apart([&] {
    const Index old(kDim, ANNEX_L2, ANNEX_STORE_F32, ANNEX_SIDECAR_NONE);
    fill(old, 10, 1);
    CHECK(save_to(old.handle, path) == ANNEX_OK);
    const Bytes before = content(path);
    const Index index(kDim, ANNEX_L2, ANNEX_STORE_F32, ANNEX_SIDECAR_NONE);
    fill(index, 8000, 2);
    std::signal(SIGXFSZ, SIG_IGN);
    for (const rlim_t most : {rlim_t{0}, rlim_t{100}, rlim_t{70000}, rlim_t{1500000}}) {
      const rlimit limit{most, RLIM_INFINITY};
      CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
      CHECK(save_to(index.handle, path) == ANNEX_IO);
      CHECK(std::string(annex_last_error()).find("full.annex: cannot be written: ") != std::string::npos);
      CHECK(content(path) == before && files() == 1);
    }
    const rlimit none{RLIM_INFINITY, RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_FSIZE, &none) == 0);
    CHECK(save_to(index.handle, path) == ANNEX_OK && content(path).size() > before.size());
    if (access("/dev/full", W_OK) == 0) CHECK(save_to(index.handle, "/dev/full") == ANNEX_IO);
  });
  std::filesystem::remove(path);
}

// As nobody, where the test runs as root, whom nothing stops.
void test_permissions() {
  const std::string locked = in("locked"), path = locked + "/index.annex", unreadable = in("unreadable.annex");
  std::filesystem::create_directory(locked);
  const auto make = [&] {
    const Index index(kDim, ANNEX_L2, ANNEX_STORE_F32, ANNEX_SIDECAR_NONE);
    fill(index, 10, 1);
    CHECK(save_to(index.handle, path) == ANNEX_OK && save_to(index.handle, unreadable) == ANNEX_OK);
  };
  apart(make);
  const Bytes before = content(path);
  CHECK(chmod(unreadable.c_str(), 0) == 0 && chmod(locked.c_str(), 0555) == 0 && chmod(directory.c_str(), 0755) == 0);
  apart([&] {
    if (geteuid() == 0 && !CHECK(setuid(65534) == 0)) return;
    AnnexIndex* opened = nullptr;
    CHECK(open_path(unreadable, 0, &opened) == ANNEX_IO && open_path(unreadable, ANNEX_OPEN_MMAP, &opened) == ANNEX_IO);
    CHECK(std::string(annex_last_error()).find("unreadable.annex") != std::string::npos);
    const Index index(kDim, ANNEX_L2, ANNEX_STORE_F32, ANNEX_SIDECAR_NONE);
    fill(index, 20, 2);
    CHECK(save_to(index.handle, path) == ANNEX_IO);
    CHECK(std::string(annex_last_error()).find("index.annex") != std::string::npos);
    CHECK(open_path(path, ANNEX_OPEN_MMAP, &opened) == ANNEX_OK);
    annex_release(opened);
  });
  CHECK(chmod(locked.c_str(), 0755) == 0 && content(path) == before);
  CHECK(std::distance(std::filesystem::directory_iterator(locked), {}) == 1);
  std::filesystem::remove_all(locked);
  std::filesystem::remove(unreadable);
}

void test_abandoned() {
  const std::string path = in("left.annex");
  const Index index(kDim, ANNEX_L2, ANNEX_STORE_F32, ANNEX_SIDECAR_NONE);
  fill(index, 10, 1);
  for (const char* name : {"left.annex.99-0.tmp", "left.annex.1-12.tmp", "left.annex.1-.tmp", "left.annex.1-1.tmp.x",
                           "left.annex.x.tmp", "other.annex.1-1.tmp", "left.annex.5-5.tmp"}) {
    std::ofstream(in(name)) << "x";
  }
  const int writer = open(in("left.annex.5-5.tmp").c_str(), O_WRONLY);  // somebody still writes this one
  CHECK(flock(writer, LOCK_EX) == 0);
  CHECK(save_to(index.handle, path) == ANNEX_OK);
  CHECK(access(in("left.annex.99-0.tmp").c_str(), F_OK) != 0 && access(in("left.annex.1-12.tmp").c_str(), F_OK) != 0);
  CHECK(files() == 6);
  close(writer);
  CHECK(save_to(index.handle, path) == ANNEX_OK);
  CHECK(files() == 5);
  for (const auto& entry : std::filesystem::directory_iterator(directory)) std::filesystem::remove(entry);
}

// Whoever opens the path meanwhile finds one of the two files, whole.
void test_two_processes() {
  const std::string path = in("both.annex");
  const auto saves = [&](size_t n, int times) {
    const Index index(kDim, ANNEX_L2, ANNEX_STORE_F32, ANNEX_SIDECAR_NONE);
    fill(index, n, static_cast<float>(n));
    for (int i = 0; i < times; ++i) CHECK(save_to(index.handle, path) == ANNEX_OK);
  };
  apart([&] { saves(500, 1); });
  std::fflush(stdout);
  pid_t children[2];
  for (int c = 0; c < 2; ++c) {
    children[c] = fork();
    if (children[c] == 0) {
      saves(c == 0 ? 500 : 900, 40);
      _exit(testing::failures == 0 ? 0 : 1);
    }
  }
  int running = 2;
  while (running != 0) {
    AnnexIndex* index = nullptr;
    if (CHECK(open_path(path, 0, &index) == ANNEX_OK)) {
      const size_t n = annex_size(index);
      const double last = static_cast<double>(n - 1);
      std::vector<float> row(kDim);
      uint8_t found = 0;
      CHECK(n == 500 || n == 900);
      CHECK(annex_get(index, &last, 1, row.data(), &found) == ANNEX_OK && found == 1 &&
            row[0] == static_cast<float>(n));
      annex_release(index);
    }
    for (pid_t& child : children) {
      int status = 0;
      if (child == 0 || waitpid(child, &status, WNOHANG) != child) continue;
      CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
      child = 0;
      --running;
    }
  }
  CHECK(files() == 1);
  std::filesystem::remove(path);
}

#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/// Peak of this process's memory since the last reset, in bytes.
size_t peak() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) == 0) return std::strtoull(line.c_str() + 6, nullptr, 10) * 1024;
  }
  return SIZE_MAX;
}
bool reset_peak() { return static_cast<bool>(std::ofstream("/proc/self/clear_refs") << "5" << std::flush); }

void test_memory() {
  const std::string path = in("large.annex"), again = in("again.annex");
  apart([&] {
    const Index index(kDim, ANNEX_L2, ANNEX_STORE_F32, ANNEX_SIDECAR_I8);
    for (int part = 0; part < 10; ++part) fill(index, 50000, static_cast<float>(part));
    CHECK(save_to(index.handle, path) == ANNEX_OK);
  });
  const size_t size = std::filesystem::file_size(path);
  CHECK(size > 128 * kMiB);
  apart([&] {
    AnnexIndex* index = nullptr;
    CHECK(open_path(path, 0, &index) == ANNEX_OK);
    CHECK(peak() < size + 64 * kMiB);
    const bool resets = reset_peak();
    CHECK(save_to(index, again) == ANNEX_OK);
    if (resets && !CHECK(peak() < size + 64 * kMiB)) std::printf("  save: %zu of %zu\n", peak(), size);
    annex_release(index);
  });
  apart([&] {
    AnnexIndex* index = nullptr;
    CHECK(open_path(path, ANNEX_OPEN_MMAP | ANNEX_OPEN_LAZY, &index) == ANNEX_OK);
    if (!CHECK(peak() < 64 * kMiB)) std::printf("  mapped: %zu\n", peak());
    const std::vector<float> query(kDim, 3);
    double ids[5];
    float distances[5];
    AnnexSearch search{};
    search.queries = query.data();
    search.nq = 1;
    search.k = 5;
    search.ids = ids;
    search.distances = distances;
    CHECK(annex_search(index, &search) == ANNEX_OK && ids[0] == 150000 && distances[0] == 0);
    if (!CHECK(peak() < size + 64 * kMiB)) std::printf("  mapped and searched: %zu of %zu\n", peak(), size);
    annex_release(index);
  });
  // Rows, their narrow copy with its four terms, and next to nothing else.
  const double parts = 500000.0 * (kDim * 4 + kDim + 16);
  CHECK(static_cast<double>(size) <= 1.02 * parts);
  CHECK(std::filesystem::file_size(again) == size);
}
#else
void test_memory() {}
#endif

}  // namespace

int main() {
  std::string made = (std::filesystem::temp_directory_path() / "annex-disk-XXXXXX").string();
  if (!CHECK(mkdtemp(made.data()) != nullptr)) return testing::finish("disk_test");
  directory = made;
  // First what runs apart: a process with threads is not to be forked.
  test_full_disk();
  test_permissions();
  test_memory();
  std::filesystem::remove(in("large.annex"));
  std::filesystem::remove(in("again.annex"));
  test_two_processes();
  test_abandoned();
  std::filesystem::remove_all(directory);
  return testing::finish("disk_test");
}
#else
int main() { return 0; }
#endif
