// An index that came out of a file: it stands on the file's bytes in memory, which it keeps. A mapped one is loaded at
// first touch. What the file holds that this annex does not know goes into the next file that is saved.
#pragma once
#include <atomic>
#include <memory>

#include "file/reader.h"
#include "index/index.h"
#if !defined(__wasm__)
#include <mutex>
#endif

namespace annex {

class OpenedIndex final : public Index {
 public:
  static constexpr size_t kMostOptions = 64;

  /// Takes the file over. `verified`: all sections have been compared with their checksums.
  OpenedIndex(Container&& container, Image&& image, bool verified, bool thorough, bool read_only);
  ~OpenedIndex() override;
  OpenedIndex(const OpenedIndex&) = delete;
  OpenedIndex& operator=(const OpenedIndex&) = delete;

  /// The options and numbers of rows; before anything else.
  Status prepare();
  /// What reading has shown of a section: between prepare() and load().
  void found_finite(size_t section) { reader_.found_finite(section); }
  /// Builds the index, where that has not been done yet; from any thread.
  Status load() const;

  size_t size() const override;
  int64_t next_id() const override;
  size_t options(Option* out, size_t room) const override;
  Stats stats() const override;
  bool loaded() const override { return inner() != nullptr; }
  Status open_writer(WriteMode mode, Writer** out) override;
  Status remove(const double* ids, size_t n, size_t* removed) override;
  Status has(const double* ids, size_t n, uint8_t* found) const override;
  Status get(const double* ids, size_t n, void* rows, uint8_t* found) const override;
  size_t ids(size_t start, size_t n, double* out) const override;
  Status search(const SearchRequest& request) const override;
  bool divisible() const override;
  Status begin_save(Sections* out) override;
  void end_save() override;
  Status load(const SectionReader& sections) override;

  /// The metadata that the file holds, compared with its checksum.
  Status metadata(const void** data, size_t* bytes) const;

 private:
  Status load_now() const;
  Status writable() const;
  Index* inner() const { return index_.load(std::memory_order_acquire); }

  const Container container_;
  const Image image_;
  const bool verified_;
  const bool read_only_;
  FileReader reader_;
  Option options_[kMostOptions + 1];  // and that they come from a file
  size_t option_count_ = 0;
  mutable std::atomic<Index*> index_{nullptr};
  mutable Status failed_ = Status::ok;  // of the first load; guarded by loading_
  mutable char message_[512] = "";
#if !defined(__wasm__)
  mutable std::mutex loading_;
#endif
};

}  // namespace annex
