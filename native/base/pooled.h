// Memory that a thread keeps from one use to the next, so that a search allocates nothing: an item is taken from those
// that the thread has put aside, and put aside again at the end.
#pragma once
#include <cstddef>
#include <utility>

#include "base/of_thread.h"

namespace annex {

/// Owns a T for as long as it lives. T is movable, and usable again in whatever state it was left. A small stack of
/// them is kept, for uses within uses.
template <class T>
class Pooled {
 public:
  Pooled() {
    Stack& stack = of_thread<Stack>();
    if (stack.count != 0) item_ = std::move(stack.items[--stack.count]);
  }
  ~Pooled() {
    Stack& stack = of_thread<Stack>();
    if (stack.count < kKept) stack.items[stack.count++] = std::move(item_);
  }
  Pooled(const Pooled&) = delete;
  Pooled& operator=(const Pooled&) = delete;

  T* operator->() { return &item_; }
  const T* operator->() const { return &item_; }

 private:
  static constexpr size_t kKept = 2;
  struct Stack {
    T items[kKept];
    size_t count = 0;
  };
  T item_;
};

}  // namespace annex
