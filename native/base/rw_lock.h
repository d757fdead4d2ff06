// A shared lock that is fair to writers: once one waits, new readers queue behind it. (std::shared_mutex lets a steady
// stream of searches starve a writer.) On WebAssembly, which has one thread, it is empty.
#pragma once
#if !defined(__wasm__)
#include <condition_variable>
#include <cstddef>
#include <mutex>
#endif

namespace annex {

#if defined(__wasm__)
class RwLock {
 public:
  void lock() {}
  void unlock() {}
  void lock_shared() {}
  void lock_shared_briefly() {}
  void unlock_shared() {}
};
#else
class RwLock {
 public:
  void lock() {
    std::unique_lock<std::mutex> guard(mutex_);
    ++writers_waiting_;
    changed_.wait(guard, [this] { return readers_ == 0 && !writing_; });
    --writers_waiting_;
    writing_ = true;
  }
  void unlock() {
    {
      std::lock_guard<std::mutex> guard(mutex_);
      writing_ = false;
    }
    changed_.notify_all();
  }
  void lock_shared() {
    std::unique_lock<std::mutex> guard(mutex_);
    changed_.wait(guard, [this] { return !writing_ && writers_waiting_ == 0; });
    ++readers_;
  }
  /// For reads of microseconds: waits for a writer at work, not for one that waits, since that one may wait for a long
  /// search, and this thread may be the caller's event loop.
  void lock_shared_briefly() {
    std::unique_lock<std::mutex> guard(mutex_);
    changed_.wait(guard, [this] { return !writing_; });
    ++readers_;
  }
  void unlock_shared() {
    bool last;
    {
      std::lock_guard<std::mutex> guard(mutex_);
      last = --readers_ == 0 && writers_waiting_ != 0;
    }
    if (last) changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t readers_ = 0;
  size_t writers_waiting_ = 0;
  bool writing_ = false;
};
#endif

class WriteGuard {
 public:
  explicit WriteGuard(RwLock& lock) : lock_(lock) { lock_.lock(); }
  ~WriteGuard() { lock_.unlock(); }
  WriteGuard(const WriteGuard&) = delete;
  WriteGuard& operator=(const WriteGuard&) = delete;

 private:
  RwLock& lock_;
};

class ReadGuard {
 public:
  explicit ReadGuard(RwLock& lock) : lock_(lock) { lock_.lock_shared(); }
  ~ReadGuard() { lock_.unlock_shared(); }
  ReadGuard(const ReadGuard&) = delete;
  ReadGuard& operator=(const ReadGuard&) = delete;

 private:
  RwLock& lock_;
};

class BriefReadGuard {
 public:
  explicit BriefReadGuard(RwLock& lock) : lock_(lock) { lock_.lock_shared_briefly(); }
  ~BriefReadGuard() { lock_.unlock_shared(); }
  BriefReadGuard(const BriefReadGuard&) = delete;
  BriefReadGuard& operator=(const BriefReadGuard&) = delete;

 private:
  RwLock& lock_;
};

}  // namespace annex
