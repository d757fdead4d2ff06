import { describe } from './describe.js';
import { AnnexError } from './errors.js';
import { decodeFields, encodeFields } from './field.js';
import { KINDS, type Kind } from './kind.js';
import { checkChoice, checkOptions } from './names.js';
import { KEY, MAX_DIM, METRICS, type Metric, STORAGES, type Storage } from './spec.js';
import {
  type AnyStorage,
  type BitsStorage,
  type FloatStorage,
  type Int8Storage,
  parseStorage,
  type StoredAs,
  storedAs,
  type Uint8Storage,
} from './storage.js';

/** What JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/** Options of every index. */
export interface CommonOptions {
  /** Length of every vector, 1 … 32768; a multiple of 8 for packed bits. */
  dim: number;
  /** Anything that JSON holds and that belongs to the index: model id, embedding schema … Copied. */
  metadata?: Json | undefined;
}

/** How far floats and bytes are apart. */
type NumberMetric = 'l2' | 'ip' | 'cosine' | 'l1';
type BitMetric = 'hamming' | 'jaccard';

/** Options of an index of floats. */
export interface FloatRows extends CommonOptions {
  /** Default `l2`. */
  metric?: NumberMetric | undefined;
  /** How rows are coded, as a name or `{ codec, … }`. Default `f32`. */
  storage?: FloatStorage | undefined;
}

/** Options of an index of signed byte embeddings. */
export interface Int8Rows extends CommonOptions {
  metric?: NumberMetric | undefined;
  storage: Int8Storage;
}

/** Options of an index of unsigned byte embeddings. */
export interface Uint8Rows extends CommonOptions {
  metric?: NumberMetric | undefined;
  storage: Uint8Storage;
}

/** Options of an index of packed bits: bit j of a row is bit j % 8 of its byte j / 8. */
export type BitsRows =
  | (CommonOptions & { metric: BitMetric; storage?: BitsStorage | undefined })
  | (CommonOptions & { metric?: BitMetric | undefined; storage: BitsStorage });

/** Options of an index of any kind of rows, where the kind is not known until run time. */
export interface AnyRows extends CommonOptions {
  metric?: Metric | undefined;
  storage?: AnyStorage | undefined;
}

/** What an index was created with, defaults filled in; it can be passed to `create` again. */
export interface CreatedWith {
  readonly dim: number;
  readonly metric: Metric;
  readonly storage: StoredAs;
  readonly metadata: Json | undefined;
}

export interface ParsedOptions {
  readonly dim: number;
  readonly metric: Metric;
  readonly storage: Storage;
  /** (key, value) pairs of the C ABI. */
  readonly pairs: Float64Array;
  readonly metadata: Json | undefined;
}

interface AnyOptions {
  dim?: unknown;
  metric?: unknown;
  storage?: unknown;
  metadata?: unknown;
}

/** Names of the options of a kind. */
export function optionNames(kind: Kind): readonly string[] {
  return ['dim', 'metric', 'storage', ...Object.keys(kind.options), 'metadata'];
}

/**
 * Checks names and types, and what decides of which type rows are. Which of the values go together in a kind of index,
 * and their ranges, the core checks.
 */
export function parseOptions(kind: Kind, value: unknown, where = `${kind.className}.create`): ParsedOptions {
  const options = checkOptions<AnyOptions>(where, value, optionNames(kind) as never);
  const extra: number[] = [];
  const named = options.storage === undefined ? undefined : parseStorage(options.storage, extra);
  const metric =
    options.metric === undefined
      ? named === 'bits'
        ? 'hamming'
        : 'l2'
      : checkChoice('metric', options.metric, METRICS);
  const binary = metric === 'hamming' || metric === 'jaccard';
  const storage = named ?? (binary ? 'bits' : 'f32');
  if (binary !== (storage === 'bits')) {
    throw new AnnexError(
      'UNSUPPORTED',
      binary
        ? `metric "${metric}" compares packed bits: expected storage "bits", got "${storage}"`
        : `storage "bits" is compared by metric "hamming" or "jaccard", got "${metric}"`,
    );
  }
  const dim = checkDim(options.dim, storage);
  const pairs = [KEY.kind, KINDS.indexOf(kind), KEY.dim, dim];
  pairs.push(KEY.metric, METRICS.indexOf(metric), KEY.storage, STORAGES.indexOf(storage), ...extra);
  encodeFields(kind.options, options, pairs);
  const metadata = options.metadata === undefined ? undefined : checkMetadata(options.metadata);
  return { dim, metric, storage, pairs: Float64Array.from(pairs), metadata };
}

function checkDim(dim: unknown, storage: Storage): number {
  if (typeof dim !== 'number') {
    throw new AnnexError('INVALID_TYPE', `expected dim, the length of a vector, as a number, got ${describe(dim)}`);
  }
  if (!(Number.isInteger(dim) && dim >= 1 && dim <= MAX_DIM)) {
    throw new AnnexError('INVALID_ARGUMENT', `expected dim to be an integer from 1 to ${MAX_DIM}, got ${dim}`);
  }
  if (storage === 'bits' && dim % 8 !== 0) {
    throw new AnnexError(
      'INVALID_ARGUMENT',
      `expected dim to be a multiple of 8 (packed bits fill whole bytes), got ${dim}: pad with zero bits`,
    );
  }
  return dim;
}

/** A deep, frozen copy of what JSON makes of the value. */
export function checkMetadata(value: unknown): Json {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw new AnnexError('INVALID_ARGUMENT', 'expected metadata that JSON can hold: it has a cycle or a BigInt', {
      cause,
    });
  }
  if (text === undefined) {
    throw new AnnexError('INVALID_TYPE', `expected metadata that JSON can hold, got ${describe(value)}`);
  }
  return deepFreeze(JSON.parse(text) as Json);
}

function deepFreeze(value: Json): Json {
  if (typeof value === 'object' && value !== null) {
    for (const part of Object.values(value)) if (part !== undefined) deepFreeze(part);
    Object.freeze(value);
  }
  return value;
}

/** What a core's index is: its kind and storage, and its options as names. */
export interface Described {
  readonly kind: Kind;
  readonly storage: Storage;
  readonly created: CreatedWith;
}

export function describeIndex(pairs: Float64Array, metadata: Json | undefined): Described {
  const codes = new Map<number, number>();
  for (let i = 0; i + 1 < pairs.length; i += 2) codes.set(pairs[i] as number, pairs[i + 1] as number);
  const kind = KINDS[codes.get(KEY.kind) ?? 0] as Kind;
  const storage = STORAGES[codes.get(KEY.storage) ?? 0] ?? 'f32';
  const created = {
    dim: codes.get(KEY.dim) ?? 0,
    metric: METRICS[codes.get(KEY.metric) ?? 0] ?? 'l2',
    storage: storedAs(storage, codes),
    ...decodeFields(kind.options, codes),
    metadata,
  };
  return { kind, storage, created };
}
