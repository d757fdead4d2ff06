// Unpacking links one by one (kernels/walk.h). Included inside the namespace and region of the instruction set.

inline void unpack_links(const uint8_t* packed, size_t n, uint32_t* links) {
  for (size_t i = 0; i < n; i++) links[i] = unpack_link(packed + kNarrowBytes * i);
}
