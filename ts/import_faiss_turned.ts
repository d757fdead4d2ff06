import { AnnexError } from './errors.js';
import type { ImportedCodes } from './import_codes.js';
import { type Turn, turnBack } from './import_faiss_turn.js';
import type { ImportedGraph } from './import_graph.js';
import type { ImportedLists } from './import_lists.js';
import { type ImportedRows, plainRows } from './import_rows.js';
import type { Metric } from './spec.js';

/** What a FAISS file holds, as far as annex has the like. */
export type FaissIndex =
  | {
      readonly kind: 'flat';
      readonly dim: number;
      readonly metric: Metric;
      readonly rows: ImportedRows;
      readonly ids: Float64Array | null;
    }
  | ({ readonly kind: 'hnsw' } & ImportedGraph)
  | ({ readonly kind: 'ivf' } & ImportedLists)
  | ({ readonly kind: 'codes' } & ImportedCodes);

export type Codes = FaissIndex & { kind: 'codes' };

function unsupported(what: string): AnnexError {
  return new AnnexError('UNSUPPORTED', what);
}

/** The index before the transform: its distances are the same, but for what the transform drops of the query. */
export function turnedIndex(turn: Turn, index: FaissIndex): FaissIndex {
  if (index.metric === 'l1' || (turn.shift !== null && index.metric === 'ip')) {
    throw unsupported(`a transform that moves or turns vectors changes ${index.metric}, and has an import under L2`);
  }
  const dim = turn.from;
  const back = (rows: ImportedRows): ImportedRows => plainRows(turnBack(turn, rows.values));
  if (index.kind === 'flat' || index.kind === 'hnsw') return { ...index, dim, rows: back(index.rows) };
  const centroids = turnBack(turn, index.centroids);
  if (index.kind === 'ivf') return { ...index, dim, centroids, rows: back(index.rows) };
  if (index.matrix !== null) throw unsupported('an IndexPreTransform inside another one has no import');
  const { residual } = index;
  const moved = (rows: Float32Array): Float32Array =>
    turn.shift === null ? rows : rows.map((x, i) => x - (turn.shift?.[i % turn.to] as number));
  return {
    ...index,
    dim,
    centroids,
    turned: moved(index.centroids),
    codebooks: residual || turn.shift === null ? index.codebooks : movedBooks(index, turn.shift),
    matrix: turn.matrix,
    rotation: turn.random ? 'random' : 'opq',
    rerank: index.rerank === null ? null : back(index.rerank),
  };
}

function movedBooks({ codebooks, m, bits }: Codes, shift: Float32Array): Float32Array {
  const part = shift.length / m;
  return codebooks.map((x, i) => {
    const j = Math.floor(i / (part << bits));
    return x - (shift[j * part + (i % part)] as number);
  });
}

const UNIT_MISS = 1e-3;

/** L2norm before an index: metric cosine, where it orders rows and lists alike. */
export function unitIndex(index: FaissIndex): FaissIndex {
  const lists = index.kind === 'ivf' || index.kind === 'codes';
  if (lists && !isUnit(index.centroids, index.dim)) {
    throw unsupported(
      'L2norm before an IndexIVF has an import where its centroids have length 1: train it with spherical k-means',
    );
  }
  if (index.metric === 'l1' || (index.kind === 'codes' && index.metric === 'ip')) {
    throw unsupported(`L2norm before codes under ${index.metric} has no import: normalize the vectors instead`);
  }
  return { ...index, metric: 'cosine' };
}

function isUnit(rows: Float32Array, dim: number): boolean {
  for (let at = 0; at < rows.length; at += dim) {
    let sum = 0;
    for (let d = at; d < at + dim; d++) sum += (rows[d] as number) ** 2;
    if (!(Math.abs(sum - 1) <= UNIT_MISS)) return false;
  }
  return true;
}
