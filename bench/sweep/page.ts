// The page of a sweep, as the package writes it.
export * from '../../ts/bench_page.js';
