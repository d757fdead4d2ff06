// What an IVF index is made with, and what follows from it for its lists. A flat index of codes is one as well: a
// single list around the mean of the rows.
#pragma once
#include "index/codec_options.h"
#include "index/row_store.h"

namespace annex {

inline constexpr size_t kGoodCodeRows = 39 * 256;  // below that codebooks of 8 bits are poorly known

struct IvfOptions {
  CommonOptions common;
  size_t nlist = 0;
  bool flat = false;  // a flat index of codes: one list, in which row i is entry i
  bool reranks = false;
  Scalar rerank = Scalar::f32;  // where it reranks
  bool coarse_graph = false;
  size_t spill = 0;
  bool balanced = false;
  bool residual = true;  // pq codes what rows differ from their centroid by, not the rows themselves
  bool lengths = true;   // pq under ip keeps lengths
  size_t iterations = 10;
  size_t max_points = 256;
  uint64_t seed = 0;
  CodecOptions codec;  // storage pq, rabitq

  /// What an entry of a list holds.
  enum class Entry {
    rows,    // the coded row itself, and its norm
    narrow,  // the int8 copy with its bound (quant/sidecar.h); rows lie apart, by slot
    codes,   // what the codec makes of it; rows lie apart where the index reranks
  };
  Entry entry() const;
  /// Whether the centres are learnt from the first rows added, and not in training.
  bool learns_centre() const { return flat && common.storage == Storage::rabitq; }
  /// Rows apart from the lists, by slot.
  bool has_store() const { return entry() == Entry::narrow || reranks; }
  /// How rows are kept apart, or in the lists; for codes alone, how the caller's rows come.
  RowShape shape() const;
  /// How centroids are kept and compared.
  RowShape centroid_shape() const;
};

/// `flat`: of a flat index whose storage is a codec.
Status read_ivf_options(const Option* options, size_t count, bool flat, IvfOptions* out);
size_t list_ivf_options(const IvfOptions& options, Option* out, size_t room);

}  // namespace annex
