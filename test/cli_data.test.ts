import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as h5wasm from 'h5wasm/node';
import { parquetWriteFile } from 'hyparquet-writer';
import { afterAll, describe, expect, test } from 'vitest';
import { type OpenOptions, openRows } from '../ts/data_open.js';
import { needed } from '../ts/data_optional.js';
import { readAll, rowsOf, sample, slices } from '../ts/data_source.js';
import { VectorWriter } from '../ts/data_write.js';

const folder = mkdtempSync(join(tmpdir(), 'annex-data-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Part = ArrayBufferView | string;
let files = 0;
/** Writes the parts to a new file. */
function file(extension: string, ...parts: Part[]): string {
  const path = join(folder, `${files++}.${extension}`);
  const bytes = parts.map((part) =>
    typeof part === 'string'
      ? Buffer.from(part, 'latin1')
      : Buffer.from(part.buffer as ArrayBuffer, part.byteOffset, part.byteLength),
  );
  writeFileSync(path, Buffer.concat(bytes));
  return path;
}

/** What a file holds, read in slices of a few bytes. */
async function read(path: string, options?: OpenOptions) {
  const source = await openRows(path, options);
  try {
    const { rows, dim, type } = source;
    const values: number[] = [];
    const ids: number[] = [];
    for await (const slice of slices(source, { bytes: 40 })) {
      values.push(...slice.values);
      ids.push(...(slice.ids ?? []));
    }
    expect([...(await readAll(source))]).toEqual(values);
    return { rows, dim, type, values, ...(source.hasIds && { ids }) };
  } finally {
    source.close();
  }
}

const int = (value: number): Int32Array => Int32Array.of(value);
const shape = (rows: number, dim: number): Uint32Array => Uint32Array.of(rows, dim);
const six = Float32Array.of(1, -2, 3.5, 4, 5, 1e-40);

function header(dict: string, major = 1): Buffer {
  const length = Buffer.alloc(major === 1 ? 2 : 4);
  if (major === 1) length.writeUInt16LE(dict.length + 1);
  else length.writeUInt32LE(dict.length + 1);
  return Buffer.concat([
    Buffer.from(`\x93NUMPY${String.fromCharCode(major)}\0`, 'latin1'),
    length,
    Buffer.from(`${dict}\n`),
  ]);
}
const dict = (descr: string, shape: string, order = 'False'): string =>
  `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (${shape}), }`;

type Refusals = [what: string, make: () => string | Promise<string>, message: RegExp, options?: OpenOptions][];
const refuses = (list: Refusals): void => {
  test.each(list)('refuses %s', async (_what, make, message, options) => {
    await expect(read(await make(), options)).rejects.toThrow(message);
    await expect(read(await make(), options)).rejects.toMatchObject({ name: 'AnnexError' });
  });
};

describe('.npy', () => {
  test.each<[string, ArrayBufferView, string, number[]]>([
    ['<f4', six, 'f32', [...six]],
    ['<f8', Float64Array.of(1, 0.1, 3, 4, 5, 6), 'f32', [1, Math.fround(0.1), 3, 4, 5, 6]],
    [
      '<f2',
      Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x03ff, 0x8000, 0x7bff),
      'f32',
      [1, -2, 2 ** -24, 1023 * 2 ** -24, -0, 65504],
    ],
    ['|u1', Uint8Array.of(0, 1, 2, 3, 128, 255), 'u8', [0, 1, 2, 3, 128, 255]],
    ['|i1', Int8Array.of(0, 1, 2, 3, -128, 127), 'i8', [0, 1, 2, 3, -128, 127]],
    ['<i4', Int32Array.of(0, 1, 2, 3, -4, 2 ** 31 - 1), 'i32', [0, 1, 2, 3, -4, 2 ** 31 - 1]],
    ['<i8', BigInt64Array.of(0n, 1n, 2n, 3n, -4n, 5n), 'i32', [0, 1, 2, 3, -4, 5]],
  ])('%s is read', async (descr, data, type, values) => {
    for (const major of [1, 2, 3]) {
      expect(await read(file('npy', header(dict(descr, '2, 3'), major), data))).toEqual({
        rows: 2,
        dim: 3,
        type,
        values,
      });
    }
  });

  refuses([
    ['an empty file', () => file('npy'), /header of a .npy file, got 0 bytes/],
    ['another format', () => file('npy', 'not a NumPy file'), /the magic/],
    ['a future version', () => file('npy', header(dict('<f4', '2, 3'), 4), six), /format 1, 2 or 3, got 4/],
    ['a header beyond the end', () => file('npy', '\x93NUMPY\x01\0\xff\xff{}'), /runs beyond its end/],
    [
      'a header without shape',
      () => file('npy', header("{'descr': '<f4', 'fortran_order': False}"), six),
      /a header with/,
    ],
    ['big-endian values', () => file('npy', header(dict('>f4', '2, 3')), six), /expected values of .*, got >f4/],
    ['objects', () => file('npy', header(dict('|O', '2, 3')), six), /got \|O/],
    ['Fortran order', () => file('npy', header(dict('<f4', '2, 3', 'True')), six), /Fortran order/],
    ['one dimension', () => file('npy', header(dict('<f4', '6,')), six), /two dimensions .* \(6\)/],
    ['no rows', () => file('npy', header(dict('<f4', '0, 3'))), /at least one row/],
    ['a shape that overflows', () => file('npy', header(dict('<f4', '99999999999, 99999999999'))), /which cannot be/],
    [
      'a truncated file',
      () => file('npy', header(dict('<f4', '2, 3')), six.subarray(0, 5)),
      /bytes for 2 × 3 of <f4, got/,
    ],
    ['trailing bytes', () => file('npy', header(dict('<f4', '2, 3')), six, 'x'), /bytes for 2 × 3 of <f4, got/],
    [
      'NaN',
      () => file('npy', header(dict('<f4', '2, 2')), Float32Array.of(1, 2, 3, Number.NaN)),
      /row 1, column 1 is NaN/,
    ],
    [
      'an infinite half',
      () => file('npy', header(dict('<f2', '1, 2')), Uint16Array.of(0, 0xfc00)),
      /row 0, column 1 is -Infinity/,
    ],
    [
      'long whole numbers',
      () => file('npy', header(dict('<i8', '1, 1')), BigInt64Array.of(2n ** 40n)),
      /32 bits, got 1099511627776/,
    ],
    ['what is not there', () => join(folder, 'none.npy'), /ENOENT/],
    ['a folder', () => folder.replace(/$/, '/.'), /ends in \.npy/],
  ]);
});

describe('.fvecs, .fbin and their like', () => {
  test('are read', async () => {
    const two = [int(2), Float32Array.of(1, 2), int(2), Float32Array.of(3, 4)];
    expect(await read(file('fvecs', ...two))).toEqual({ rows: 2, dim: 2, type: 'f32', values: [1, 2, 3, 4] });
    expect(await read(file('ivecs', int(1), int(-7), int(1), int(2 ** 31 - 1)))).toMatchObject({
      type: 'i32',
      values: [-7, 2 ** 31 - 1],
    });
    expect(await read(file('bvecs', int(3), Uint8Array.of(1, 2, 255)))).toMatchObject({
      type: 'u8',
      values: [1, 2, 255],
    });
    expect(await read(file('fbin', shape(2, 3), six))).toMatchObject({ rows: 2, dim: 3, values: [...six] });
    expect(await read(file('u8bin', shape(1, 3), Uint8Array.of(0, 128, 255)))).toMatchObject({ values: [0, 128, 255] });
    expect(await read(file('i8bin', shape(3, 1), Int8Array.of(-128, 0, 127)))).toMatchObject({
      values: [-128, 0, 127],
    });
    expect(await read(file('ibin', shape(1, 2), int(3), int(1)))).toMatchObject({ values: [3, 1] });
    const distances = new Float32Array(2);
    expect(await read(file('ibin', shape(1, 2), int(3), int(1), distances))).toMatchObject({ values: [3, 1] });
  });

  refuses([
    ['another name', () => file('csv', '1,2'), /ends in \.npy, .*got ".csv"/],
    ['an empty .fvecs', () => file('fvecs'), /at least one row, got 0 bytes/],
    ['a negative count', () => file('fvecs', int(-1), int(0)), /says -1 values/],
    ['a count of zero', () => file('ivecs', int(0)), /says 0 values/],
    [
      'a truncated row',
      () => file('fvecs', int(2), Float32Array.of(1, 2), int(2), Float32Array.of(1)),
      /no whole number/,
    ],
    [
      'ragged rows',
      () => file('ivecs', int(2), int(1), int(1), int(3), int(1), int(1)),
      /row 1 says 3 values, expected 2/,
    ],
    ['NaN', () => file('fvecs', int(1), Float32Array.of(Number.NaN)), /row 0, column 0 is NaN/],
    ['an empty .fbin', () => file('fbin'), /8 bytes, got 0/],
    ['a truncated .fbin', () => file('fbin', shape(2, 3), new Float32Array(5)), /expected 32 bytes for 2 × 3/],
    ['no rows', () => file('u8bin', shape(0, 3)), /at least one row/],
    ['a truth of another size', () => file('ibin', shape(2, 2), new Uint32Array(5)), /expected 24 bytes/],
  ]);
});

describe('JSON lines', () => {
  test('are read: arrays, objects, ids, empty lines, the end of Windows', async () => {
    const values = [1, 2.5, -3, 4e-3].map(Math.fround);
    const expected = { rows: 2, dim: 2, type: 'f32', values };
    expect(await read(file('jsonl', '[1,2.5]\n[-3,4e-3]\n'))).toEqual(expected);
    expect(await read(file('ndjson', '\xef\xbb\xbf\n[1, 2.5]\r\n\r\n\n[-3,4e-3]'))).toEqual(expected);
    expect(await read(file('jsonl', '{"v":[1,2.5],"text":"a"}\n{"text":"b","v":[-3,4e-3]}\n'))).toEqual(expected);
    const named = file('jsonl', '{"id":7,"a":[1,2.5],"b":[0]}\n{"id":9007199254740991,"a":[-3,4e-3],"b":[0]}');
    expect(await read(named, { column: 'a' })).toEqual({ ...expected, ids: [7, 2 ** 53 - 1] });
    expect(await read(file('jsonl', '{"k":5,"v":[1]}'), { idColumn: 'k' })).toMatchObject({ ids: [5], values: [1] });
  });

  test('rows are found at any place, through many chunks', async () => {
    const n = 60_000;
    const lines = Array.from({ length: n }, (_, i) =>
      `[${i},${'0'.repeat(i % 3)}${0.5 + (i % 7)}${' '.repeat(120)}]\n`.replace(/,0+(?=\d)/, ','),
    );
    const source = await openRows(file('jsonl', lines.join('')));
    expect(source.rows).toBe(n);
    for (const row of [n - 1, 0, 255, 256, 257, 31_000, 30_999, 59_000]) {
      expect([...(await rowsOf(source, row, 1)).values]).toEqual([row, 0.5 + (row % 7)]);
    }
    expect((await sample(source, 5)).filter((_, i) => i % 2 === 0)).toEqual(
      Float32Array.of(0, 12_000, 24_000, 36_000, 48_000),
    );
    expect(await sample(source, 2, 10)).toEqual(Float32Array.of(0, 0.5, 5, 5.5));
    source.close();
  });

  refuses([
    ['an empty file', () => file('jsonl'), /at least one row/],
    ['a file of empty lines', () => file('jsonl', '\n\n\n'), /at least one row/],
    ['a truncated file', () => file('jsonl', '[1,2]\n[3,'), /line 2 is no JSON/],
    ['ragged rows', () => file('jsonl', '[1,2]\n\n[3]'), /line 3 has 1 numbers, expected 2/],
    ['NaN', () => file('jsonl', '[1,2]\n[NaN,1]'), /line 2 is no JSON/],
    ['a number beyond all', () => file('jsonl', '[1,2]\n[1,1e39]'), /row 1, column 1 is Infinity/],
    ['null in a row', () => file('jsonl', '[1,2]\n[1,null]'), /line 2, column 1 is null, expected a number/],
    ['text', () => file('jsonl', '"a"'), /row 0 is "a", expected an array/],
    ['an empty array', () => file('jsonl', '[]'), /row 0 is an array of 0/],
    ['objects without a list', () => file('jsonl', '{"a":1}'), /no list of numbers/],
    ['a choice of lists', () => file('jsonl', '{"a":[1],"b":[1]}'), /several lists, a, b: name one with --column/],
    ['another column', () => file('jsonl', '{"a":[1]}'), /no "b"; with lists of numbers it has: a/, { column: 'b' }],
    ['a column of arrays', () => file('jsonl', '[1]'), /no objects/, { column: 'b' }],
    [
      'a row without the column',
      () => file('jsonl', '{"a":[1]}\n{"b":[1]}'),
      /line 2 has no array of 1 numbers as "a"/,
    ],
    ['arrays that become objects', () => file('jsonl', '[1]\n{"b":[1]}'), /line 2 is an object, expected an array/],
    ['ids of text', () => file('jsonl', '{"id":"x","a":[1]}'), /line 1 has the id "x", expected a whole number/],
    ['a row without id', () => file('jsonl', '{"id":1,"a":[1]}\n{"a":[1]}'), /line 2 has the id undefined/],
    [
      'a line without end',
      () => file('jsonl', '[1]\n', 'x'.repeat(2 ** 24 + 10)),
      /line 2 has more than 16777216 bytes/,
    ],
  ]);
});

type Data = { data: ArrayLike<unknown>; shape: number[]; chunks?: number[]; compression?: 'gzip' };
async function hdf5(datasets: Record<string, Data>): Promise<string> {
  await h5wasm.ready;
  const path = join(folder, `${files++}.hdf5`);
  const out = new h5wasm.File(path, 'w');
  for (const [name, data] of Object.entries(datasets)) out.create_dataset({ name, ...data } as never);
  out.close();
  return path;
}
const train = { data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [3, 2] };
const queries = { data: Float32Array.of(7, 8), shape: [1, 2] };

describe('HDF5', () => {
  test('datasets are read by name', async () => {
    const neighbors = { data: BigInt64Array.of(2n, 0n), shape: [1, 2] };
    const path = await hdf5({ train, test: queries, neighbors });
    expect(await read(path)).toEqual({ rows: 3, dim: 2, type: 'f32', values: [1, 2, 3, 4, 5, 6] });
    expect(await read(`${path}:test`)).toMatchObject({ values: [7, 8] });
    expect(await read(path, { dataset: 'test' })).toMatchObject({ values: [7, 8] });
    expect(await read(path, { datasets: ['test'] })).toMatchObject({ values: [7, 8] });
    expect(await read(`${path}:neighbors`)).toMatchObject({ type: 'i32', values: [2, 0] });
    expect(await read(await hdf5({ only: { data: Uint8Array.of(1, 255), shape: [1, 2] } }))).toMatchObject({
      type: 'u8',
      values: [1, 255],
    });
    expect(await read(await hdf5({ only: { data: Float64Array.of(1, 0.1), shape: [2, 1] } }))).toMatchObject({
      values: [1, Math.fround(0.1)],
    });
  });

  test('in chunks that are compressed', async () => {
    const data = Float32Array.from({ length: 5000 * 4 }, (_, i) => i % 1000);
    const source = await openRows(
      await hdf5({ train: { data, shape: [5000, 4], chunks: [700, 4], compression: 'gzip' } }),
    );
    expect(await readAll(source)).toEqual(data);
    expect(await sample(source, 3)).toEqual(
      Float32Array.from([0, 1666, 3333].flatMap((row) => [...data.subarray(row * 4, row * 4 + 4)])),
    );
    source.close();
  });

  refuses([
    ['another format', () => file('hdf5', new Uint8Array(100)), /signature of an HDF5 file/],
    ['an empty file', () => file('h5'), /signature of an HDF5 file/],
    ['a dataset that is not there', async () => `${await hdf5({ train })}:nope`, /no dataset "nope"; .*: \/?train/],
    ['a choice of datasets', () => hdf5({ a: train, b: train }), /no dataset "train"; name one, as in/],
    ['three dimensions', () => hdf5({ train: { ...train, shape: [3, 1, 2] } }), /got 3 × 1 × 2/, { dataset: 'train' }],
    ['text', () => hdf5({ train: { data: ['a', 'b'], shape: [2, 1] } }), /expected numbers, got/, { dataset: 'train' }],
    ['NaN', () => hdf5({ train: { data: Float32Array.of(0, Number.NaN), shape: [1, 2] } }), /row 0, column 1 is NaN/],
    [
      'a truncated file',
      async () => {
        const path = await hdf5({ train });
        truncateSync(path, 600);
        return path;
      },
      /cannot be read as HDF5/,
    ],
  ]);
});

describe('Parquet', () => {
  const rows = Array.from({ length: 10 }, (_, i) => [i, i + 0.5, -i - 1]);
  const listOf = (name: string) => [
    { name, repetition_type: 'OPTIONAL', num_children: 1, converted_type: 'LIST' },
    { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
    { name: 'element', repetition_type: 'OPTIONAL', type: 'FLOAT' },
  ];
  const text = { name: 'text', repetition_type: 'OPTIONAL', type: 'BYTE_ARRAY', converted_type: 'UTF8' };
  const key = { name: 'key', repetition_type: 'OPTIONAL', type: 'INT64' };
  /** Columns `v`, `w` … of lists, `text` and `key`. */
  const write = (columns: Record<string, unknown[]>, rowGroupSize = 4): string => {
    const filename = join(folder, `${files++}.parquet`);
    const names = Object.keys(columns);
    const parts = names.flatMap((name): object[] => (name === 'text' ? [text] : name === 'key' ? [key] : listOf(name)));
    parquetWriteFile({
      filename,
      columnData: names.map((name) => ({ name, data: columns[name] })),
      schema: [{ name: 'root', num_children: names.length }, ...parts],
      rowGroupSize,
    } as never);
    return filename;
  };
  const whole = { rows: 10, dim: 3, type: 'f32', values: rows.flat() };

  test('lists are read, through row groups', async () => {
    expect(await read(write({ text: rows.map(String), v: rows }))).toEqual(whole);
    expect(await read(write({ v: rows, w: rows.map(() => [0]) }, 100), { column: 'v' })).toEqual(whole);
    const keys = rows.map((_, i) => BigInt(100 + i));
    expect(await read(write({ key: keys, v: rows }), { idColumn: 'key' })).toEqual({ ...whole, ids: keys.map(Number) });
    const source = await openRows(write({ v: rows }, 3));
    expect([...(await source.read(8, 2)).values, ...(await source.read(1, 1)).values]).toEqual(
      [...rows.slice(8), rows[1]].flat(),
    );
    expect(await sample(source, 2)).toEqual(Float32Array.from([...(rows[0] as number[]), ...(rows[5] as number[])]));
    source.close();
  });

  test('so are lists that are written as JSON', async () => {
    const filename = join(folder, 'json.parquet');
    parquetWriteFile({ filename, columnData: [{ name: 'v', data: rows }] as never });
    expect(await read(filename)).toEqual(whole);
  });

  refuses([
    ['what is not there', () => join(folder, 'no.parquet'), /ENOENT/],
    ['another format', () => file('parquet', new Uint8Array(100)), /cannot be read as Parquet/],
    ['an empty file', () => file('parquet'), /cannot be read as Parquet/],
    ['no rows', () => write({ v: [] }), /at least one row|cannot be read/],
    ['no lists', () => write({ text: ['a', 'b'] }), /column of lists of numbers, found text/],
    ['a choice of lists', () => write({ a: rows, b: rows }), /several columns of lists, a, b: name one with --column/],
    ['another column', () => write({ a: rows }), /no column "b"; those with lists of numbers: a/, { column: 'b' }],
    ['a column of text', () => write({ text: ['a'], a: [[1]] }), /column text holds no list/, { column: 'text' }],
    ['ragged rows', () => write({ a: [...rows, [1]] }), /row 10 of column a holds 1 numbers, expected a list of 3/],
    ['null for a row', () => write({ a: [...rows, null] }), /row 10 of column a holds something else/],
    ['NaN', () => write({ a: [[1, Number.NaN]] }), /row 0, column 1 is NaN/],
    ['other ids', () => write({ a: [[1]] }), /no column "k" for ids/, { idColumn: 'k' }],
    ['negative ids', () => write({ key: [-1n], a: [[1]] }), /row 0 has the id -1/, { idColumn: 'key' }],
    [
      'a truncated file',
      () => {
        const bytes = readFileSync(write({ v: rows }));
        return file('parquet', bytes.subarray(0, 40), bytes.subarray(-200));
      },
      /cannot be read as Parquet|row \d+ of column|no list of numbers/,
    ],
  ]);
});

test('a package that is missing is named', async () => {
  const missing = 'annex-has-no-such-reader';
  await expect(needed('a.hdf5', missing, () => import(missing))).rejects.toThrow(
    /a\.hdf5: this needs the package annex-has-no-such-reader.*: npm install annex-has-no-such-reader$/,
  );
  await expect(needed('a.hdf5', missing, () => import(missing))).rejects.toMatchObject({ code: 'UNSUPPORTED' });
});

describe('VectorWriter', () => {
  const write = (
    path: string,
    type: 'f32' | 'u8' | 'i8' | 'i32',
    values: number[],
    dim: number,
    ids?: number[],
  ): string => {
    const writer = new VectorWriter(path, values.length / dim, dim, type);
    const array = new { f32: Float32Array, u8: Uint8Array, i8: Int8Array, i32: Int32Array }[type](values);
    try {
      for (let at = 0; at < values.length; at += dim) {
        writer.write(array.subarray(at, at + dim), ids && Float64Array.of(ids[at / dim] as number));
      }
      writer.close();
    } finally {
      writer.discard();
    }
    return path;
  };
  const floats = [0.1, -0, 1e-40, 3.4e38, 1 / 3, 16777217].map(Math.fround);

  test.each(['npy', 'fvecs', 'fbin', 'jsonl'])('.%s gives back the same floats', async (extension) => {
    const path = write(join(folder, `out.${extension}`), 'f32', floats, 2);
    expect(await read(path)).toEqual({ rows: 3, dim: 2, type: 'f32', values: floats });
  });

  test.each<[string, 'u8' | 'i8' | 'i32', number[]]>([
    ['npy', 'u8', [0, 255]],
    ['npy', 'i8', [-128, 127]],
    ['npy', 'i32', [-1, 2 ** 31 - 1]],
    ['bvecs', 'u8', [0, 255]],
    ['u8bin', 'u8', [0, 255]],
    ['i8bin', 'i8', [-128, 127]],
    ['ivecs', 'i32', [-1, 2 ** 31 - 1]],
    ['ibin', 'i32', [-1, 2 ** 31 - 1]],
  ])('.%s gives back the same %s', async (extension, type, values) => {
    expect(await read(write(join(folder, `out.${extension}`), type, values, 2))).toMatchObject({ type, values });
    expect(await read(write(join(folder, `wide.${extension}`), 'i32', values, 2))).toMatchObject({ values });
  });

  test('ids stand in JSON lines', async () => {
    const path = write(join(folder, 'ids.jsonl'), 'f32', [1, 2], 1, [5, 2 ** 53 - 1]);
    expect(readFileSync(path, 'utf8')).toBe('{"id":5,"embedding":[1]}\n{"id":9007199254740991,"embedding":[2]}\n');
    expect(await read(path)).toMatchObject({ ids: [5, 2 ** 53 - 1], values: [1, 2] });
  });

  test('what fails leaves the old file, and nothing else', () => {
    const path = file('u8bin', 'old');
    expect(() => write(path, 'f32', [1, 0.5], 2)).toThrow(
      /holds u8, whole numbers from 0 to 255, and column 1 of a row is 0.5/,
    );
    expect(() => write(path, 'i32', [1, 256], 1)).toThrow(/is 256/);
    expect(readFileSync(path, 'latin1')).toBe('old');
    expect(() => new VectorWriter(path, 2, 1, 'u8').close()).toThrow(/closed 2 rows before its end/);
    expect(() => new VectorWriter(join(folder, 'no/a.npy'), 1, 1, 'f32')).toThrow(/ENOENT/);
    expect(() => new VectorWriter('a.parquet', 1, 1, 'f32')).toThrow(/\.parquet is read alone/);
    expect(readdirSync(folder).filter((name) => /u8bin\..*new/.test(name)).length).toBeLessThanOrEqual(1);
  });
});
