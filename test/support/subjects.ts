import { FlatIndex, HnswIndex, IvfIndex, type Metric, type SearchSyncOptions, type VectorIndex } from 'annex';
import { floats } from './data.js';

/** A kind of index as the suites see it that hold for every kind. */
export interface Subject {
  readonly name: string;
  /** An empty index, trained where that comes first. */
  readonly create: (options: { dim: number; metric?: Metric }) => VectorIndex;
  /** Search parameters with which a small index answers exactly. */
  readonly exact: SearchSyncOptions;
  readonly trains: boolean;
}

/** Everything that makes the shape of an index, whatever its kind. */
type Common = { dim: number; metric?: 'l2' };

export const subjects: readonly Subject[] = [
  {
    name: 'FlatIndex',
    create: (options) => FlatIndex.createSync(options as Common),
    exact: {},
    trains: false,
  },
  {
    name: 'FlatIndex of pq',
    create: (options) => {
      const storage = { codec: 'pq', m: 1, bits: 8 } as const;
      const index = FlatIndex.createSync({ ...(options as Common), storage, rerank: 'f32' });
      index.trainSync(floats(400, options.dim, 11));
      return index;
    },
    exact: { rerankFactor: 1e6 } as SearchSyncOptions,
    trains: true,
  },
  {
    name: 'FlatIndex of rabitq',
    create: (options) => FlatIndex.createSync({ ...(options as Common), storage: 'rabitq', rerank: 'f32', seed: 5 }),
    exact: { rerankFactor: 1e6 } as SearchSyncOptions,
    trains: false,
  },
  {
    name: 'HnswIndex',
    create: (options) => HnswIndex.createSync({ ...(options as Common), M: 8, efConstruction: 64, seed: 5 }),
    exact: { efSearch: 4096 } as SearchSyncOptions,
    trains: false,
  },
  {
    name: 'IvfIndex',
    create: (options) => {
      const index = IvfIndex.createSync({ ...(options as Common), nlist: 4, seed: 5 });
      index.trainSync(floats(400, options.dim, 11));
      return index;
    },
    exact: { nprobe: 4 } as SearchSyncOptions,
    trains: true,
  },
];
