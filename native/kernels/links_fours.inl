// Unpacking links by fours (kernels/walk.h), on top of unpack_four, which reads sixteen bytes and takes twelve of them.
// Included inside the namespace and region of the instruction set.

inline void unpack_links(const uint8_t* packed, size_t n, uint32_t* links) {
  const size_t alone = n < 6 ? n : n % 4;
  size_t i = 0;
  for (; i < alone; i++) links[i] = unpack_link(packed + kNarrowBytes * i);
  if (i == n) return;
  for (; i + 4 < n; i += 4) unpack_four<0>(packed + kNarrowBytes * i, links + i);
  unpack_four<4>(packed + kNarrowBytes * n - 16, links + i);
}
