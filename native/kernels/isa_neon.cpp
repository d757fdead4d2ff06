// aarch64 NEON.
