// Enters the kernels of codes into a table. Included after their bodies, inside the namespace and region.

constexpr CodeKernels make_code_kernels() {
  CodeKernels k{};
  k.scan_nibbles = scan_nibbles;
  k.estimate_nibbles = estimate_nibbles;
  k.sum_nibbles = sum_nibble_blocks;
  k.scan_bytes = scan_bytes;
  k.plane_products = plane_products;
  k.hadamard = hadamard;
  k.table_extents = table_extents;
  k.quantize_tables = quantize_tables;
  k.sign_tables = sign_tables;
  k.fit_levels = fit_levels;
  return k;
}
