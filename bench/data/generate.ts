// Generated rows, those of the package.
export * from '../../ts/data_generate.js';
