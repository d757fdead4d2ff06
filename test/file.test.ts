import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { AnnexError, FlatIndex, HnswIndex, inspect, open, openSync, type Rows } from 'annex';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { floats, integers } from './support/data.js';
import { expectFailure, failure, listed, native } from './support/expect.js';

const directory = mkdtempSync(join(tmpdir(), 'annex-file-'));
const at = (name: string): string => join(directory, name);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const DIM = 40;
const metadata = { model: 'm1', schema: { fields: ['title', 'ä'] } };
const rows = floats(3000, DIM, 1);
const queries = floats(5, DIM, 2);
let index: FlatIndex;
let bytes: Uint8Array;

beforeAll(async () => {
  index = await FlatIndex.create({ dim: DIM, metric: 'cosine', metadata });
  await index.add(rows, { ids: Float64Array.from({ length: 3000 }, (_, i) => 5 * i + 1) });
  await index.remove([1, 6, 14996]);
  bytes = await index.toBytes();
});

function expectSame(other: FlatIndex<Rows>): void {
  expect(other.size).toBe(index.size);
  expect(other.options()).toEqual(index.options());
  expect(other.metadata).toEqual(metadata);
  for (let q = 0; q < 5; q++) {
    const query = queries.subarray(q * DIM, (q + 1) * DIM);
    expect(listed(other.searchSync(query, 7))).toEqual(listed(index.searchSync(query, 7)));
  }
  expect(other.get(11)).toEqual(index.get(11));
  expect(other.has(6)).toBe(false);
}

/** As toEqual, without its walk over every element. */
function expectBytes(got: Uint8Array, expected: Uint8Array): void {
  expect(Buffer.compare(got, expected)).toBe(0);
}

async function* inChunks(all: Uint8Array, n: number): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < all.length; i += n) yield all.slice(i, i + n);
}

function streamOf(chunks: AsyncIterable<unknown>): ReadableStream<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done) controller.close();
      else controller.enqueue(value as Uint8Array);
    },
  });
}

async function collected(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream as never).arrayBuffer());
}

