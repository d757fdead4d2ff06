import type { Backend, BackendIndex, Rows } from './backend.js';
import { AnnexError } from './errors.js';
import type { Engine } from './loader.js';
import {
  type BitsOptions,
  checkMetadata,
  FLAT,
  type FlatIndexOptions,
  type FloatOptions,
  type Int8Options,
  type Json,
  parseFlatOptions,
  type Uint8Options,
} from './options.js';
import { checkToken, type ShareToken } from './share.js';
import { KEY } from './spec.js';
import { VectorIndex } from './vector_index.js';

/** Only this module makes indexes: a constructor that users see must not. */
const MAKER = Symbol('maker');

/**
 * Exact nearest neighbours by looking at every row: the answer that other structures approximate, and the fastest one
 * up to some hundred thousand rows.
 *
 * ```ts
 * const index = await FlatIndex.create({ dim: 384, metric: 'cosine' });
 * await index.add(vectors);
 * for (const { id, distance } of await index.search(query, 10)) console.log(id, distance);
 * ```
 */
export class FlatIndex<Row extends Rows = Float32Array> extends VectorIndex<Row> {
  /** @internal */
  constructor(maker: symbol, backend: Backend, core: BackendIndex, metadata: Json | undefined) {
    if (maker !== MAKER) {
      throw new AnnexError(
        'INVALID_ARGUMENT',
        'expected `await FlatIndex.create(…)` or `FlatIndex.createSync(…)`, got `new`',
      );
    }
    super(backend, core, metadata);
  }

  share(): ShareToken {
    const token = this.shareToken();
    const { metadata } = this;
    return metadata === undefined ? { annex: 'flat', token } : { annex: 'flat', token, metadata };
  }
}

/** The class `FlatIndex` of an entry point: {@link FlatIndex} over its backend. */
// biome-ignore lint/complexity/noBannedTypes: it is a class without a public constructor, and `instanceof` wants a Function
export interface FlatIndexClass extends Function {
  readonly prototype: FlatIndex<Rows>;
  /**
   * Creates an empty index, loading the core first where that is still to be done.
   *
   * @throws AnnexError INVALID_ARGUMENT, INVALID_TYPE, UNSUPPORTED (what does not go together, or no backend),
   * OUT_OF_MEMORY; IO when the WebAssembly core cannot be fetched
   */
  create(options: FloatOptions): Promise<FlatIndex<Float32Array>>;
  create(options: Int8Options): Promise<FlatIndex<Int8Array>>;
  create(options: Uint8Options | BitsOptions): Promise<FlatIndex<Uint8Array>>;
  create(options: FlatIndexOptions): Promise<FlatIndex<Rows>>;
  /** As `create`, at once. In a browser `await ready()` must have come before. */
  createSync(options: FloatOptions): FlatIndex<Float32Array>;
  createSync(options: Int8Options): FlatIndex<Int8Array>;
  createSync(options: Uint8Options | BitsOptions): FlatIndex<Uint8Array>;
  createSync(options: FlatIndexOptions): FlatIndex<Rows>;
}

/** The class FlatIndex of one entry point, and what attaches to one. */
export interface BoundFlat {
  readonly FlatIndex: FlatIndexClass;
  readonly attach: (token: unknown) => FlatIndex<Rows>;
}

export function bindFlatIndex(engine: Engine): BoundFlat {
  class BoundFlatIndex extends FlatIndex<Rows> {
    static async create(options: unknown): Promise<FlatIndex<Rows>> {
      const { pairs, metadata } = parseFlatOptions(options);
      const backend = await engine.load();
      return new BoundFlatIndex(MAKER, backend, backend.create(pairs), metadata);
    }

    static createSync(options: unknown): FlatIndex<Rows> {
      const { pairs, metadata } = parseFlatOptions(options);
      const backend = engine.now();
      return new BoundFlatIndex(MAKER, backend, backend.create(pairs), metadata);
    }
  }
  Object.defineProperty(BoundFlatIndex, 'name', { value: 'FlatIndex' });

  const attach = (value: unknown): FlatIndex<Rows> => {
    const { token, metadata } = checkToken(value);
    const copy = metadata === undefined ? undefined : checkMetadata(metadata);
    const backend = engine.now();
    const core = backend.attach(token);
    if (kindOf(core) === FLAT) return new BoundFlatIndex(MAKER, backend, core, copy);
    core.close();
    throw new AnnexError('INVALID_ARGUMENT', 'expected the token of a FlatIndex, got that of another kind of index');
  };
  return { FlatIndex: BoundFlatIndex as unknown as FlatIndexClass, attach };
}

function kindOf(core: BackendIndex): number | undefined {
  const pairs = core.options();
  for (let i = 0; i < pairs.length; i += 2) if (pairs[i] === KEY.kind) return pairs[i + 1];
  return undefined;
}
