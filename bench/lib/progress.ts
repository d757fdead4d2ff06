// Progress, as the package shows it.
export * from '../../ts/bench_progress.js';