describe('saving and opening', () => {
  test('the same bytes on every way out', async () => {
    expectBytes(index.toBytesSync(), bytes);
    expectBytes(await collected(index.saveStream()), bytes);
    await index.save(at('a.annex'));
    expectBytes(new Uint8Array(readFileSync(at('a.annex'))), bytes);
    index.saveSync(pathToFileURL(at('b ä.annex')));
    expectBytes(new Uint8Array(readFileSync(at('b ä.annex'))), bytes);
  });

  test('the same index on every way in', async () => {
    await index.save(at('in.annex'));
    const shifted = new Uint8Array(bytes.length + 3);
    shifted.set(bytes, 3);
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
    shared.set(bytes);
    for (const source of [
      at('in.annex'),
      pathToFileURL(at('in.annex')),
      bytes,
      bytes.slice().buffer,
      shifted.subarray(3),
      new DataView(shifted.buffer, 3),
      shared,
      shared.buffer,
      Buffer.from(bytes),
    ]) {
      const opened = await open(source as Uint8Array);
      expect(opened).toBeInstanceOf(FlatIndex);
      expectSame(opened as FlatIndex<Rows>);
      expectSame(openSync(source as Uint8Array) as FlatIndex<Rows>);
      expectSame(await FlatIndex.open(source as Uint8Array));
      expectSame(FlatIndex.openSync(source as Uint8Array));
      opened.close();
    }
    expectSame(await FlatIndex.open(new Blob([bytes as BlobPart])));
    expectSame(await FlatIndex.open(streamOf(inChunks(bytes, 1000))));
    expectSame(await FlatIndex.open(streamOf(inChunks(bytes, 1 << 22)), { verify: 'lazy' }));
    expectSame(await FlatIndex.open(index.saveStream()));
  });

  test('an opened index can be changed and saved', async () => {
    const opened = (await FlatIndex.open(bytes)) as FlatIndex<Float32Array>;
    const copy = openSync(bytes) as FlatIndex<Float32Array>;
    expect(await opened.add(floats(50, DIM, 3))).toEqual(Float64Array.from({ length: 50 }, (_, i) => 14997 + i));
    copy.addSync(floats(50, DIM, 3));
    expect(await opened.remove([11, 16])).toBe(2);
    expect(copy.removeSync([11, 16])).toBe(2);
    expect(opened.has(11)).toBe(false);
    expectBytes(await opened.toBytes(), copy.toBytesSync());
    expectSame(openSync(bytes) as FlatIndex<Rows>);
  });

  test.each([
    ['f16', 'l1'],
    ['bf16', 'ip'],
    ['sq8', 'l2'],
    ['i8', 'cosine'],
    ['u8', 'l1'],
    ['bits', 'jaccard'],
  ] as const)('storage %s under %s', async (storage, metric) => {
    const original = await FlatIndex.create({ dim: DIM, metric, storage });
    const width = storage === 'bits' ? DIM / 8 : DIM;
    const n = 300;
    const given =
      storage === 'i8'
        ? integers(new Int8Array(n * width), -128, 127)
        : storage === 'u8' || storage === 'bits'
          ? integers(new Uint8Array(n * width), 0, 255)
          : floats(n, DIM);
    await original.add(given);
    const opened = openSync(await original.toBytes()) as FlatIndex<Rows>;
    const query = given.subarray(width, 2 * width) as never;
    expect(listed(opened.searchSync(query, 9))).toEqual(listed(original.searchSync(query, 9)));
    expect(opened.metadata).toBeUndefined();
  });

  test('progress, and abort that leaves the old file', async () => {
    const path = at('abort.annex');
    writeFileSync(path, 'old');
    const phases = new Set<string>();
    let last = 0;
    await index.save(path, {
      onProgress: ({ done, total, phase }) => {
        phases.add(phase);
        expect(total).toBe(bytes.length);
        expect(done).toBeGreaterThanOrEqual(last);
        last = done;
      },
    });
    expect([...phases]).toEqual(['write']);
    expect(last).toBe(bytes.length);
    const aborted = AbortSignal.abort(new Error('why'));
    await expectFailure(() => index.save(path, { signal: aborted }), 'ABORTED');
    await expectFailure(() => index.toBytes({ signal: aborted }), 'ABORTED');
    await expectFailure(() => open(path, { signal: aborted }), 'ABORTED');
    const large = await FlatIndex.create({ dim: 512, sidecar: 'none' });
    await large.add(new Float32Array(60_000 * 512));
    const control = new AbortController();
    const saving = large.save(path, { signal: control.signal, onProgress: () => control.abort('stop') });
    const error = await expectFailure(() => saving, 'ABORTED');
    expect(error.cause).toBe('stop');
    expectBytes(new Uint8Array(readFileSync(path)), bytes);
    await expectFailure(
      () =>
        large.save(path, {
          onProgress: () => {
            throw new Error('no');
          },
        }),
      'INVALID_ARGUMENT',
      /onProgress threw: no/,
    );
    expectBytes(new Uint8Array(readFileSync(path)), bytes);
    expect(readdirSync(directory).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    const opening = new AbortController();
    large.saveSync(at('large.annex'));
    const opened = open(at('large.annex'), { signal: opening.signal, onProgress: () => opening.abort('enough') });
    expect((await expectFailure(() => opened, 'ABORTED')).cause).toBe('enough');
  });

  test('savers and writers wait for each other', async () => {
    const other = await FlatIndex.create({ dim: 4 });
    const stream = other.saveStream();
    const reader = stream.getReader();
    const added = other.add(new Float32Array(8));
    expect((await added).length).toBe(2);
    const first = await reader.read();
    expect(first.done).toBe(false);
    const later = other.add(new Float32Array(4));
    expect(() => other.addSync(new Float32Array(4))).toThrow(/not finished/);
    expect(() => other.saveSync(at('busy.annex'))).toThrow(/not finished/);
    expect(other.searchSync(new Float32Array(4), 1).length).toBe(1);
    await reader.cancel();
    expect([...(await later)]).toEqual([2]);
    const [a, b] = await Promise.all([other.toBytes(), other.toBytes(), other.add(new Float32Array(4))]);
    expectBytes(a, b);
    expect(other.size).toBe(4);
    other.close();
    await expectFailure(() => other.save(at('closed.annex')), 'CLOSED');
    await expectFailure(() => other.toBytes(), 'CLOSED');
    await expectFailure(async () => other.saveStream(), 'CLOSED');
  });
});

describe('options of opening', () => {
  test('readOnly refuses changes', async () => {
    const opened = (await FlatIndex.open(bytes, { readOnly: true })) as FlatIndex<Float32Array>;
    expectSame(opened);
    await expectFailure(() => opened.add(new Float32Array(DIM)), 'UNSUPPORTED', /readOnly/);
    await expectFailure(async () => opened.removeSync(11), 'UNSUPPORTED', /readOnly/);
    expectBytes(await opened.toBytes(), bytes);
  });

  test('mmap', async () => {
    const path = at('map.annex');
    await index.save(path);
    if (!native) {
      await expectFailure(() => open(path, { mmap: true }), 'UNSUPPORTED', /native backend/);
      return;
    }
    await expectFailure(() => open(bytes, { mmap: true }), 'INVALID_ARGUMENT', /path/);
    for (const options of [{}, { verify: 'full' }, { verify: 'lazy' }, { readOnly: true }] as const) {
      expectSame(await FlatIndex.open(path, { mmap: true, ...options }));
      expectSame(FlatIndex.openSync(path, { mmap: true, ...options }));
    }
    // Changes stay in memory; a new file at the path is not this one.
    const mapped = (await FlatIndex.open(path, { mmap: true })) as FlatIndex<Float32Array>;
    const other = (await FlatIndex.open(path, { mmap: true })) as FlatIndex<Float32Array>;
    await mapped.remove([11]);
    await mapped.upsert([16], floats(1, DIM, 9));
    expect(mapped.has(11)).toBe(false);
    expect(other.has(11)).toBe(true);
    expectBytes(new Uint8Array(readFileSync(path)), bytes);
    await mapped.save(path);
    expectSame(other);
    expect((await FlatIndex.open(path)).has(11)).toBe(false);
  });

  test('damage to rows is found unless verify is lazy', async () => {
    const { sections } = await inspect(bytes);
    const path = at('damaged.annex');
    const damage = (tag: string): void => {
      const bad = bytes.slice();
      const { offset, length } = sections.find((section) => section.tag === tag) as { offset: number; length: number };
      const place = offset + (length >> 1);
      bad[place] = (bad[place] as number) ^ 1;
      writeFileSync(path, bad);
    };
    damage('ROWS');
    const error = await expectFailure(() => open(path), 'CORRUPT', /section ROWS: its checksum does not match/);
    expect(error.message.startsWith(path)).toBe(true);
    expect((await open(path, { verify: 'lazy' })).size).toBe(index.size);
    damage('IDS ');
    await expectFailure(() => open(path, { verify: 'lazy' }), 'CORRUPT', /section IDS/);
    if (!native) return;
    const mapped = (await open(path, { mmap: true })) as FlatIndex<Rows>;
    expect(mapped.size).toBe(index.size);
    await expectFailure(() => mapped.search(queries.subarray(0, DIM), 3), 'CORRUPT', /section IDS/);
    await expectFailure(async () => mapped.get(11), 'CORRUPT', /section IDS/);
  });
});

describe('inspect', () => {
  test('tells what a file holds', async () => {
    await index.save(at('inspect.annex'));
    for (const source of [at('inspect.annex'), bytes, new Blob([bytes as BlobPart]), streamOf(inChunks(bytes, 100))]) {
      const info = await inspect(source as Uint8Array);
      expect(info).toMatchObject({
        kind: 'flat',
        options: index.options(),
        metadata,
        size: 2997,
        nextId: 14997,
        bytes: bytes.length,
        format: 1,
        creator: 'annex 0.1.0',
      });
      expect(info.sections.map(({ tag }) => tag)).toEqual([
        'OPTS',
        'INFO',
        'META',
        'ROWS',
        'NORM',
        'PANL',
        'TERM',
        'IDS ',
      ]);
      const sum = info.sections.reduce((total, { length }) => total + length, 0);
      expect(bytes.length).toBeLessThanOrEqual(1.02 * sum);
    }
  });

  test('refuses what is none', async () => {
    for (const [source, code] of [
      [new Uint8Array(0), 'CORRUPT'],
      [new TextEncoder().encode('x'.repeat(200)), 'CORRUPT'],
      [bytes.slice(0, 500), 'CORRUPT'],
      [at('missing.annex'), 'IO'],
      [directory, 'IO'],
      [7, 'INVALID_TYPE'],
    ] as const) {
      await expectFailure(() => inspect(source as Uint8Array), code);
    }
    for (let place = 0; place < 320; place++) {
      const bad = bytes.slice();
      bad[place] = (bad[place] as number) ^ 16;
      await expectFailure(() => inspect(bad), 'CORRUPT');
    }
  });
});

describe('bad input', () => {
  test('sources and options that are none', async () => {
    for (const source of [undefined, null, 5, {}, [], 'x\0y', '', new URL('https://example.org/x.annex'), () => 0]) {
      expect(['INVALID_TYPE', 'INVALID_ARGUMENT']).toContain((await failure(() => open(source as string))).code);
      expect(['INVALID_TYPE', 'INVALID_ARGUMENT']).toContain(
        (await failure(async () => openSync(source as string))).code,
      );
      expect(['INVALID_TYPE', 'INVALID_ARGUMENT']).toContain((await failure(() => index.save(source as string))).code);
    }
    await expectFailure(() => open(bytes, { verify: 'no' as 'full' }), 'INVALID_ARGUMENT');
    await expectFailure(() => open(bytes, { readOnly: 1 as never }), 'INVALID_TYPE');
    await expectFailure(() => open(bytes, { maps: true } as never), 'INVALID_ARGUMENT', /mmap/);
    await expectFailure(async () => openSync(new Blob([]) as never), 'INVALID_TYPE');
    const locked = streamOf(inChunks(bytes, 100));
    locked.getReader();
    await expectFailure(() => open(locked), 'INVALID_ARGUMENT', /locked/);
    async function* text(): AsyncGenerator<unknown> {
      yield 'text';
    }
    await expectFailure(() => open(streamOf(text())), 'INVALID_TYPE', /Uint8Array/);
    async function* failing(): AsyncGenerator<unknown> {
      yield bytes.slice(0, 100);
      throw new Error('gone');
    }
    await expectFailure(() => open(streamOf(failing())), 'IO', /gone/);
  });

  test('another kind is refused by name', async () => {
    await expectFailure(() => HnswIndex.open(bytes), 'INVALID_ARGUMENT', /"hnsw".*"flat": use FlatIndex.open/);
    await expectFailure(async () => HnswIndex.openSync(bytes), 'INVALID_ARGUMENT');
  });

  test('files that are none', async () => {
    const empty = at('empty');
    writeFileSync(empty, '');
    const text = at('text');
    writeFileSync(text, 'hello '.repeat(100));
    mkdirSync(at('sub'), { recursive: true });
    for (const [path, code] of [
      [empty, 'CORRUPT'],
      [text, 'CORRUPT'],
      [at('sub'), 'IO'],
      [at('missing'), 'IO'],
      [join(text, 'below'), 'IO'],
      ['/dev/null', 'IO'],
    ] as const) {
      const error = await expectFailure(() => open(path), code);
      expect(error.message.startsWith(path)).toBe(true);
      await expectFailure(async () => openSync(path), code);
      if (native) await expectFailure(() => open(path, { mmap: true }), code);
    }
    for (const path of [at('sub'), join(text, 'below'), at('no/such/place'), '/dev/null']) {
      await expectFailure(() => index.save(path), 'IO');
      await expectFailure(async () => index.saveSync(path), 'IO');
    }
    if (process.getuid?.() !== 0) {
      mkdirSync(at('locked'), { mode: 0o500 });
      await expectFailure(() => index.save(join(at('locked'), 'x')), 'IO');
      writeFileSync(at('unreadable'), 'x');
      chmodSync(at('unreadable'), 0);
      await expectFailure(() => open(at('unreadable')), 'IO');
    }
    if (existsSync('/dev/full')) await expectFailure(() => index.save('/dev/full'), 'IO');
  });

  test('a link stays a link, modes stay', async () => {
    await index.save(at('target.annex'));
    chmodSync(at('target.annex'), 0o640);
    symlinkSync(at('target.annex'), at('link.annex'));
    const other = await FlatIndex.create({ dim: 2 });
    await other.save(at('link.annex'));
    expect((await inspect(at('target.annex'))).options.dim).toBe(2);
    const { lstatSync, statSync } = await import('node:fs');
    expect(lstatSync(at('link.annex')).isSymbolicLink()).toBe(true);
    expect(statSync(at('target.annex')).mode & 0o777).toBe(0o640);
  });

  test('every truncation and every flipped byte of a small file', async () => {
    const small = await FlatIndex.create({ dim: 3, metadata: 'm' });
    await small.add(floats(4, 3), { ids: [4, 7, 1, 2] });
    const whole = await small.toBytes();
    const outcome = (given: Uint8Array): string => {
      try {
        openSync(given).close();
        return 'opened';
      } catch (error) {
        return error instanceof AnnexError ? error.code : String(error);
      }
    };
    expect(outcome(whole)).toBe('opened');
    for (let n = 0; n < whole.length; n++) expect(outcome(whole.subarray(0, n))).toBe('CORRUPT');
    for (let place = 0; place < whole.length; place++) {
      for (const change of [1, 16, 128, 255]) {
        const bad = whole.slice();
        bad[place] = (bad[place] as number) ^ change;
        expect(outcome(bad)).toBe('CORRUPT');
      }
    }
  });

  test('two indexes saved to one path at once: one of them, whole', async () => {
    const path = at('race.annex');
    const other = await FlatIndex.create({ dim: 2, metadata: 'other' });
    for (let round = 0; round < 10; round++) {
      await Promise.all([index.save(path), other.save(path), index.save(path)]).catch(() => {});
      const opened = await open(path);
      expect([index.size, 0]).toContain(opened.size);
      opened.close();
    }
    expect(readdirSync(directory).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});
