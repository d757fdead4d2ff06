import {
  type AnyIndex,
  attach,
  type BatchResult,
  type BitsOptions,
  createIndex,
  FlatIndex,
  type FlatIndexOptions,
  HnswIndex,
  IvfIndex,
  type Rows,
  type SearchResult,
  type ShareToken,
} from 'annex';
import { expect, expectTypeOf, it } from 'vitest';

// Checked by the compiler (npm run typecheck): every line that must not compile is marked, and an unused mark fails.
it('types are exact', async () => {
  const f32 = await FlatIndex.create({ dim: 4 });
  expectTypeOf(f32).toEqualTypeOf<FlatIndex<Float32Array>>();
  expectTypeOf(f32).toEqualTypeOf<FlatIndex>();
  expectTypeOf(f32.get(0)).toEqualTypeOf<Float32Array | undefined>();
  expectTypeOf(f32.getMany([0])).toEqualTypeOf<(Float32Array | undefined)[]>();
  expectTypeOf(f32.search([1, 2, 3, 4])).toEqualTypeOf<Promise<SearchResult>>();
  expectTypeOf(f32.searchBatchSync([[1, 2, 3, 4]])).toEqualTypeOf<BatchResult>();
  expectTypeOf(f32.add([1, 2, 3, 4])).toEqualTypeOf<Promise<Float64Array>>();
  expectTypeOf<FlatIndex['share']>().returns.toEqualTypeOf<ShareToken<'flat'>>();

  const i8 = FlatIndex.createSync({ dim: 4, storage: 'i8' });
  expectTypeOf(i8.get(0)).toEqualTypeOf<Int8Array | undefined>();
  expectTypeOf(FlatIndex.createSync({ dim: 4, storage: { codec: 'u8' } }).get(0)).toEqualTypeOf<
    Uint8Array | undefined
  >();
  expectTypeOf(FlatIndex.createSync({ dim: 8, metric: 'hamming' }).get(0)).toEqualTypeOf<Uint8Array | undefined>();
  const bits: BitsOptions = { dim: 8, storage: 'bits' };
  expectTypeOf(FlatIndex.createSync(bits).get(0)).toEqualTypeOf<Uint8Array | undefined>();
  const unknown: FlatIndexOptions = { dim: 8, storage: 'f16' as FlatIndexOptions['storage'] };
  const any = FlatIndex.createSync(unknown);
  expectTypeOf(any).toEqualTypeOf<FlatIndex<Rows>>();
  const value: unknown = any;
  if (value instanceof FlatIndex) expectTypeOf(value).toEqualTypeOf<FlatIndex<Rows>>();

  for (const { id, distance } of f32.searchSync([1, 2, 3, 4])) {
    expectTypeOf(id).toEqualTypeOf<number>();
    expectTypeOf(distance).toEqualTypeOf<number>();
  }

  const never = (): void => {
    // @ts-expect-error an unknown metric
    FlatIndex.createSync({ dim: 4, metric: 'cosin' });
    // @ts-expect-error an unknown option
    FlatIndex.createSync({ dim: 4, metrics: 'l2' });
    // @ts-expect-error no dim
    FlatIndex.createSync({ metric: 'l2' });
    // @ts-expect-error no constructor
    new FlatIndex({ dim: 4 });
    // @ts-expect-error bytes are not floats
    f32.addSync(new Uint8Array(4));
    // @ts-expect-error nor are BigInts
    f32.searchSync(new BigInt64Array(4));
    // @ts-expect-error unsigned bytes are not signed ones
    i8.addSync(new Uint8Array(4));
    // @ts-expect-error text is no filter
    f32.searchSync([1, 2, 3, 4], 1, { filter: 'all' });
    // @ts-expect-error a synchronous search takes no signal
    f32.searchSync([1, 2, 3, 4], 1, { signal: new AbortController().signal });
    // @ts-expect-error ids come first
    f32.upsertSync([[1, 2, 3, 4]], 0);
  };
  expect(never).toBeTypeOf('function');
});

