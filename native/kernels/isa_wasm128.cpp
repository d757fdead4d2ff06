// WebAssembly simd128.
