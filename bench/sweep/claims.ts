// What a sweep says about the targets of the project: ratios to the peers of the same run, at equal recall.
import { type CurvePoint, pointsOf, rateAt } from '../../ts/bench_curve.js';
import type { SweepMode, SweepState, SystemState } from '../../ts/bench_state.js';
import type { Claim } from '../lib/claims.js';
import { spread } from '../lib/measure.js';

type Choose = (system: SystemState) => boolean;

export function sweepClaims(state: SweepState): Claim[] {
  const { name, rows, dim } = state.dataset;
  const dataset = `${name}, ${rows.toLocaleString('en-US')} × ${dim}`;
  if (state.preset === 'wasm-peers') return wasmClaims(state, dataset);
  // A sweep of ours alone, or of peers alone, claims nothing.
  const has = (structure: string): boolean =>
    [true, false].every((ours) => state.systems.some((one) => one.ours === ours && one.structure === structure));
  const list = [...(has('graph') ? graphClaims(state) : []), ...(has('list') ? listClaims(state) : [])];
  return list.map((claim) => ({ ...claim, dataset }));
}

const times = (what: string, target: number, measured: number | undefined, at?: string): Claim => {
  return { what, at, target, better: 'higher', unit: '×', measured };
};
const atMost = (what: string, target: number, unit: string, measured: number | undefined): Claim => {
  return { what, target, better: 'lower', unit, measured };
};

const isGraph: Choose = ({ ours, structure }) => ours && structure === 'graph';
const isList: Choose = ({ ours, structure }) => ours && structure === 'list';
const peersOf =
  (structure: string): Choose =>
  (one) =>
    !one.ours && one.structure === structure;
const familyIs =
  (...names: string[]): Choose =>
  ({ family }) =>
    names.includes(family);

/** Ours over some peers at each of some recalls, each side by the Pareto curve of all that belongs to it. */
function ratios(
  state: SweepState,
  ours: Choose,
  peers: Choose,
  what: string,
  target: number,
  mode: SweepMode,
  recalls: readonly number[],
): Claim[] {
  return recalls.map((recall) => {
    const [a, b] = [ours, peers].map((choose) => best(state, choose, mode, recall));
    const title = `${what}, ${mode === 'batch' ? 'batch' : 'one query a call'}, at recall`;
    return times(title, target, a === undefined || b === undefined ? undefined : a / b, String(recall));
  });
}

const best = (state: SweepState, choose: Choose, mode: SweepMode, recall: number): number | undefined =>
  rateAt(pointsOf(state.systems.filter(choose), mode), recall)?.rate;

function graphClaims(state: SweepState): Claim[] {
  const hnswlib = familyIs('hnswlib');
  const usearch = familyIs('usearch f32', 'usearch f16');
  const at = [0.9, 0.95, 0.99];
  const over = (peers: Choose, name: string, target: number, mode: SweepMode): Claim[] =>
    ratios(state, isGraph, peers, `HNSW ÷ ${name}`, target, mode, at);
  return [
    ...over(hnswlib, 'hnswlib', 3.5, 'batch'),
    ...over(hnswlib, 'hnswlib', 3.5, 'single'),
    ...over(usearch, 'usearch (the faster of f32 and f16)', 4, 'batch'),
    ...over(usearch, 'usearch (the faster of f32 and f16)', 4, 'single'),
    ...over(familyIs('hnswlib-node'), 'hnswlib-node', 6, 'single'),
    ...over(familyIs('SymphonyQG'), 'SymphonyQG', 1.1, 'batch'),
    ...over(familyIs('SymphonyQG'), 'SymphonyQG', 1.1, 'single'),
    times('HNSW with default options ÷ hnswlib at recall 0.95, batch', 2, defaults(state, hnswlib)),
    times("hnswlib's time to build ÷ HNSW's, at no less recall", 2, buildRatio(state)),
    atMost("HNSW's memory ÷ hnswlib's, f32, plain layout", 1, '×', memory(state, isPlain)),
    atMost("HNSW's memory ÷ hnswlib's, f32, default options", 1.7, '×', memory(state, isDefault)),
    atMost("HNSW's memory ÷ hnswlib's, sq8", 0.4, '×', memory(state, isBytes)),
  ];
}

/** The default search of the default build, over hnswlib at recall 0.95; nothing where the defaults do not reach that. */
function defaults(state: SweepState, peers: Choose): number | undefined {
  const plain = state.systems.filter((one) => isGraph(one) && isDefault(one));
  const point = pointsOf(plain, 'batch').find(({ point }) => Object.keys(point.search).length === 0);
  const peer = best(state, peers, 'batch', 0.95);
  return point === undefined || peer === undefined || point.recall < 0.95 ? undefined : point.rate / peer;
}

