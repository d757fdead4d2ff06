// Queries × panels. Included inside the namespace and region of the instruction set, after its vocabulary.
//
// A tile is Q queries × P panels whose sums stay in registers over the whole dimension: each step loads one line of
// every panel, broadcasts one element (or one group of four bytes) of every query and multiplies all with all. Tiles
// of few queries split the dimension among U independent sums instead, to hide the latency of the addition.

// Q rows of bytes, `stride` apart. One pointer for three rows keeps the addresses within the registers there are.
template <int Q>
struct QueryLines {
  const uint8_t* at[(Q + 2) / 3];
  size_t stride;

  ANNEX_INLINE void open(const void* queries, size_t stride_bytes) {
    stride = stride_bytes;
    unroll<((Q + 2) / 3)>(
        [&](auto i) ANNEX_INLINE_LAMBDA { at[i] = static_cast<const uint8_t*>(queries) + 3 * i * stride_bytes; });
  }
  ANNEX_INLINE const uint8_t* line(int q) const { return at[q / 3] + static_cast<size_t>(q % 3) * stride; }
  ANNEX_INLINE void advance(size_t bytes) {
    unroll<((Q + 2) / 3)>([&](auto i) ANNEX_INLINE_LAMBDA {
      at[i] += bytes;
#if (defined(__GNUC__) || defined(__clang__)) && !defined(__wasm__)
      // Hides that the pointers are related, or the compiler gives every row a pointer and spills them.
      asm("" : "+r"(at[i]));
#endif
    });
  }
};

struct FloatPanels {
  using Query = float;
  using Sums = Lanes;
  static constexpr size_t kGroup = 1;       // elements per step
  static constexpr size_t kLine = 64;       // bytes of a panel per step
  static constexpr bool kPrepared = false;  // queries are used as they come
  static constexpr size_t kQueryBytes = 4;  // bytes of a query per step
  static constexpr bool kQuerySum = false;
  static constexpr TileShape tile(size_t i) { return kFloatTiles[i]; }
  static ANNEX_INLINE Lanes start(int32_t) { return zeros(); }
  static ANNEX_INLINE Lanes load_panel(const uint8_t* p) { return load_f32(p); }
  static ANNEX_INLINE Lanes load_element(const uint8_t* q) { return fill(read_f32(q)); }
  static ANNEX_INLINE Lanes step(Lanes acc, Lanes panel, Lanes element) { return fma(panel, element, acc); }
  static ANNEX_INLINE void store(float* p, Lanes sums) { store_f32(p, sums); }
};

struct BytePanels {
  using Query = int8_t;
  using Sums = RowSums;
  static constexpr size_t kGroup = 4;
  static constexpr size_t kLine = 64;
  static constexpr bool kPrepared = kPreparedQueries;
  static constexpr size_t kQueryBytes = kPrepared ? 8 : 4;
  static constexpr bool kQuerySum = kPanelNeedsQuerySum;
  static constexpr TileShape tile(size_t i) { return kByteTiles[i]; }
  static ANNEX_INLINE RowSums start(int32_t query_sum) { return start_sums(query_sum); }
  static ANNEX_INLINE Codes load_panel(const uint8_t* p) { return load_codes(p); }
  static ANNEX_INLINE QueryGroup load_element(const uint8_t* q) { return load_query(q); }
  static ANNEX_INLINE RowSums step(RowSums acc, Codes c, QueryGroup q) { return multiply_add(acc, c, q); }
  static ANNEX_INLINE void store(int32_t* p, RowSums sums) { store_sums(p, sums); }
};

// A prepared query holds 16-bit elements, per group of four: 0 2 1 3.
constexpr size_t kPreparedGroups = 512;  // at once; longer queries are prepared piece by piece

ANNEX_INLINE void prepare_query(const int8_t* q, size_t groups, uint8_t* to) {
  for (size_t g = 0; g < groups; g++) {
    const int16_t pairs[4] = {q[4 * g], q[4 * g + 2], q[4 * g + 1], q[4 * g + 3]};
    memcpy(to + 8 * g, pairs, 8);
  }
}

