import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDataset, repeated } from '../../bench/data/dataset.js';
import { GENERATORS, generate } from '../../bench/data/generate.js';
import { readNpy } from '../../bench/data/npy.js';
import { readVecs } from '../../bench/data/vecs.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'annex-bench-data-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, ...parts: (ArrayBufferView | string)[]): string {
  const path = join(folder, name);
  const bytes = parts.map((part) =>
    typeof part === 'string'
      ? Buffer.from(part, 'latin1')
      : Buffer.from(part.buffer as ArrayBuffer, part.byteOffset, part.byteLength),
  );
  writeFileSync(path, Buffer.concat(bytes));
  return path;
}

function header(dict: string, major = 1): Buffer {
  const text = `${dict}\n`;
  const start = Buffer.from(`\x93NUMPY${String.fromCharCode(major)}\0`, 'latin1');
  const length = Buffer.alloc(major === 1 ? 2 : 4);
  if (major === 1) length.writeUInt16LE(text.length);
  else length.writeUInt32LE(text.length);
  return Buffer.concat([start, length, Buffer.from(text, 'latin1')]);
}

const dict = (descr: string, shape: string, order = 'False'): string =>
  `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (${shape}), }`;

describe('readNpy', () => {
  it('reads f4, u1 and i1 as they are', () => {
    const f4 = readNpy(file('a.npy', header(dict('<f4', '2, 3')), Float32Array.of(1, -2, 3.5, 4, 5, 1e-40)));
    expect(f4).toMatchObject({ rows: 2, dim: 3, data: Float32Array.of(1, -2, 3.5, 4, 5, 1e-40) });
    const u1 = readNpy(file('b.npy', header(dict('|u1', '1, 3'), 2), Uint8Array.of(0, 128, 255)));
    expect(u1.data).toEqual(Uint8Array.of(0, 128, 255));
    const i1 = readNpy(file('c.npy', header(dict('|i1', '3, 1'), 3), Int8Array.of(-128, 0, 127)));
    expect(i1).toMatchObject({ rows: 3, dim: 1, data: Int8Array.of(-128, 0, 127) });
  });

  it('widens f2: normal, denormal, signed zero, the largest', () => {
    const half = Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x03ff, 0x8000, 0x7bff);
    const { data } = readNpy(file('h.npy', header(dict('<f2', '2, 3')), half));
    expect(data).toEqual(Float32Array.of(1, -2, 2 ** -24, 1023 * 2 ** -24, -0, 65504));
  });

  it('reads the first rows alone', () => {
    const path = file('l.npy', header(dict('<f4', '3, 2')), Float32Array.of(1, 2, 3, 4, 5, 6));
    expect(readNpy(path, 2)).toMatchObject({ rows: 2, data: Float32Array.of(1, 2, 3, 4) });
    expect(readNpy(path, 9).rows).toBe(3);
  });

  const six = Float32Array.of(1, 2, 3, 4, 5, 6);
  it.each<[string, (ArrayBufferView | string)[], RegExp]>([
    ['an empty file', [], /0 bytes, too few/],
    ['another format', ['not a NumPy file'], /magic string/],
    ['a future version', [header(dict('<f4', '2, 3'), 4), six], /format 1, 2 or 3, got 4/],
    ['a header beyond the end', ['\x93NUMPY\x01\0\xff\xff{}'], /runs beyond the file/],
    ['a header without shape', [header("{'descr': '<f4', 'fortran_order': False}"), six], /expected a header with/],
    [
      'a key twice',
      [header("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False}"), six],
      /expected a header with/,
    ],
    ['big-endian values', [header(dict('>f4', '2, 3')), six], /<f2, <f4, \|u1, \|i1, got >f4/],
    ['objects', [header(dict('|O', '2, 3')), six], /got \|O/],
    ['Fortran order', [header(dict('<f4', '2, 3', 'True')), six], /Fortran order/],
    ['one dimension', [header(dict('<f4', '6,')), six], /two dimensions .* \(6\)/],
    ['no rows', [header(dict('<f4', '0, 3'))], /at least one row/],
    ['a shape that overflows', [header(dict('<f4', '99999999999, 99999999999'))], /at most .* values/],
    ['a truncated file', [header(dict('<f4', '2, 3')), six.subarray(0, 5)], /bytes for 2 × 3 of <f4, got/],
    ['trailing bytes', [header(dict('<f4', '2, 3')), six, 'x'], /bytes for 2 × 3 of <f4, got/],
    ['NaN', [header(dict('<f4', '2, 3')), Float32Array.of(1, 2, 3, 4, Number.NaN, 6)], /row 1, column 1 is NaN/],
    ['an infinite half', [header(dict('<f2', '1, 2')), Uint16Array.of(0, 0xfc00)], /row 0, column 1 is -Infinity/],
  ])('refuses %s', (_what, parts, message) => {
    expect(() => readNpy(file('bad.npy', ...parts))).toThrow(message);
  });
});

