// What a file costs: saving, loading and mapping a graph, over what the machine reads from its cache of the disk.
import { closeSync, fsyncSync, mkdtempSync, openSync, readSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HnswIndex, inspect, open } from 'annex';
import { rowStream } from '../ts/data_generate.js';
import { orExitAsync, parse, QUICK } from './lib/cli.js';
import { type FileReport, printFile } from './lib/file_report.js';
import { interleave, spread } from './lib/measure.js';
import { machine, writeResult } from './lib/results.js';

const options = parse('bench -- file', 'Saving, loading and mapping the file of a graph over generated rows × 128.', {
  ...QUICK,
  rows: { type: 'number', help: 'default 1000000, with --quick 20000' },
  graph: { type: 'string', help: 'a file of such a graph; default: one is built' },
  repetitions: { type: 'number', help: 'default 9' },
});

const DIM = 128;

/** Milliseconds of reading a file that was read before, into memory that is there already: no load can be faster. */
function read(path: string, into: Uint8Array): number {
  const start = performance.now();
  const fd = openSync(path, 'r');
  for (let at = 0; at < into.length; ) at += readSync(fd, into, at, Math.min(into.length - at, 1 << 24), at);
  closeSync(fd);
  return performance.now() - start;
}

/** Milliseconds of writing these bytes to a new file until the disk has them. */
function write(path: string, bytes: Uint8Array): number {
  rmSync(path, { force: true });
  const start = performance.now();
  const fd = openSync(path, 'w');
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, Math.min(bytes.length - at, 1 << 24));
  fsyncSync(fd);
  closeSync(fd);
  return performance.now() - start;
}

async function timed(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

await orExitAsync(async () => {
  const stream = rowStream('clustered', DIM, 1);
  const query = new Float32Array(DIM);
  const folder = mkdtempSync(join(tmpdir(), 'annex-file-bench-'));
  const path = join(folder, 'graph.annex');
  try {
    let index: HnswIndex;
    if (options.graph === undefined) {
      const rows = options.rows ?? (options.quick ? 20_000 : 1_000_000);
      const base = new Float32Array(rows * DIM);
      stream.next(base);
      index = await HnswIndex.create({ dim: DIM });
      process.stderr.write(`building a graph of ${rows.toLocaleString('en-US')} rows\n`);
      await index.add(base);
    } else index = (await HnswIndex.open(options.graph)) as HnswIndex;
    stream.next(query);
    const rows = index.size;
    await index.save(path);
    const bytes = statSync(path).size;
    const { sections } = await inspect(path);
    const parts = sections.reduce((sum, { length }) => sum + length, 0);
    const into = new Uint8Array(bytes);
    const first: number[] = [];
    const repetitions = options.repetitions ?? 9;
    const [floor = [], load = []] = await interleave(
      [
        async () => read(path, into),
        async () => {
          let loaded: Awaited<ReturnType<typeof open>> | undefined;
          const ms = await timed(async () => {
            loaded = await open(path);
          });
          loaded?.close();
          return ms;
        },
      ],
      repetitions,
    );
    // By themselves: what a write leaves in the cache of the disk and gives back, a virtual machine may have to ask its
    // host for again, and a load would pay for it.
    const [save = [], plain = [], map = []] = await interleave(
      [
        async () => timed(() => index.save(path)),
        async () => write(join(folder, 'plain'), into),
        async () => {
          const start = performance.now();
          const mapped = await HnswIndex.open(path, { mmap: true });
          const opened = performance.now();
          mapped.searchSync(query, 10);
          first.push(performance.now() - opened);
          mapped.close();
          return opened - start;
        },
      ],
      repetitions,
    );
    index.close();
    const [readMs, loadMs, saveMs, writeMs, mapMs, firstMs] = [floor, load, save, plain, map, first].map(
      (list) => spread(list).median,
    ) as [number, number, number, number, number, number];
    const report: FileReport = {
      machine: machine(),
      rows,
      dim: DIM,
      bytes,
      parts,
      readMs,
      loadMs,
      saveMs,
      writeMs,
      mapMs,
      firstMs,
    };
    process.stdout.write(`${printFile(report)}\nwritten to ${writeResult('file', report)}\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
