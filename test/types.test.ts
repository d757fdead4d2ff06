import {
  type BatchResult,
  type BitsOptions,
  FlatIndex,
  type FlatIndexOptions,
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
  expectTypeOf<FlatIndex['share']>().returns.toEqualTypeOf<ShareToken>();

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
