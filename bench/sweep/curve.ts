// Curves, as the package computes them.
export * from '../../ts/bench_curve.js';
