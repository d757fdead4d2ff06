// Tables of a sweep, as the package prints them.
export * from '../../ts/bench_print.js';
