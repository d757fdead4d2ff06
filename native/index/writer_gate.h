// One writer at a time: a second one is told so at once.
#pragma once
#include <atomic>

#include "base/status.h"

namespace annex {

class WriterGate {
 public:
  /// BUSY while another holds it.
  Status enter() {
    if (!held_.exchange(true, std::memory_order_acquire)) return Status::ok;
    return fail(
        Status::busy,
        "another write is at work on this index (train, add, upsert, remove, compact or save): wait for it to end");
  }
  void leave() { held_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> held_{false};
};

/// Holds the gate for a block.
class GateGuard {
 public:
  explicit GateGuard(WriterGate& gate) : gate_(gate), status_(gate.enter()) {}
  ~GateGuard() {
    if (status_ == Status::ok) gate_.leave();
  }
  GateGuard(const GateGuard&) = delete;
  GateGuard& operator=(const GateGuard&) = delete;
  Status status() const { return status_; }

 private:
  WriterGate& gate_;
  const Status status_;
};

}  // namespace annex
