// The native side of the two objects that JavaScript holds: an index and a writer.
#pragma once
#include <node_api.h>

#include <memory>
#include <string>
#include <utility>

#include "api/annex.h"
#include "node/environment.h"

namespace annex::node {

/// One reference to an index of the core, shared by the handle, its writers and its running tasks; the last one out
/// releases it.
class Index {
 public:
  Index() = default;
  ~Index();
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  /// Takes over a reference; once.
  void hold(AnnexIndex* core);
  AnnexIndex* core() const { return core_; }
  size_t dim() const { return dim_; }
  /// How rows are given to the index and got back from it.
  AnnexInput input() const { return input_; }

  /// Tells the garbage collector how much memory the handle keeps alive now. JavaScript thread only.
  void account(napi_env env);
  /// Takes it all back, for good: the handle is closed or collected.
  void close(napi_env env);
  bool open() const { return open_; }

 private:
  AnnexIndex* core_ = nullptr;
  size_t dim_ = 0;
  AnnexInput input_ = ANNEX_F32;
  bool open_ = true;       // JavaScript thread only
  int64_t accounted_ = 0;  // JavaScript thread only
};

struct IndexHandle {
  static constexpr napi_type_tag tag = {0x6f1c2b8e5d3a4970, 0x9b07e4d1c2a85f36};

  std::shared_ptr<Index> index;  // null after close()
};

/// A staged write, shared by its handle and its running task; the last one out aborts what was not committed.
class Writer {
 public:
  explicit Writer(std::shared_ptr<Index> index) : index_(std::move(index)) {}
  ~Writer() { annex_writer_abort(core_); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  Index& index() const { return *index_; }
  AnnexStatus open(AnnexWriteMode mode) { return annex_writer_open(index_->core(), mode, &core_); }
  AnnexStatus append(AnnexInput type, const void* rows, size_t n, const double* ids, const int32_t* cancel) {
    return annex_writer_append(core_, type, rows, n, ids, cancel);
  }
  AnnexStatus step(const int32_t* cancel, AnnexProgress* progress) {
    return annex_writer_step(core_, cancel, progress);
  }
  /// The core frees its writer, also when this fails.
  AnnexStatus commit() { return annex_writer_commit(std::exchange(core_, nullptr)); }

 private:
  AnnexWriter* core_ = nullptr;
  const std::shared_ptr<Index> index_;
};

struct WriterHandle {
  static constexpr napi_type_tag tag = {0x35d0c7f92ae1486b, 0xa4e86d1b7f30c259};

  std::shared_ptr<Writer> writer;  // null after commit or abort
  Task* task = nullptr;            // works on the writer now
};

/// An index on its way into a file, shared by its handle and its running task.
class Saving {
 public:
  explicit Saving(std::shared_ptr<Index> index) : index_(std::move(index)) {}
  ~Saving() { annex_saver_close(core_); }
  Saving(const Saving&) = delete;
  Saving& operator=(const Saving&) = delete;

  AnnexStatus open(const void* metadata, size_t bytes) {
    return annex_saver_open(index_->core(), metadata, bytes, &core_);
  }
  AnnexSaver* core() const { return core_; }
  /// The path is created in the first step, off the JavaScript thread.
  void set_path(std::string path) { path_ = std::move(path); }
  AnnexStatus step(const int32_t* cancel, AnnexProgress* progress);

 private:
  AnnexSaver* core_ = nullptr;
  const std::shared_ptr<Index> index_;
  std::string path_;  // until it is created
};

/// A file on its way in.
class Opening {
 public:
  Opening() = default;
  ~Opening() { annex_opener_close(core_); }
  Opening(const Opening&) = delete;
  Opening& operator=(const Opening&) = delete;

  AnnexStatus open(int32_t flags) { return annex_opener_open(flags, &core_); }
  AnnexOpener* core() const { return core_; }
  /// The path is opened in the first step, off the JavaScript thread.
  void set_path(std::string path) { path_ = std::move(path); }
  AnnexStatus step(const int32_t* cancel, AnnexProgress* progress);

 private:
  AnnexOpener* core_ = nullptr;
  std::string path_;  // until it is opened
};

struct SaverHandle {
  static constexpr napi_type_tag tag = {0x8c14f5a07be2d369, 0x57f2c80e3da9614b};

  std::shared_ptr<Saving> work;  // null after close
  Task* task = nullptr;
};

struct OpenerHandle {
  static constexpr napi_type_tag tag = {0x1be76a9350cf824d, 0xe93d07b5a4f1682c};

  std::shared_ptr<Opening> work;
  Task* task = nullptr;
};

/// The JavaScript object that stands for a handle and owns it. Null with a pending exception on failure.
napi_value wrap(Environment& environment, std::unique_ptr<IndexHandle> handle);
napi_value wrap(Environment& environment, std::unique_ptr<WriterHandle> handle);
napi_value wrap(Environment& environment, std::unique_ptr<SaverHandle> handle);
napi_value wrap(Environment& environment, std::unique_ptr<OpenerHandle> handle);

}  // namespace annex::node
