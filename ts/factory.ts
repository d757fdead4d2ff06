import { describe } from './describe.js';
import { AnnexError } from './errors.js';
import type { KindName } from './kind.js';
import { didYouMean } from './names.js';
import type { Coarse, Rerank, ScalarStorage } from './spec.js';
import type { PqStorage, RabitqStorage } from './storage.js';

/** What a factory string stands for: a kind of index, and options for its `create`. */
export interface Recipe {
  readonly kind: KindName;
  readonly options: {
    storage?: ScalarStorage | PqStorage | RabitqStorage;
    nlist?: number;
    coarse?: Coarse;
    M?: number;
    rerank?: Rerank;
  };
}

interface Piece {
  readonly text: string;
  /** Where it begins in the string. */
  readonly at: number;
}

const SCALARS: ReadonlyMap<string, Rerank & ScalarStorage> = new Map([
  ['SQ8', 'sq8'],
  ['SQfp16', 'f16'],
  ['SQbf16', 'bf16'],
]);
const FORMS = {
  opq: /^OPQ(\d+)(?:_(\d+))?$/,
  ivf: /^IVF(\d+)(_HNSW\d+)?$/,
  hnsw: /^HNSW(\d+)$/,
  pq: /^PQ(\d+)(?:x(4|8|4fs))?$/,
  rabitq: /^RaBitQ(\d*)$/,
  flat: /^Flat$/,
  scalar: /^(SQ8|SQfp16|SQbf16)$/,
  rflat: /^RFlat$/,
  refine: /^Refine\((.*)\)$/,
} as const;
const EXAMPLES = [
  'Flat',
  'SQ8',
  'SQfp16',
  'SQbf16',
  'PQ32',
  'PQ32x4fs',
  'OPQ32',
  'OPQ32_128',
  'IVF1024',
  'IVF1024_HNSW32',
  'HNSW32',
  'RaBitQ',
  'RFlat',
  'Refine(SQ8)',
];

/**
 * Reads a factory string in FAISS's notation: pieces between commas, in the order rotation, structure, codec, rerank.
 *
 *     [OPQ<m>[_<dim>],] [IVF<nlist>[_HNSW<M>], | HNSW<M>[,]] Flat | SQ8 | SQfp16 | SQbf16 | PQ<m>[x4|x8|x4fs] | RaBitQ[<bits>] [, RFlat | Refine(…)]
 *
 * @throws AnnexError INVALID_ARGUMENT, pointing at the piece that it could not read or that stands in the wrong place
 */
export function parseFactory(factory: unknown): Recipe {
  if (typeof factory !== 'string') {
    throw new AnnexError(
      'INVALID_TYPE',
      `expected a factory string such as "IVF1024,PQ32x4fs,RFlat", got ${describe(factory)}`,
    );
  }
  return new Reader(factory).read();
}

class Reader {
  readonly #text: string;
  readonly #pieces: Piece[] = [];
  #next = 0;

  constructor(text: string) {
    this.#text = text;
    let at = 0;
    for (const part of text.split(',')) {
      const blank = part.length - part.trimStart().length;
      this.#pieces.push({ text: part.trim(), at: at + blank });
      at += part.length + 1;
    }
  }

  read(): Recipe {
    const rotation = this.#take(FORMS.opq);
    const ivf = this.#take(FORMS.ivf);
    const hnsw = ivf === undefined ? this.#take(FORMS.hnsw) : undefined;
    const options: Recipe['options'] = {};
    if (ivf !== undefined) {
      options.nlist = Number(ivf.match[1]);
      if (ivf.match[2] !== undefined) options.coarse = 'hnsw';
    }
    if (hnsw !== undefined) options.M = Number(hnsw.match[1]);
    this.#codec(options, rotation, ivf !== undefined || hnsw !== undefined);
    this.#refine(options);
    const over = this.#pieces[this.#next];
    if (over !== undefined) throw this.#misplaced(over);
    return { kind: ivf !== undefined ? 'ivf' : hnsw !== undefined ? 'hnsw' : 'flat', options };
  }

