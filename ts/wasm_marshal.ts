import type { Rows, SearchJob, StepProgress } from './backend.js';
import { AnnexError } from './errors.js';
import { progressOf } from './fields.js';
import type { Core } from './wasm_core.js';

// The offsets of AnnexSearch, in bytes; wasm/layout.cpp pins them.
const QUERIES = 0;
const OPTIONS = 4;
const FILTER = 8;
const CANCEL = 12;
const IDS = 16;
const DISTANCES = 20;
const COUNTS = 24;
const NQ = 28;
const K = 32;
const OPTION_PAIRS = 36;
const FILTER_COUNT = 40;
const TYPE = 44;
const FILTER_KIND = 48;
const PART = 52;
const SEARCH_BYTES = 56;
const PART_BYTES = 16; // AnnexPart, rounded up to 8

/** Up to so many numbers a loop copies faster than a view can be made. */
const FEW = 64;

/** Copies elements `from` … `to` of `rows` to address `at`, which is a multiple of 8. */
export function copyIn(core: Core, at: number, rows: Rows, from: number, to: number): void {
  const part = from === 0 && to === rows.length ? rows : rows.subarray(from, to);
  if (part instanceof Float32Array) core.f32.set(part, at >>> 2);
  else if (part instanceof Int8Array) core.i8.set(part, at);
  else core.u8.set(part, at);
}

/** Copies from address `at` to elements `from` … `to` of `rows`. */
export function copyOut(core: Core, at: number, rows: Rows, from: number, to: number): void {
  const n = to - from;
  if (rows instanceof Float32Array) rows.set(core.f32.subarray(at >>> 2, (at >>> 2) + n), from);
  else if (rows instanceof Int8Array) rows.set(core.i8.subarray(at, at + n), from);
  else rows.set(core.u8.subarray(at, at + n), from);
}

/** sizeof(AnnexProgress): two doubles, two int32. */
const PROGRESS_BYTES = 24;

/** What `step` writes to the address that it is given. */
export function progressAt(core: Core, step: (at: number) => number): StepProgress {
  const at = core.reserve(PROGRESS_BYTES);
  core.check(step(at));
  const { f64, i32 } = core;
  return progressOf(f64[at >>> 3]!, f64[(at >>> 3) + 1]!, i32[(at >>> 2) + 4]!, i32[(at >>> 2) + 5]!);
}

/** Bytes that query and results of one query take in the scratch area. */
export function bytesPerQuery(job: SearchJob): number {
  return job.queries.byteLength / job.nq + job.k * 12 + 4;
}

/** AnnexPart: a share of the rows of a search. What the parts before found is in the job's arrays. */
export interface SearchPart {
  first: number;
  rows: number;
  changes: number;
}

/** Runs queries `from` … `to` of the job, through all rows or a part of them, and writes their results to the job's arrays. */
export function searchSlice(
  core: Core,
  index: number,
  job: SearchJob,
  from: number,
  to: number,
  part?: SearchPart,
): void {
  const { k, options, filter } = job;
  const n = to - from;
  const elements = job.queries.length / job.nq;

  // structs, options, ids, filter, queries, distances, counts: what holds doubles comes first, for alignment.
  const sizeQueries = Math.ceil((n * elements * job.queries.BYTES_PER_ELEMENT) / 8) * 8;
  const bytes =
    SEARCH_BYTES + PART_BYTES + options.byteLength + n * k * 12 + n * 4 + sizeQueries + ((filter?.byteLength ?? 0) + 8);
  const search = core.reserve(bytes);
  const atPart = search + SEARCH_BYTES;
  const atOptions = atPart + PART_BYTES;
  const ids = atOptions + options.byteLength;
  const atFilter = ids + n * k * 8;
  const queries = filter === null ? atFilter : atFilter + Math.ceil(filter.byteLength / 8) * 8;
  const distances = queries + sizeQueries;
  const counts = distances + n * k * 4;

  const { u32, f64 } = core;
  for (let i = 0; i < options.length; i++) f64[(atOptions >>> 3) + i] = options[i]!;
  if (filter instanceof Float64Array) f64.set(filter, atFilter >>> 3);
  else if (filter !== null) u32.set(filter, atFilter >>> 2);
  copyIn(core, queries, job.queries, from * elements, to * elements);

  const s = search >>> 2;
  u32[s + QUERIES / 4] = queries;
  u32[s + OPTIONS / 4] = atOptions;
  u32[s + FILTER / 4] = atFilter;
  u32[s + CANCEL / 4] = 0;
  u32[s + IDS / 4] = ids;
  u32[s + DISTANCES / 4] = distances;
  u32[s + COUNTS / 4] = counts;
  u32[s + NQ / 4] = n;
  u32[s + K / 4] = k;
  u32[s + OPTION_PAIRS / 4] = options.length >>> 1;
  u32[s + FILTER_COUNT / 4] = job.filterCount;
  u32[s + TYPE / 4] = job.type;
  u32[s + FILTER_KIND / 4] = job.filterKind;
  u32[s + PART / 4] = part === undefined ? 0 : atPart;
  if (part !== undefined) {
    u32.set([part.first, part.rows, part.changes], atPart >>> 2);
    f64.set(job.ids.subarray(from * k, to * k), ids >>> 3);
    core.f32.set(job.distances.subarray(from * k, to * k), distances >>> 2);
    u32.set(job.counts.subarray(from, to), counts >>> 2);
  }
  const status = core.abi.annex_search(index, search);
  if (status !== 0) throw renumbered(core.error(status), from);

  copyResults(core, job, from, n * k, ids >>> 3, distances >>> 2);
  const count = counts >>> 2;
  for (let q = 0; q < n; q++) job.counts[from + q] = core.u32[count + q]!;
  if (part === undefined) return;
  part.first = core.u32[atPart >>> 2]!;
  part.changes = core.u32[(atPart >>> 2) + 2]!;
}

// The core numbers queries from the first of its call.
function renumbered(error: AnnexError, from: number): AnnexError {
  const message = error.message.replace(/^query (\d+)/, (_, query) => `query ${Number(query) + from}`);
  return new AnnexError(error.code, message);
}

// The memory may have grown during the search, so the views are taken anew.
function copyResults(core: Core, job: SearchJob, from: number, n: number, ids: number, distances: number): void {
  const to = from * job.k;
  const { f64, f32 } = core;
  if (n <= FEW) {
    for (let i = 0; i < n; i++) {
      job.ids[to + i] = f64[ids + i]!;
      job.distances[to + i] = f32[distances + i]!;
    }
    return;
  }
  job.ids.set(f64.subarray(ids, ids + n), to);
  job.distances.set(f32.subarray(distances, distances + n), to);
}