/** Nothing but the class was chosen; it may be compacted. */
const isDefault = ({ params: { structure, compact, ...options } }: SystemState): boolean =>
  Object.keys(options).length === 0;

const isPlain: Choose = ({ params }) => params.layout === 'plain' && params.storage === undefined;
const isBytes: Choose = ({ params }) => params.storage === 'sq8' && params.rerank === undefined;

const most = (system: SystemState): number => Math.max(0, ...system.points.map(({ recall }) => recall ?? 0));

/**
 * On the same threads. The lesser of the clock's ratio and that of processor time: a peer's index may have been built by an
 * earlier run, while the machine had other work.
 */
function buildRatio(state: SweepState): number | undefined {
  const peer = state.systems.find(familyIs('hnswlib'));
  if (peer?.build === undefined) return undefined;
  const { seconds, cpu } = peer.build;
  const equal = state.systems.filter((one) => isGraph(one) && one.build && most(one) >= most(peer) - 0.002);
  const all = equal.map(({ build }) => Math.min(seconds / build!.seconds, cpu / build!.cpu));
  return all.length === 0 ? undefined : Math.max(...all);
}

/** By our own account, over the bytes that hnswlib needs for rows, links and ids, which are those of its file. */
function memory(state: SweepState, choose: Choose): number | undefined {
  const peer = state.systems.find(familyIs('hnswlib'))?.build?.fileBytes;
  const ours = state.systems.find((one) => isGraph(one) && choose(one))?.build?.held;
  return peer && ours ? ours / peer : undefined;
}

function listClaims(state: SweepState): Claim[] {
  const what = 'IVF ÷ the best IVF of FAISS';
  const claims = (['batch', 'single'] as const).flatMap((mode) =>
    ratios(state, isList, peersOf('list'), what, 1.5, mode, [0.9, 0.95]),
  );
  const forms = [8, 4].map((bits) => ({ at: `PQ of ${bits} bits`, pair: coded(state, bits) }));
  return [
    ...claims,
    ...forms.map(({ at, pair }) => times("IVF of codes alone ÷ FAISS's at equal nprobe, batch:", 1.5, pair?.ratio, at)),
    ...forms.map(({ at, pair }) => ({
      ...times("IVF of codes alone, recall less FAISS's at equal nprobe, the least:", -0.002, pair?.recall, at),
      unit: '',
    })),
  ];
}

function wasmClaims(state: SweepState, dataset: string): Claim[] {
  const what = `HNSW ÷ the fastest of hnswlib-wasm, edgevec and voy, all on WebAssembly (${dataset})`;
  return ratios(state, isGraph, peersOf('graph'), what, 1, 'single', [0.9, 0.95, 0.99]);
}

/**
 * Plain product quantization of both at the same nprobe, over all seeds: the median ratio of rates, and the least difference
 * of mean recalls.
 */
function coded(state: SweepState, bits: number): { ratio: number; recall: number } | undefined {
  const form = bits === 8 ? /^IVF\d+,PQ\d+$/ : /^IVF\d+,PQ\d+x4fs$/;
  const theirs = meansByNprobe(state, ({ ours, params }) => !ours && form.test(String(params.factory)));
  const our = meansByNprobe(state, ({ ours, params }) => {
    const storage = params.storage as { codec?: string; bits?: number; rotation?: string } | undefined;
    const plain = storage?.codec === 'pq' && storage.bits === bits && (storage.rotation ?? 'none') === 'none';
    return ours && plain && (params.rerank ?? 'none') === 'none';
  });
  const pairs = [...our].flatMap(([nprobe, { rate, recall }]) => {
    const other = theirs.get(nprobe);
    return other === undefined ? [] : [{ ratio: rate / other.rate, recall: recall - other.recall }];
  });
  if (pairs.length === 0) return undefined;
  return {
    ratio: spread(pairs.map(({ ratio }) => ratio)).median,
    recall: Math.min(...pairs.map(({ recall }) => recall)),
  };
}

function meansByNprobe(state: SweepState, choose: Choose): Map<unknown, { rate: number; recall: number }> {
  const points = new Map<unknown, CurvePoint[]>();
  for (const point of pointsOf(state.systems.filter(choose), 'batch')) {
    const { nprobe } = point.point.search;
    points.set(nprobe, [...(points.get(nprobe) ?? []), point]);
  }
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  return new Map(
    [...points].map(([nprobe, all]) => [
      nprobe,
      { rate: mean(all.map(({ rate }) => rate)), recall: mean(all.map(({ recall }) => recall)) },
    ]),
  );
}
