// The folder of caches, that of the package.
export * from '../../ts/data_cache.js';
