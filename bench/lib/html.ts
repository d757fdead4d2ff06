// Pages, as the package writes them.
export * from '../../ts/bench_html.js';
