import type { Rows } from './backend.js';
import { type BoundClass, bindClass, type Constructor } from './bind.js';
import { AnnexError } from './errors.js';
import { IvfIndex, type IvfIndexClass } from './ivf.js';
import { IVF } from './kind.js';
import type { Engine } from './loader.js';
import { checkOptions } from './names.js';
import { optionNames, parseOptions } from './options.js';
import { allocateRows, type Shape, shapeOf } from './spec.js';
import type { VectorIndex } from './vector_index.js';
import { RowSource, rowsOf, type Vectors } from './vectors.js';
import type { AddOptions, WriteOptions } from './writers.js';

/** Rows a list below which centroids are poorly known (FAISS warns below the same number). */
const LEAST_POINTS = 39;
/** Training rows that are worth having whatever the number of lists: 256 for each centroid of an 8-bit codebook. */
const SAMPLE = 65_536;

/** Lists for n rows: few enough for good centroids, and so many that a search looks at about as many centroids as rows. */
export function listsFor(n: number): number {
  return Math.max(1, Math.min(Math.round(4 * Math.sqrt(n)), Math.floor(n / LEAST_POINTS)));
}

/** Distinct rows drawn at random, in their order (selection sampling: Knuth, TAOCP 2, 3.4.2, algorithm S). */
export class SampledRows extends RowSource {
  readonly #rows: RowSource;
  readonly #shape: Shape;
  readonly #picks: Uint32Array;

  constructor(rows: RowSource, count: number, shape: Shape, seed: number) {
    super(count);
    this.#rows = rows;
    this.#shape = shape;
    this.#picks = new Uint32Array(count);
    const random = generator(seed);
    let chosen = 0;
    for (let i = 0; chosen < count; i++) {
      if (random() * (rows.n - i) < count - chosen) this.#picks[chosen++] = i;
    }
  }

  take(start: number, count: number): Rows {
    const { width } = this.#shape;
    const out = allocateRows(this.#shape, count);
    for (let i = 0; i < count; i++) out.set(this.#rows.take(this.#picks[start + i] as number, 1), i * width);
    return out;
  }
}

/** Numbers in [0, 1): mulberry32 (T. Ettinger 2017). */
function generator(seed: number): () => number {
  let state = (seed ^ Math.floor(seed / 2 ** 32)) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Plan {
  /** For `create`. */
  readonly options: object;
  readonly shape: Shape;
  readonly rows: RowSource;
  readonly write: AddOptions;
}

function planOf(where: string, vectors: unknown, value: unknown, writeNames: readonly string[]): Plan {
  const given = checkOptions<Record<string, unknown>>(where, value, [...optionNames(IVF), ...writeNames]);
  const options: Record<string, unknown> = {};
  const write: Record<string, unknown> = {};
  for (const [name, option] of Object.entries(given)) (writeNames.includes(name) ? write : options)[name] = option;
  const { dim, metric, storage } = parseOptions(IVF, options, where);
  const shape = shapeOf(dim, metric, storage);
  const rows = rowsOf(vectors, shape, 'row');
  if (rows.n === 0)
    throw new AnnexError('INVALID_ARGUMENT', `${where} expects at least one vector to train on, got none`);
  options.nlist ??= listsFor(rows.n);
  return { options, shape, rows, write };
}

function sampleOf(index: IvfIndex<Rows>, { rows, shape }: Plan): RowSource {
  const { nlist, maxPointsPerCentroid, seed } = index.options();
  const count = Math.max(SAMPLE, nlist * maxPointsPerCentroid);
  return count < rows.n ? new SampledRows(rows, count, shape, seed) : rows;
}

async function build(Class: BoundClass, vectors: unknown, value: unknown): Promise<VectorIndex<Rows>> {
  const plan = planOf('IvfIndex.build', vectors, value, ['ids', 'signal', 'onProgress']);
  const { ids: _, ...control } = plan.write;
  const index = await Class.create(plan.options);
  try {
    const sample = sampleOf(index as IvfIndex<Rows>, plan) as unknown;
    await index.train(sample as Vectors<Rows>, control as WriteOptions);
    await index.add(vectors as Vectors<Rows>, plan.write);
    return index;
  } catch (error) {
    index.close();
    throw error;
  }
}

function buildSync(Class: BoundClass, vectors: unknown, value: unknown): VectorIndex<Rows> {
  const plan = planOf('IvfIndex.buildSync', vectors, value, ['ids']);
  const index = Class.createSync(plan.options);
  try {
    const sample = sampleOf(index as IvfIndex<Rows>, plan) as unknown;
    index.trainSync(sample as Vectors<Rows>);
    index.addSync(vectors as Vectors<Rows>, plan.write);
    return index;
  } catch (error) {
    index.close();
    throw error;
  }
}

export function bindIvfIndex(engine: Engine): IvfIndexClass {
  const Class = bindClass(engine, IVF, IvfIndex as Constructor<VectorIndex<Rows>>);
  const builders = {
    build: (vectors: unknown, options: unknown) => build(Class, vectors, options),
    buildSync: (vectors: unknown, options: unknown) => buildSync(Class, vectors, options),
  };
  for (const [name, value] of Object.entries(builders)) {
    Object.defineProperty(Class, name, { value, writable: true, configurable: true });
  }
  return Class as unknown as IvfIndexClass;
}