// The queries of a tile, and what the tile needs to know of them.
template <class M, int Q>
struct TileQueries {
  const typename M::Query* rows;
  size_t stride;  // elements
  int32_t start[Q];
  uint8_t prepared[M::kPrepared ? Q * kPreparedGroups * 8 : 1];

  ANNEX_INLINE void open(const typename M::Query* queries, size_t query_stride, size_t dim) {
    rows = queries;
    stride = query_stride;
    for (int q = 0; q < Q; q++) {
      start[q] = 0;
      if constexpr (M::kQuerySum) {
        for (size_t d = 0; d < dim; d++) start[q] += queries[q * query_stride + d];
        start[q] *= 128;
      }
    }
    if constexpr (M::kPrepared) prepare(0, groups_at(0, (dim + 3) / 4));
  }
  static ANNEX_INLINE size_t groups_at(size_t first, size_t groups) {
    return groups - first < kPreparedGroups ? groups - first : kPreparedGroups;
  }
  ANNEX_INLINE void prepare(size_t first, size_t groups) {
    for (int q = 0; q < Q; q++)
      prepare_query(rows + q * stride + 4 * first, groups, prepared + q * kPreparedGroups * 8);
  }
};

// One query reads panels as fast as memory gives them. Where a line takes many instructions, as with prepared queries,
// the processor does not look far enough ahead by itself.
constexpr size_t kAheadBytes = 2048;

// Adds the products of `steps` lines of P panels.
template <class M, int Q, int P, int U>
ANNEX_INLINE void multiply_lines(QueryLines<Q> lines, const uint8_t* panels, size_t panel_bytes, size_t steps,
                                 typename M::Sums (&acc)[U][Q][P]) {
  const uint8_t* line = panels;
  size_t s = 0;
  for (; s + U <= steps; s += U) {
    unroll<U>([&](auto u) ANNEX_INLINE_LAMBDA {
      if constexpr (Q == 1 && M::kPrepared && kPrefetches) prefetch(line + kAheadBytes + u * M::kLine);
      decltype(M::load_panel(line)) panel[P];
      unroll<P>([&](auto p) ANNEX_INLINE_LAMBDA {
        panel[p] = M::load_panel(line + static_cast<size_t>(p) * panel_bytes + u * M::kLine);
      });
      unroll<Q>([&](auto q) ANNEX_INLINE_LAMBDA {
        const auto element = M::load_element(lines.line(q) + u * M::kQueryBytes);
        unroll<P>([&](auto p) ANNEX_INLINE_LAMBDA { acc[u][q][p] = M::step(acc[u][q][p], panel[p], element); });
      });
    });
    line += U * M::kLine;
    lines.advance(U * M::kQueryBytes);
  }
  if constexpr (U > 1) {
    for (; s < steps; s++) {
      unroll<P>([&](auto p) ANNEX_INLINE_LAMBDA {
        const auto panel = M::load_panel(line + static_cast<size_t>(p) * panel_bytes);
        unroll<Q>([&](auto q) ANNEX_INLINE_LAMBDA {
          acc[0][q][p] = M::step(acc[0][q][p], panel, M::load_element(lines.line(q)));
        });
      });
      line += M::kLine;
      lines.advance(M::kQueryBytes);
    }
  }
}

