// The state of a sweep, as the package keeps it.
export * from '../../ts/bench_state.js';
