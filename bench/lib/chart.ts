// Charts, as the package draws them.
export * from '../../ts/bench_chart.js';