template <class M, int Q, int P, int U>
ANNEX_INLINE void multiply_tile(TileQueries<M, Q>& queries, const uint8_t* panels, size_t dim,
                                typename M::Sums (&out)[Q][P]) {
  typename M::Sums acc[U][Q][P];
  unroll<U>([&](auto u) ANNEX_INLINE_LAMBDA {
    unroll<Q>([&](auto q) ANNEX_INLINE_LAMBDA {
      unroll<P>([&](auto p) ANNEX_INLINE_LAMBDA { acc[u][q][p] = M::start(u == 0 ? queries.start[q] : 0); });
    });
  });
  const size_t steps = (dim + M::kGroup - 1) / M::kGroup;
  const size_t panel_bytes = steps * M::kLine;
  QueryLines<Q> lines;
  if constexpr (M::kPrepared) {
    for (size_t first = 0; first < steps; first += kPreparedGroups) {
      const size_t groups = TileQueries<M, Q>::groups_at(first, steps);
      if (steps > kPreparedGroups) queries.prepare(first, groups);
      lines.open(queries.prepared, kPreparedGroups * 8);
      multiply_lines<M, Q, P, U>(lines, panels + first * M::kLine, panel_bytes, groups, acc);
    }
  } else {
    lines.open(queries.rows, queries.stride * sizeof(typename M::Query));
    multiply_lines<M, Q, P, U>(lines, panels, panel_bytes, steps, acc);
  }
  unroll<Q>([&](auto q) ANNEX_INLINE_LAMBDA {
    unroll<P>([&](auto p) ANNEX_INLINE_LAMBDA {
      out[q][p] = acc[0][q][p];
      unroll<U, 1>([&](auto u) ANNEX_INLINE_LAMBDA { out[q][p] = add(out[q][p], acc[u][q][p]); });
    });
  });
#if (defined(__GNUC__) || defined(__clang__)) && !defined(__wasm__)
  // Ends the life of the registers here: what follows needs registers too, and the allocator would otherwise spill the
  // sums within the loop, at every step.
  asm("" : "+m"(out));
#endif
}

ANNEX_INLINE Lanes to_lanes(Lanes a) { return a; }

// Receives the sums of 16 rows × one query: tests them in registers and lists the rows that pass.
struct HitSink {
  const PanelTerms& terms;
  const QueryTerms* query_terms;
  const HitList& hits;
  size_t n;

  template <class M, int Q, int P>
  ANNEX_INLINE void take(size_t first_query, size_t first_panel, const typename M::Sums (&sums)[Q][P]) const {
    unroll<P>([&](auto p) ANNEX_INLINE_LAMBDA {
      const size_t row = (first_panel + p) * kPanelRows;
      const uint32_t valid = n - row >= kPanelRows ? 0xffffu : (1u << (n - row)) - 1;
      const Lanes scale = load_f32(terms.scale + row), a = load_f32(terms.a + row);
      const Lanes b = load_f32(terms.b + row), c = load_f32(terms.c + row);
      unroll<Q>([&](auto q) ANNEX_INLINE_LAMBDA {
        const QueryTerms& t = query_terms[first_query + q];
        Lanes value = mul(scale, to_lanes(sums[q][p]));
        value = fma(a, fill(t.u[0]), value);
        value = fma(b, fill(t.u[1]), value);
        value = fma(c, fill(t.u[2]), value);
        const uint32_t mask = mask_not_less(value, fill(t.bound)) & valid;
        if (mask) append(first_query + q, mask, static_cast<uint32_t>(row));
      });
    });
  }
  ANNEX_NOINLINE void append(size_t query, uint32_t mask, uint32_t row) const {
    uint32_t& count = hits.counts[query];
    count += append_indices(mask, row, hits.rows + query * hits.capacity + count);
  }
};

// Receives the sums and stores them.
template <class T>
struct SumSink {
  T* out;
  size_t n;

  template <class M, int Q, int P>
  ANNEX_INLINE void take(size_t first_query, size_t first_panel, const typename M::Sums (&sums)[Q][P]) const {
    const size_t width = (n + kPanelRows - 1) / kPanelRows * kPanelRows;
    unroll<P>([&](auto p) ANNEX_INLINE_LAMBDA {
      unroll<Q>([&](auto q) ANNEX_INLINE_LAMBDA {
        M::store(out + (first_query + q) * width + (first_panel + p) * kPanelRows, sums[q][p]);
      });
    });
  }
};

