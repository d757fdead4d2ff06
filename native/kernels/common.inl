// Small helpers that every instruction set shares. Included inside the namespace and region of the instruction set.

// Copies n bytes, n ≤ kRoom ≤ 64, without reading or writing outside of them, in at most two moves.
template <size_t kRoom>
ANNEX_INLINE void copy_small(void* to, const void* from, size_t n) {
  uint8_t* t = static_cast<uint8_t*>(to);
  const uint8_t* f = static_cast<const uint8_t*>(from);
  if constexpr (kRoom > 32) {
    if (n >= 32) {
      memcpy(t, f, 32);
      memcpy(t + n - 32, f + n - 32, 32);
      return;
    }
  }
  if constexpr (kRoom > 16) {
    if (n >= 16) {
      memcpy(t, f, 16);
      memcpy(t + n - 16, f + n - 16, 16);
      return;
    }
  }
  if (n >= 8) {
    memcpy(t, f, 8);
    memcpy(t + n - 8, f + n - 8, 8);
  } else if (n >= 4) {
    memcpy(t, f, 4);
    memcpy(t + n - 4, f + n - 4, 4);
  } else if (n >= 2) {
    memcpy(t, f, 2);
    memcpy(t + n - 2, f + n - 2, 2);
  } else if (n == 1) {
    *t = *f;
  }
}

#if defined(ANNEX_SANITIZED)
// Sanitizers see a plain loop: the same accesses in a tenth of the code.
template <int N, int I = 0, class F>
ANNEX_INLINE void unroll(const F& f) {
  ANNEX_ROLL
  for (int i = I; i < N; i++) f(i);
}
#else
// A loop that is unrolled before any other optimisation, so that arrays of registers stay in registers.
template <int I>
struct Index {
  constexpr operator int() const { return I; }
};
template <int N, int I = 0, class F>
ANNEX_INLINE void unroll(const F& f) {
  if constexpr (I < N) {
    f(Index<I>{});
    unroll<N, I + 1>(f);
  }
}
#endif

ANNEX_INLINE float read_f32(const void* p) {
  float x;
  memcpy(&x, p, 4);
  return x;
}

ANNEX_INLINE uint32_t read_u32(const void* p) {
  uint32_t x;
  memcpy(&x, p, 4);
  return x;
}

#if defined(__wasm__)
constexpr bool kPrefetches = false;  // there is no such instruction
#else
constexpr bool kPrefetches = true;
#endif

ANNEX_INLINE void prefetch(const void* p) {
#if defined(__GNUC__) || defined(__clang__)
  __builtin_prefetch(p);
#else
  (void)p;
#endif
}

ANNEX_INLINE uint32_t lowest_bit(uint32_t mask) {
#if defined(__GNUC__) || defined(__clang__)
  return static_cast<uint32_t>(__builtin_ctz(mask));
#else
  uint32_t i = 0;
  while (!(mask >> i & 1)) i++;
  return i;
#endif
}

// Appends base + i for every set bit i of the mask, ascending.
ANNEX_INLINE uint32_t append_bits(uint32_t mask, uint32_t base, uint32_t* to) {
  uint32_t count = 0;
  for (; mask; mask &= mask - 1) to[count++] = base + lowest_bit(mask);
  return count;
}

// A tile of products: how many queries, how many panels, and into how many independent sums the dimension is split.
struct TileShape {
  int queries, panels, sums;
};

// The n first bytes at an address, followed by zeros: how instruction sets without masked loads read the end of a row.
template <size_t kRoom>
struct PaddedBytes {
  alignas(16) uint8_t bytes[kRoom];
  ANNEX_INLINE PaddedBytes(const void* from, size_t n) {
    memset(bytes, 0, kRoom);
    copy_small<kRoom>(bytes, from, n);
  }
};