it('types of graphs and lists are exact', () => {
  const never = async (): Promise<void> => {
    const graph = await HnswIndex.create({
      dim: 4,
      M: 16,
      efConstruction: 200,
      rerank: 'f16',
      layout: 'codes',
      seed: 1,
    });
    expectTypeOf(graph).toEqualTypeOf<HnswIndex>();
    expectTypeOf(graph.options().M).toEqualTypeOf<number>();
    await graph.search([1, 2, 3, 4], 10, { efSearch: 64, filter: [1], signal: new AbortController().signal });
    graph.searchBatchSync([1, 2, 3, 4], 10, { efSearch: 64, threads: 1 });
    expectTypeOf(HnswIndex.createSync({ dim: 8, metric: 'hamming', M: 8 })).toEqualTypeOf<HnswIndex<Uint8Array>>();
    expectTypeOf(HnswIndex.createSync({ dim: 8, storage: 'i8' })).toEqualTypeOf<HnswIndex<Int8Array>>();

    const storage = { codec: 'pq', m: 2, bits: 4, rotation: 'opq', dim: 4, anisotropic: 2 } as const;
    const lists = await IvfIndex.create({ dim: 4, nlist: 8, storage, rerank: 'f16', coarse: 'hnsw', spill: 1 });
    expectTypeOf(lists).toEqualTypeOf<IvfIndex>();
    expectTypeOf(lists.train([1, 2, 3, 4], { onProgress: ({ phase }) => void phase })).toEqualTypeOf<Promise<void>>();
    expectTypeOf(lists.trained).toEqualTypeOf<boolean>();
    await lists.search([1, 2, 3, 4], 10, { nprobe: 16, rerankFactor: 4, earlyStop: 1.5 });
    expectTypeOf(await IvfIndex.build([1, 2, 3, 4], { dim: 4, ids: [7] })).toEqualTypeOf<IvfIndex>();
    const bytes = new Int8Array(4);
    expectTypeOf(await IvfIndex.build(bytes, { dim: 4, storage: 'i8' })).toEqualTypeOf<IvfIndex<Int8Array>>();
    expectTypeOf(
      IvfIndex.createSync({ dim: 4, nlist: 2, storage: { codec: 'rabitq', bits: 4 } }),
    ).toEqualTypeOf<IvfIndex>();
    const value: unknown = lists;
    if (value instanceof IvfIndex) expectTypeOf(value).toEqualTypeOf<IvfIndex<Rows>>();

    expectTypeOf(attach(graph.share())).toEqualTypeOf<HnswIndex<Rows>>();
    expectTypeOf(attach({} as ShareToken)).toEqualTypeOf<AnyIndex>();
    expectTypeOf(await createIndex('HNSW32', { dim: 4, metric: 'ip' })).toEqualTypeOf<AnyIndex>();

    // @ts-expect-error pq wants m
    IvfIndex.createSync({ dim: 4, nlist: 8, storage: 'pq' });
    // @ts-expect-error and 4 or 8 bits
    IvfIndex.createSync({ dim: 4, nlist: 8, storage: { codec: 'pq', m: 2, bits: 5 } });
    // @ts-expect-error lists want their number
    IvfIndex.createSync({ dim: 4 });
    // @ts-expect-error an option of another kind
    HnswIndex.createSync({ dim: 4, nlist: 8 });
    // @ts-expect-error an option of another codec
    HnswIndex.createSync({ dim: 4, storage: { codec: 'rabitq', m: 2 } });
    // @ts-expect-error a parameter of another kind
    graph.searchSync([1, 2, 3, 4], 10, { nprobe: 3 });
    // @ts-expect-error a parameter of another kind
    await lists.search([1, 2, 3, 4], 10, { efSearch: 3 });
    // @ts-expect-error a flat index has no parameters
    FlatIndex.createSync({ dim: 4 }).searchSync([1, 2, 3, 4], 10, { efSearch: 3 });
    // @ts-expect-error a synchronous build takes no signal
    IvfIndex.buildSync([1, 2, 3, 4], { dim: 4, signal: new AbortController().signal });
  };
  expect(never).toBeTypeOf('function');
});