// Q queries against panels [first, last).
template <class M, int Q, int P, int U, class Sink>
ANNEX_NOINLINE void multiply_strip(const typename M::Query* queries, size_t query_stride, size_t first_query,
                                   const uint8_t* panels, size_t first, size_t last, size_t dim, const Sink& sink) {
  const size_t panel_bytes = (dim + M::kGroup - 1) / M::kGroup * M::kLine;
  TileQueries<M, Q> tile;
  tile.open(queries + first_query * query_stride, query_stride, dim);
  for (; first + P <= last; first += P) {
    typename M::Sums sums[Q][P];
    multiply_tile<M, Q, P, U>(tile, panels + first * panel_bytes, dim, sums);
    sink.template take<M, Q, P>(first_query, first, sums);
  }
  if constexpr (P > 1) {
    for (; first < last; first++) {
      typename M::Sums sums[Q][1];
      multiply_tile<M, Q, 1, 1>(tile, panels + first * panel_bytes, dim, sums);
      sink.template take<M, Q, 1>(first_query, first, sums);
    }
  }
}

// Takes as many queries as the widest tile has room for, then as the next one …
template <class M, size_t T, class Sink>
ANNEX_INLINE void multiply_queries(const typename M::Query* queries, size_t query_stride, size_t q, size_t nq,
                                   const uint8_t* panels, size_t first, size_t last, size_t dim, const Sink& sink) {
  constexpr TileShape t = M::tile(T);
  for (; q + t.queries <= nq; q += t.queries) {
    multiply_strip<M, t.queries, t.panels, t.sums>(queries, query_stride, q, panels, first, last, dim, sink);
  }
  if constexpr (t.queries > 1) {
    multiply_queries<M, T + 1>(queries, query_stride, q, nq, panels, first, last, dim, sink);
  }
}

// Panels are taken in blocks that stay in the second-level cache while all queries pass over them.
constexpr size_t kBlockBytes = size_t{384} << 10;

template <class M, class Sink>
ANNEX_INLINE void multiply_all(const typename M::Query* queries, size_t query_stride, size_t nq, const void* panels,
                               size_t n, size_t dim, const Sink& sink) {
  const uint8_t* p = static_cast<const uint8_t*>(panels);
  const size_t total = (n + kPanelRows - 1) / kPanelRows;
  const size_t panel_bytes = (dim + M::kGroup - 1) / M::kGroup * M::kLine;
  size_t block = kBlockBytes / panel_bytes / 12 * 12;  // a multiple of every tile's panels
  if (block == 0) block = 4;
  if (nq <= static_cast<size_t>(M::tile(0).queries)) block = total;
  for (size_t first = 0; first < total; first += block) {
    const size_t last = total - first < block ? total : first + block;
    multiply_queries<M, 0>(queries, query_stride, 0, nq, p, first, last, dim, sink);
  }
}

inline void hits_f32(const float* queries, size_t query_stride, size_t nq, const float* panels, size_t n, size_t dim,
                     const PanelTerms& terms, const QueryTerms* query_terms, const HitList& hits) {
  multiply_all<FloatPanels>(queries, query_stride, nq, panels, n, dim, HitSink{terms, query_terms, hits, n});
}
inline void hits_u8(const int8_t* queries, size_t query_stride, size_t nq, const uint8_t* panels, size_t n, size_t dim,
                    const PanelTerms& terms, const QueryTerms* query_terms, const HitList& hits) {
  multiply_all<BytePanels>(queries, query_stride, nq, panels, n, dim, HitSink{terms, query_terms, hits, n});
}
inline void sums_f32(const float* queries, size_t query_stride, size_t nq, const float* panels, size_t n, size_t dim,
                     float* out) {
  multiply_all<FloatPanels>(queries, query_stride, nq, panels, n, dim, SumSink<float>{out, n});
}
inline void sums_u8(const int8_t* queries, size_t query_stride, size_t nq, const uint8_t* panels, size_t n, size_t dim,
                    int32_t* out) {
  multiply_all<BytePanels>(queries, query_stride, nq, panels, n, dim, SumSink<int32_t>{out, n});
}
