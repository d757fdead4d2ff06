// What a sweep says about the targets of the project: ratios to the peers of the same run, at equal recall.
import type { Claim } from '../lib/claims.js';
import { spread } from '../lib/measure.js';
import { type CurvePoint, families, pointsOf, rateAt } from './curve.js';
import type { SweepMode, SweepState, SystemState } from './state.js';

type Choose = (system: SystemState) => boolean;

export function sweepClaims(state: SweepState): Claim[] {
  const of = ` (${state.dataset.name}, ${state.dataset.rows.toLocaleString('en-US')} × ${state.dataset.dim})`;
  // A sweep of ours alone, or of peers alone, claims nothing.
  const has = (structure: string): boolean =>
    [true, false].every((ours) => state.systems.some((one) => one.ours === ours && one.structure === structure));
  const list = [...(has('graph') ? graphClaims(state) : []), ...(has('list') ? listClaims(state) : [])];
  return list.map((claim) => ({ ...claim, what: claim.what + of }));
}

const times = (what: string, target: number, measured: number | undefined): Claim => {
  return { what, target, better: 'higher', unit: '×', measured };
};

const isGraph: Choose = ({ ours, structure }) => ours && structure === 'graph';
const isList: Choose = ({ ours, structure }) => ours && structure === 'list';
const familyIs =
  (...names: string[]): Choose =>
  ({ family }) =>
    names.includes(family);

/** Queries a second of the best of some families at a recall. */
function best(state: SweepState, choose: Choose, mode: SweepMode, recall: number): number | undefined {
  const rates = [...families(state).values()].flatMap((systems) => {
    const chosen = systems.filter(choose);
    return rateAt(pointsOf(chosen, mode), recall)?.rate ?? [];
  });
  return rates.length === 0 ? undefined : Math.max(...rates);
}

function over(state: SweepState, ours: Choose, peers: Choose, mode: SweepMode, recall: number): number | undefined {
  const [a, b] = [best(state, ours, mode, recall), best(state, peers, mode, recall)];
  return a === undefined || b === undefined ? undefined : a / b;
}

function graphClaims(state: SweepState): Claim[] {
  const hnswlib = familyIs('hnswlib');
  const usearch = familyIs('usearch f32', 'usearch f16');
  const node = familyIs('hnswlib-node');
  const at = [0.9, 0.95, 0.99];
  return [
    ...at.map((r) => times(`HNSW at recall ${r} ÷ hnswlib, batch`, 3.5, over(state, isGraph, hnswlib, 'batch', r))),
    ...at.map((r) =>
      times(
        `HNSW at recall ${r} ÷ the faster of usearch f32 and f16, batch`,
        4,
        over(state, isGraph, usearch, 'batch', r),
      ),
    ),
    ...at.map((r) =>
      times(`HNSW at recall ${r} ÷ hnswlib-node, one query a call`, 6, over(state, isGraph, node, 'single', r)),
    ),
    times('HNSW with default options ÷ hnswlib at recall 0.95, batch', 2, defaults(state, hnswlib)),
    times("hnswlib's time to build ÷ HNSW's, at no less recall", 2, buildRatio(state)),
    { ...times("HNSW's memory ÷ hnswlib's, f32 and plain", 1, memory(state)), better: 'lower' },
  ];
}

/** The default search of the default build, over hnswlib at recall 0.95; nothing where the defaults do not reach that. */
function defaults(state: SweepState, peers: Choose): number | undefined {
  const plain = state.systems.filter((one) => isGraph(one) && Object.keys(one.params).length === 1);
  const point = pointsOf(plain, 'batch').find(({ point }) => Object.keys(point.search).length === 0);
  const peer = best(state, peers, 'batch', 0.95);
  return point === undefined || peer === undefined || point.recall < 0.95 ? undefined : point.rate / peer;
}

const most = (system: SystemState): number => Math.max(0, ...system.points.map(({ recall }) => recall ?? 0));

function buildRatio(state: SweepState): number | undefined {
  const peer = state.systems.find(familyIs('hnswlib'));
  if (peer?.build === undefined) return undefined;
  const equal = state.systems.filter((one) => isGraph(one) && one.build && most(one) >= most(peer) - 0.002);
  const { seconds } = peer.build;
  return equal.length === 0 ? undefined : seconds / Math.min(...equal.map(({ build }) => build!.seconds));
}

/** By our own account, over the bytes that hnswlib needs for rows, links and ids, which are those of its file. */
function memory(state: SweepState): number | undefined {
  const peer = state.systems.find(familyIs('hnswlib'))?.build?.fileBytes;
  const plain = state.systems.find(
    ({ params, ...one }) => isGraph({ params, ...one }) && params.layout === 'plain' && params.storage === undefined,
  )?.build?.held;
  return peer && plain ? plain / peer : undefined;
}

function listClaims(state: SweepState): Claim[] {
  const faiss: Choose = ({ ours, structure }) => !ours && structure === 'list';
  const claims = (['batch', 'single'] as const).flatMap((mode) =>
    [0.9, 0.95].map((r) =>
      times(
        `IVF at recall ${r} ÷ the best IVF of FAISS, ${mode === 'batch' ? 'batch' : 'one query a call'}`,
        1.5,
        over(state, isList, faiss, mode, r),
      ),
    ),
  );
  for (const bits of [8, 4]) {
    const pair = coded(state, bits);
    const name = bits === 8 ? 'PQ of 8 bits' : 'PQ of 4 bits';
    claims.push(times(`IVF with ${name} ÷ FAISS's at equal nprobe, batch`, 1.5, pair?.ratio), {
      ...times(`IVF with ${name}: recall less FAISS's at equal nprobe, the least`, -0.002, pair?.recall),
      unit: '',
    });
  }
  return claims;
}

/** Plain product quantization of both at the same nprobe: the median ratio of rates, and the least difference of recalls. */
function coded(state: SweepState, bits: number): { ratio: number; recall: number } | undefined {
  const form = bits === 8 ? /^IVF\d+,PQ\d+$/ : /^IVF\d+,PQ\d+x4fs$/;
  const peer = state.systems.find(({ ours, params }) => !ours && form.test(String(params.factory)));
  const our = state.systems.find(({ ours, params }) => {
    const storage = params.storage as { codec?: string; bits?: number; rotation?: string } | undefined;
    const plain = storage?.codec === 'pq' && storage.bits === bits && (storage.rotation ?? 'none') === 'none';
    return ours && plain && (params.rerank ?? 'none') === 'none';
  });
  if (peer === undefined || our === undefined) return undefined;
  const theirs = new Map(
    pointsOf([peer], 'batch').map((point): [unknown, CurvePoint] => [point.point.search.nprobe, point]),
  );
  const pairs = pointsOf([our], 'batch').flatMap((point) => {
    const other = theirs.get(point.point.search.nprobe);
    return other === undefined ? [] : [{ ratio: point.rate / other.rate, recall: point.recall - other.recall }];
  });
  if (pairs.length === 0) return undefined;
  return {
    ratio: spread(pairs.map(({ ratio }) => ratio)).median,
    recall: Math.min(...pairs.map(({ recall }) => recall)),
  };
}
