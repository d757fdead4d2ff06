// What the structures' reading of options has in common: values checked with messages that say what was expected.
#pragma once
#include "index/index.h"

namespace annex {

const char* metric_name(Metric metric);
const char* storage_name(Storage storage);

/// A whole number from `least` to `most`.
Status read_whole(const char* name, double value, size_t least, size_t most, size_t* out);
/// A number from `least` to `most`.
Status read_number(const char* name, double value, double least, double most, double* out);

/// A seed: a whole number below 2^53.
Status read_seed(double value, uint64_t* out);

/// What every structure takes.
struct CommonOptions {
  size_t dim = 0;
  Metric metric = Metric::l2;
  bool stored = false;             // in a file, where what is missing is off
  Storage storage = Storage::f32;  // where none was given: f32, or bits under hamming and jaccard
};
/// Reads them from among `options`, whose other keys it leaves alone: dim must be there, and bits go with metrics of
/// bits.
Status read_common(const Option* options, size_t count, CommonOptions* out);
/// True for the keys that read_common has dealt with, and for the kind.
bool is_common(Key key);

/// Fills the (key, value) pairs that an index reports: as many as there is room for.
class OptionList {
 public:
  OptionList(Option* out, size_t room) : out_(out), room_(room) {}
  template <class T>
  void add(Key key, T value) {
    if (count_ < room_) out_[count_] = {static_cast<double>(key), static_cast<double>(value)};
    ++count_;
  }
  size_t count() const { return count_; }

 private:
  Option* out_;
  size_t room_;
  size_t count_ = 0;
};

}  // namespace annex
