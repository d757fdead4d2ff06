// Measures one approximate index: one JSON request a line on stdin, one JSON answer a line on stdout. Times are taken in
// this process, around the system's call.
import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { collectGarbage } from './bench_measure.js';
import type { BuildAnswer, BuildRequest, DataRequest, RunAnswer, RunRequest } from './bench_process.js';
import type { AnnIndex, AnnSystem, Params } from './bench_system.js';
import { openRows } from './data_open.js';
import { floatsOf, readAll } from './data_source.js';
import { latencySummary } from './eval.js';

interface Data {
  readonly base: string;
  readonly metric: 'l2' | 'ip' | 'cosine';
  readonly dim: number;
  readonly queries: Float32Array;
}

async function floatsAt(path: string): Promise<{ values: Float32Array; rows: number; dim: number }> {
  const source = await openRows(path);
  try {
    return { values: floatsOf(await readAll(source)), rows: source.rows, dim: source.dim };
  } finally {
    source.close();
  }
}

const cpuSeconds = (): number => {
  const { user, system: kernel } = process.cpuUsage();
  return (user + kernel) / 1e6;
};

/** Memory of this process alone; undefined where the system does not tell. */
function privateBytes(): number | undefined {
  collectGarbage();
  if (!existsSync('/proc/self/status')) return undefined;
  const kib = /RssAnon:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}

const bytesOf = (array: Float64Array): Uint8Array => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** Answers requests about one system until there are no more. */
export async function serve(system: AnnSystem): Promise<void> {
  let data: Data | undefined;
  let index: AnnIndex | undefined;
  /** Queries cut up, as the system takes them one at a time. */
  let prepared: Float32Array[] = [];

  async function open({ base, query, metric, rows }: DataRequest): Promise<{ rows: number; queries: number }> {
    const { values, rows: count, dim } = await floatsAt(query);
    data = { base, metric, dim, queries: values };
    return { rows, queries: count };
  }

  async function build({ params, threads, file, load }: BuildRequest): Promise<BuildAnswer> {
    const { base, metric, dim, queries } = data!;
    // The rows are there before memory is looked at the first time, and again until it has been the second time.
    const rows = load ? undefined : (await floatsAt(base)).values;
    const before = privateBytes();
    const made = system.make(dim, metric, params);
    const [cpu, start] = [cpuSeconds(), performance.now()];
    if (rows === undefined) await made.load(file);
    else await made.build(rows, threads);
    const seconds = (performance.now() - start) / 1000;
    const used = cpuSeconds() - cpu;
    const after = privateBytes();
    const saved = load || (await made.save(`${file}.new`));
    if (saved && !load) {
      renameSync(`${file}.new`, file);
      made.moved?.(file);
    }
    index = made;
    prepared = [];
    for (let at = 0; at < queries.length; at += dim) {
      const query = queries.slice(at, at + dim); // usearch ignores where a subarray starts
      prepared.push((made.prepare?.(query) ?? query) as Float32Array);
    }
    return {
      seconds,
      cpu: used,
      bytes: before === undefined || after === undefined ? null : after - before,
      held: made.held?.() ?? null,
      fileBytes: saved ? statSync(file).size : null,
      rows: rows === undefined ? null : rows.length / dim,
    };
  }

  async function run(request: RunRequest): Promise<RunAnswer> {
    const { mode, passes, k, threads, params } = request;
    const made = index!;
    await made.set(params as Params, threads);
    const batch = data!.queries.slice(0, request.queries * data!.dim);
    let latency: RunAnswer['latency'] = null;
    const times = new Float64Array(mode === 'batch' ? 0 : passes * request.queries);
    const [cpu, start] = [cpuSeconds(), performance.now()];
    if (mode === 'batch') for (let pass = 0; pass < passes; pass++) made.batch(batch, k);
    else {
      for (let at = 0; at < times.length; at++) {
        const begin = performance.now();
        made.single(prepared[at % request.queries]!, k);
        times[at] = performance.now() - begin;
      }
    }
    const seconds = (performance.now() - start) / 1000;
    const used = cpuSeconds() - cpu;
    if (times.length > 0) {
      const { mean, p50, p95, p99, p999 } = latencySummary(times);
      latency = { mean, p50, p95, p99, p999 };
    }
    if (request.ids !== undefined) writeFileSync(request.ids, bytesOf(Float64Array.from(made.batch(batch, k), Number)));
    return { seconds, cpu: used, latency };
  }

  const verbs: Record<string, (request: never) => unknown> = {
    hello: () => ({ version: system.version() }),
    data: open,
    build,
    run,
  };

  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line) as { verb: string };
    try {
      const answer = (await verbs[request.verb]!(request as never)) as object;
      process.stdout.write(`${JSON.stringify({ ok: true, ...answer })}\n`);
    } catch (error) {
      process.stdout.write(`${JSON.stringify({ ok: false, error: String((error as Error).message ?? error) })}\n`);
    }
  }
}
