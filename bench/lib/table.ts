// Tables, as the package prints them.
export * from '../../ts/bench_table.js';