  #codec(options: Recipe['options'], rotation: Taken | undefined, optional: boolean): void {
    const pq = this.#take(FORMS.pq);
    if (rotation !== undefined && pq === undefined) {
      throw this.#error(rotation.piece, `turns rows for a PQ: expected a piece PQ${rotation.match[1]} after it`);
    }
    if (pq !== undefined) {
      options.storage = this.#product(pq, rotation);
      return;
    }
    const rabitq = this.#take(FORMS.rabitq);
    if (rabitq !== undefined) {
      const bits = rabitq.match[1];
      options.storage = bits === '' ? { codec: 'rabitq' } : { codec: 'rabitq', bits: Number(bits) };
      return;
    }
    if (this.#take(FORMS.flat) !== undefined) return;
    const scalar = this.#take(FORMS.scalar);
    if (scalar !== undefined) {
      options.storage = SCALARS.get(scalar.piece.text) as ScalarStorage;
      return;
    }
    const piece = this.#pieces[this.#next];
    if (!optional || (piece !== undefined && !isRefine(piece))) throw this.#misplaced(piece ?? this.#end());
  }

  #product(pq: Taken, rotation: Taken | undefined): PqStorage {
    const m = Number(pq.match[1]);
    const bits = pq.match[2]?.startsWith('4') ? 4 : 8;
    if (rotation === undefined) return { codec: 'pq', m, bits };
    if (Number(rotation.match[1]) !== m) {
      throw this.#error(
        rotation.piece,
        `does not fit "${pq.piece.text}": both numbers are the parts of a row, so expected OPQ${m}`,
      );
    }
    const dim = rotation.match[2];
    return dim === undefined
      ? { codec: 'pq', m, bits, rotation: 'opq' }
      : { codec: 'pq', m, bits, rotation: 'opq', dim: Number(dim) };
  }

  #refine(options: Recipe['options']): void {
    if (this.#take(FORMS.rflat) !== undefined) {
      options.rerank = 'f32';
      return;
    }
    const refine = this.#take(FORMS.refine);
    if (refine === undefined) return;
    const inner = refine.match[1] ?? '';
    const rerank = inner === 'Flat' ? 'f32' : SCALARS.get(inner);
    if (rerank === undefined) {
      throw this.#error(refine.piece, 'expected Refine(Flat), Refine(SQ8), Refine(SQfp16) or Refine(SQbf16)');
    }
    options.rerank = rerank;
  }

  /** The next piece, if it has this form. */
  #take(form: RegExp): Taken | undefined {
    const piece = this.#pieces[this.#next];
    const match = piece === undefined ? null : form.exec(piece.text);
    if (piece === undefined || match === null) return undefined;
    this.#next++;
    return { piece, match };
  }

  #end(): Piece {
    return { text: '', at: this.#text.length };
  }

  #misplaced(piece: Piece): AnnexError {
    if (piece.text === '') return this.#error(piece, `expected a piece such as ${EXAMPLES.join(', ')}`);
    if (Object.values(FORMS).some((form) => form.test(piece.text))) {
      const order = 'OPQ, then IVF or HNSW, then one codec, then RFlat or Refine';
      return this.#error(piece, `is in the wrong place: pieces come in the order ${order}, each at most once`);
    }
    const hint = didYouMean(piece.text, EXAMPLES);
    return this.#error(piece, `is unknown${hint}; known are pieces such as ${EXAMPLES.join(', ')}`);
  }

  #error(piece: Piece, what: string): AnnexError {
    const shown = piece.text === '' ? 'nothing' : JSON.stringify(piece.text.slice(0, 40));
    return new AnnexError(
      'INVALID_ARGUMENT',
      `cannot read the factory string ${JSON.stringify(this.#text.slice(0, 200))}: at position ${piece.at}, ${shown} ${what}`,
    );
  }
}

interface Taken {
  readonly piece: Piece;
  readonly match: RegExpExecArray;
}

function isRefine(piece: Piece): boolean {
  return FORMS.rflat.test(piece.text) || FORMS.refine.test(piece.text);
}