describe('readVecs', () => {
  const int = (value: number): Int32Array => Int32Array.of(value);

  it('reads fvecs, ivecs and bvecs', () => {
    const f = readVecs(file('a.fvecs', int(2), Float32Array.of(1, 2), int(2), Float32Array.of(3, 4)));
    expect(f).toMatchObject({ rows: 2, dim: 2, data: Float32Array.of(1, 2, 3, 4) });
    const i = readVecs(file('a.ivecs', int(1), int(-7), int(1), int(2 ** 31 - 1)), 1);
    expect(i).toMatchObject({ rows: 1, dim: 1, data: Int32Array.of(-7) });
    const b = readVecs(file('a.bvecs', int(3), Uint8Array.of(1, 2, 255)));
    expect(b).toMatchObject({ rows: 1, dim: 3, data: Uint8Array.of(1, 2, 255) });
  });

  it.each<[string, string, (ArrayBufferView | string)[], RegExp]>([
    ['another name', 'a.bin', [int(1), int(1)], /ends in .fvecs/],
    ['an empty file', 'b.fvecs', [], /0 bytes, too few/],
    ['a negative count', 'b.fvecs', [int(-1), int(0)], /says -1 values/],
    ['a count of zero', 'b.ivecs', [int(0)], /says 0 values/],
    ['a truncated row', 'b.fvecs', [int(2), Float32Array.of(1, 2), int(2), Float32Array.of(1)], /no whole number/],
    ['rows that differ in length', 'b.ivecs', [int(2), int(1), int(1), int(3), int(1), int(1)], /row 1 says 3 values/],
    ['NaN', 'b.fvecs', [int(1), Float32Array.of(Number.NaN)], /row 0, column 0 is NaN/],
  ])('refuses %s', (_what, name, parts, message) => {
    expect(() => readVecs(file(name, ...parts))).toThrow(message);
  });
});

describe('generate', () => {
  it.each(GENERATORS)('%s: the seed decides, values and their distances are finite', (kind) => {
    const make = (seed: number) => generate(kind, 300, 20, 24, seed);
    const first = make(1);
    expect(first.base.data).toHaveLength(300 * 24);
    expect(first.queries.data).toHaveLength(20 * 24);
    expect(make(1)).toEqual(first);
    expect(make(2).base.data).not.toEqual(first.base.data);
    for (let row = 0; row < 300; row++) {
      const norm = first.base.data.subarray(row * 24, (row + 1) * 24).reduce((sum, x) => Math.fround(sum + x * x), 0);
      expect(Number.isFinite(4 * norm)).toBe(true);
    }
  });

  it('clustered rows lie in few dimensions, uniform ones do not', () => {
    const dim = 32;
    const residue = (kind: 'clustered' | 'uniform'): number => {
      // Gram-Schmidt over the first dim / 8 + 1 rows spans the subspace; the rest of another row is what sticks out.
      const { data } = generate(kind, 40, 1, dim, 3).base;
      const basis: number[][] = [];
      const reduce = (row: number): number[] => {
        let rest = Array.from(data.subarray(row * dim, (row + 1) * dim));
        for (const unit of basis) {
          const dot = rest.reduce((sum, x, d) => sum + x * unit[d]!, 0);
          rest = rest.map((x, d) => x - dot * unit[d]!);
        }
        return rest;
      };
      for (let row = 0; row <= dim / 8; row++) {
        const rest = reduce(row);
        const norm = Math.hypot(...rest);
        basis.push(rest.map((x) => x / norm));
      }
      return Math.hypot(...reduce(39)) / Math.hypot(...data.subarray(39 * dim, 40 * dim));
    };
    expect(residue('clustered')).toBeLessThan(0.25);
    expect(residue('uniform')).toBeGreaterThan(0.5);
  });

  it('adversarial rows have duplicates, denormals, large norms and constants', () => {
    const { data } = generate('adversarial', 600, 1, 16, 1).base;
    const rows = Array.from({ length: 600 }, (_, row) => data.subarray(row * 16, (row + 1) * 16));
    expect(new Set(rows.map(String)).size).toBeLessThan(600);
    expect(rows.some((row) => row.every((x) => x !== 0 && Math.abs(x) < 1e-38))).toBe(true);
    expect(rows.some((row) => row.some((x) => Math.abs(x) > 1e14))).toBe(true);
    expect(rows.some((row) => row.every((x) => x === row[0]))).toBe(true);
  });
});

describe('openDataset', () => {
  it('opens the sample of the repository and repeats its queries to a full batch', () => {
    const { rows, dim, queries, distinct, query, metric } = openDataset({ batch: 1000 });
    expect({ rows, dim, queries, distinct, metric }).toEqual({
      rows: 10_000,
      dim: 256,
      queries: 1000,
      distinct: 200,
      metric: 'ip',
    });
    expect(query.subarray(200 * 256, 201 * 256)).toEqual(query.subarray(0, 256));
  });

  it('names what does not fit', () => {
    const base = file('base.fvecs', Int32Array.of(2), Float32Array.of(1, 2));
    const query = file('query.bvecs', Int32Array.of(3), Uint8Array.of(1, 2, 3));
    expect(() => openDataset({ base, query })).toThrow(/query.bvecs: has 3 columns, expected 2/);
    expect(() => openDataset({ base })).toThrow(/--base needs --query/);
    expect(() => openDataset({ base, query, generate: 'uniform' })).toThrow(/exclude each other/);
    expect(() => openDataset({ generate: 'unifrom' })).toThrow(/--generate must be one of clustered/);
    expect(() => openDataset({ base, query, metric: 'dot' })).toThrow(/--metric must be one of l2, ip, cosine/);
  });

  it('repeats values to a length that is no multiple', () => {
    expect(repeated(Float32Array.of(1, 2, 3), 7)).toEqual(Float32Array.of(1, 2, 3, 1, 2, 3, 1));
    expect(repeated(Float32Array.of(1, 2, 3), 2)).toEqual(Float32Array.of(1, 2));
  });
});
