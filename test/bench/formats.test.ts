import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as h5wasm from 'h5wasm/node';
import { parquetWriteFile } from 'hyparquet-writer';
import { afterAll, describe, expect, it } from 'vitest';
import { readBin, readTruthBin } from '../../bench/data/bin.js';
import { readHdf5 } from '../../bench/data/hdf5.js';
import { readParquet } from '../../bench/data/parquet.js';

const folder = mkdtempSync(join(tmpdir(), 'annex-formats-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

const file = (name: string, ...parts: ArrayBufferView[]): string => {
  const path = join(folder, name);
  const bytes = parts.map((part) => Buffer.from(part.buffer as ArrayBuffer, part.byteOffset, part.byteLength));
  writeFileSync(path, Buffer.concat(bytes));
  return path;
};
const shape = (rows: number, dim: number): Uint32Array => Uint32Array.of(rows, dim);

describe('files of big-ann-benchmarks', () => {
  it('are read, whole or their first rows', () => {
    const floats = file('a.fbin', shape(2, 3), Float32Array.of(1, 2, 3, 4, 5, 6));
    expect(readBin(floats)).toMatchObject({ rows: 2, dim: 3, data: Float32Array.of(1, 2, 3, 4, 5, 6) });
    expect(readBin(floats, 1).data).toEqual(Float32Array.of(1, 2, 3));
    expect(readBin(file('a.u8bin', shape(1, 3), Uint8Array.of(0, 128, 255))).data).toEqual(Uint8Array.of(0, 128, 255));
    expect(readBin(file('a.i8bin', shape(3, 1), Int8Array.of(-128, 0, 127))).data).toEqual(Int8Array.of(-128, 0, 127));
    const ids = Uint32Array.of(3, 1, 2, 0);
    expect(readTruthBin(file('a.ibin', shape(2, 2), ids))).toMatchObject({
      rows: 2,
      dim: 2,
      data: Int32Array.from(ids),
    });
    expect(readTruthBin(file('b.ibin', shape(2, 2), ids, new Float32Array(4))).data).toEqual(Int32Array.from(ids));
  });

  it.each<[string, () => unknown, RegExp]>([
    ['an empty file', () => readBin(file('x.fbin')), /0 bytes, too few/],
    [
      'a truncated file',
      () => readBin(file('x.fbin', shape(2, 3), new Float32Array(5))),
      /expected 32 bytes for 2 × 3/,
    ],
    ['no rows', () => readBin(file('x.u8bin', shape(0, 3))), /at least one row/],
    ['NaN', () => readBin(file('x.fbin', shape(1, 1), Float32Array.of(Number.NaN))), /row 0, column 0 is NaN/],
    ['a truth of another size', () => readTruthBin(file('x.ibin', shape(2, 2), new Uint32Array(5))), /expected 24 or/],
  ])('refuses %s', (_what, read, message) => {
    expect(read).toThrow(message);
  });
});

type Data = { data: Float32Array | Int32Array | Float64Array; shape: number[] };

async function hdf5(name: string, datasets: Record<string, Data>, distance?: string): Promise<string> {
  await h5wasm.ready;
  const path = join(folder, name);
  const out = new h5wasm.File(path, 'w');
  for (const [key, { data, shape }] of Object.entries(datasets)) out.create_dataset({ name: key, data, shape });
  if (distance !== undefined) out.create_attribute('distance', distance);
  out.close();
  return path;
}

const train = { data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [3, 2] };
const test = { data: Float32Array.of(7, 8), shape: [1, 2] };
const neighbors = { data: Int32Array.of(2, 0), shape: [1, 2] };

describe('HDF5 of ann-benchmarks', () => {
  it('is read with its neighbours and its metric', async () => {
    const read = await readHdf5(await hdf5('a.hdf5', { train, test, neighbors }, 'angular'));
    expect(read).toMatchObject({
      base: { rows: 3, dim: 2, data: train.data },
      query: { rows: 1, data: test.data },
      truth: { rows: 1, dim: 2, data: neighbors.data },
      metric: 'cosine',
    });
    const part = await readHdf5(await hdf5('b.hdf5', { train, test, neighbors }, 'euclidean'), 2);
    expect(part).toMatchObject({ base: { rows: 2 }, truth: undefined, metric: 'l2' });
    const doubles = await hdf5('c.hdf5', { train: { ...train, data: Float64Array.from(train.data) }, test });
    expect(await readHdf5(doubles)).toMatchObject({ base: { data: train.data }, truth: undefined, metric: undefined });
  });

  it.each<[string, () => Promise<string>, RegExp]>([
    ['another format', async () => file('x.hdf5', new Uint8Array(100)), /signature of an HDF5 file/],
    ['a file without test', () => hdf5('x.hdf5', { train }), /expected datasets train and test .*, found train/],
    ['other dims', () => hdf5('x.hdf5', { train, test: { data: test.data, shape: [2, 1] } }), /1 columns, expected 2/],
    [
      'neighbours of other queries',
      () => hdf5('x.hdf5', { train, test, neighbors: { data: neighbors.data, shape: [2, 1] } }),
      /neighbors of 2 queries, expected 1/,
    ],
    ['three dimensions', () => hdf5('x.hdf5', { train: { ...train, shape: [3, 1, 2] }, test }), /got 3 × 1 × 2/],
    [
      'NaN',
      () => hdf5('x.hdf5', { train, test: { data: Float32Array.of(0, Number.NaN), shape: [1, 2] } }),
      /row 0, column 1 is NaN/,
    ],
  ])('refuses %s', async (_what, make, message) => {
    await expect(readHdf5(await make())).rejects.toThrow(message);
  });

  it('refuses a truncated file', async () => {
    const path = await hdf5('t.hdf5', { train, test });
    truncateSync(path, 600);
    await expect(readHdf5(path)).rejects.toThrow();
  });
});

describe('Parquet', () => {
  const write = (name: string, columns: Record<string, unknown[]>): string => {
    const filename = join(folder, name);
    parquetWriteFile({
      filename,
      columnData: Object.entries(columns).map(([name, data]) => ({ name, data })) as never,
    });
    return filename;
  };
  const rows = Array.from({ length: 10 }, (_, i) => [i, i + 0.5, -i - 1]);

  it('is read from its column of lists', async () => {
    const path = write('a.parquet', { text: rows.map(String), vector: rows });
    expect(await readParquet(path)).toMatchObject({ rows: 10, dim: 3, data: Float32Array.from(rows.flat()) });
    expect(await readParquet(path, 'vector', 2)).toMatchObject({ rows: 2 });
  });

  it('is read from a column of the logical type LIST', async () => {
    const filename = join(folder, 'list.parquet');
    const schema = [
      { name: 'root', num_children: 1 },
      { name: 'vector', repetition_type: 'OPTIONAL', num_children: 1, converted_type: 'LIST' },
      { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
      { name: 'element', repetition_type: 'OPTIONAL', type: 'FLOAT' },
    ];
    parquetWriteFile({ filename, columnData: [{ name: 'vector', data: rows }], schema } as never);
    expect(await readParquet(filename)).toMatchObject({ rows: 10, dim: 3, data: Float32Array.from(rows.flat()) });
  });

  it.each<[string, () => string, string | undefined, RegExp]>([
    ['what is not there', () => join(folder, 'no.parquet'), undefined, /no such file/],
    ['another format', () => file('x.parquet', new Uint8Array(100)), undefined, /cannot be read as Parquet/],
    ['no lists', () => write('x.parquet', { text: ['a', 'b'] }), undefined, /column of lists of numbers, found text/],
    [
      'a choice of lists',
      () => write('x.parquet', { a: rows, b: rows }),
      undefined,
      /several columns .*a, b.*--column/,
    ],
    ['another column', () => write('x.parquet', { a: rows }), 'b', /column b holds no lists.*: a/],
    ['lists of several lengths', () => write('x.parquet', { a: [...rows, [1]] }), undefined, /row 10 .*no list of 3/],
  ])('refuses %s', async (_what, make, column, message) => {
    await expect(readParquet(make(), column)).rejects.toThrow(message);
  });
});
