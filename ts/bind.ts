import type { Backend, BackendIndex, Rows } from './backend.js';
import { AnnexError } from './errors.js';
import { KINDS, type Kind } from './kind.js';
import type { Engine } from './loader.js';
import { type Opened, openIndex, openIndexSync, parseOpen } from './open.js';
import { checkMetadata, describeIndex, type Json, parseOptions } from './options.js';
import { checkToken } from './share.js';
import { MAKER, type VectorIndex } from './vector_index.js';

/** A class of indexes as modules see it; users get it without a constructor. */
export interface Constructor<Index> {
  new (maker: symbol, backend: Backend, core: BackendIndex, metadata: Json | undefined): Index;
}

type AnyIndex = VectorIndex<Rows>;

/** A class with what makes its indexes. */
export interface BoundClass extends Constructor<AnyIndex> {
  create(options: unknown): Promise<AnyIndex>;
  createSync(options: unknown): AnyIndex;
  open(source: unknown, options?: unknown): Promise<AnyIndex>;
  openSync(source: unknown, options?: unknown): AnyIndex;
}

/** The class of one entry point: `Base` over its backend, with what makes indexes. */
export function bindClass(engine: Engine, kind: Kind, Base: Constructor<AnyIndex>): BoundClass {
  class Bound extends Base {
    static async create(options: unknown): Promise<AnyIndex> {
      const { pairs, metadata } = parseOptions(kind, options);
      const backend = await engine.load();
      return new Bound(MAKER, backend, backend.create(pairs), metadata);
    }

    static createSync(options: unknown): AnyIndex {
      const { pairs, metadata } = parseOptions(kind, options);
      const backend = engine.now();
      return new Bound(MAKER, backend, backend.create(pairs), metadata);
    }

    static async open(source: unknown, options?: unknown): Promise<AnyIndex> {
      const parsed = parseOpen(`${kind.className}.open`, source, options, true);
      const backend = await engine.load();
      return Bound.#made(backend, await openIndex(backend, parsed));
    }

    static openSync(source: unknown, options?: unknown): AnyIndex {
      const parsed = parseOpen(`${kind.className}.openSync`, source, options, false);
      const backend = engine.now();
      return Bound.#made(backend, openIndexSync(backend, parsed));
    }

    static #made(backend: Backend, { core, metadata }: Opened): AnyIndex {
      const found = describeIndex(core.options(), undefined).kind;
      if (found === kind) return new Bound(MAKER, backend, core, metadata);
      core.close();
      throw new AnnexError(
        'INVALID_ARGUMENT',
        `${kind.className}.open expected a file with an index of kind "${kind.name}", got one of kind ` +
          `"${found.name}": use ${found.className}.open, or open`,
      );
    }
  }
  Object.defineProperty(Bound, 'name', { value: kind.className });
  return Bound;
}

/** What opens a file with an index of any kind; `classes` as for {@link bindAttach}. */
export function bindOpen(
  engine: Engine,
  classes: readonly Constructor<AnyIndex>[],
): Pick<BoundClass, 'open' | 'openSync'> {
  const made = (backend: Backend, { core, metadata }: Opened): AnyIndex => {
    const Class = classes[KINDS.indexOf(describeIndex(core.options(), undefined).kind)] as Constructor<AnyIndex>;
    return new Class(MAKER, backend, core, metadata);
  };
  return {
    async open(source, options) {
      const parsed = parseOpen('open', source, options, true);
      const backend = await engine.load();
      return made(backend, await openIndex(backend, parsed));
    },
    openSync(source, options) {
      const parsed = parseOpen('openSync', source, options, false);
      const backend = engine.now();
      return made(backend, openIndexSync(backend, parsed));
    },
  };
}

/** What attaches to an index of any kind; `classes` has a class for each, in the order of the kinds. */
export function bindAttach(engine: Engine, classes: readonly Constructor<AnyIndex>[]): (token: unknown) => AnyIndex {
  return (value) => {
    const { annex, token, metadata } = checkToken(value);
    const copy = metadata === undefined ? undefined : checkMetadata(metadata);
    const backend = engine.now();
    const core = backend.attach(token);
    const { kind } = describeIndex(core.options(), undefined);
    const Class = classes[KINDS.indexOf(kind)];
    if (Class !== undefined && kind.name === annex) return new Class(MAKER, backend, core, copy);
    core.close();
    throw new AnnexError(
      'INVALID_ARGUMENT',
      `expected the token as index.share() returned it, got the kind "${annex}" for an index of kind "${kind.name}"`,
    );
  };
}
