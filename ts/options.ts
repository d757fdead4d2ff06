import { describe } from './describe.js';
import { AnnexError } from './errors.js';
import { checkChoice, checkOptions } from './names.js';
import { KEY, MAX_DIM, METRICS, type Metric, SIDECARS, type Sidecar, STORAGES, type Storage } from './spec.js';

/** AnnexKind of the C ABI. */
export const FLAT = 0;

/** What JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

interface CommonOptions {
  /** Length of every vector, 1 … 32768; a multiple of 8 for packed bits. */
  dim: number;
  /** Anything that JSON holds and that belongs to the index: model id, embedding schema … Copied. */
  metadata?: Json | undefined;
}

/** Options of a {@link FlatIndex} of floats. */
export interface FloatOptions extends CommonOptions {
  /** Default `l2`. */
  metric?: 'l2' | 'ip' | 'cosine' | 'l1' | undefined;
  /** How rows are coded, as a name or `{ codec: name }`. Default `f32`. */
  storage?: 'f32' | 'f16' | 'bf16' | 'sq8' | { codec: 'f32' | 'f16' | 'bf16' | 'sq8' } | undefined;
  /**
   * An int8 copy of the rows (dim bytes a row) that rules rows out before they are read in full, for the metrics l2, ip
   * and cosine. Results stay exactly the same. `auto` (default) keeps it where it pays, `i8` always, `none` never.
   */
  sidecar?: Sidecar | undefined;
}

/** Options of a {@link FlatIndex} of signed byte embeddings. */
export interface Int8Options extends CommonOptions {
  metric?: 'l2' | 'ip' | 'cosine' | 'l1' | undefined;
  storage: 'i8' | { codec: 'i8' };
}

/** Options of a {@link FlatIndex} of unsigned byte embeddings. */
export interface Uint8Options extends CommonOptions {
  metric?: 'l2' | 'ip' | 'cosine' | 'l1' | undefined;
  storage: 'u8' | { codec: 'u8' };
}

/** Options of a {@link FlatIndex} of packed bits: bit j of a row is bit j % 8 of its byte j / 8. */
export type BitsOptions =
  | (CommonOptions & { metric: 'hamming' | 'jaccard'; storage?: 'bits' | { codec: 'bits' } | undefined })
  | (CommonOptions & { metric?: 'hamming' | 'jaccard' | undefined; storage: 'bits' | { codec: 'bits' } });

/** Options of a {@link FlatIndex} of any kind of rows, where the kind is not known until run time. */
export interface FlatIndexOptions extends CommonOptions {
  metric?: Metric | undefined;
  storage?: Storage | { codec: Storage } | undefined;
  sidecar?: Sidecar | undefined;
}

/** What an index was created with, defaults filled in. */
export interface CreatedWith {
  readonly dim: number;
  readonly metric: Metric;
  readonly storage: Storage;
  /** Whether there is a sidecar: what `auto` came to. */
  readonly sidecar: 'none' | 'i8';
  readonly metadata: Json | undefined;
}

export interface ParsedOptions {
  /** (key, value) pairs of the C ABI. */
  readonly pairs: Float64Array;
  readonly metadata: Json | undefined;
}

interface AnyOptions {
  dim?: unknown;
  metric?: unknown;
  storage?: unknown;
  sidecar?: unknown;
  metadata?: unknown;
}

export function parseFlatOptions(value: unknown): ParsedOptions {
  const options = checkOptions<AnyOptions>('FlatIndex.create', value, [
    'dim',
    'metric',
    'storage',
    'sidecar',
    'metadata',
  ]);
  const storage = options.storage === undefined ? undefined : storageOf(options.storage);
  const metric =
    options.metric === undefined
      ? storage === 'bits'
        ? 'hamming'
        : 'l2'
      : checkChoice('metric', options.metric, METRICS);
  const binary = metric === 'hamming' || metric === 'jaccard';
  const coded = storage ?? (binary ? 'bits' : 'f32');
  if (binary !== (coded === 'bits')) {
    throw new AnnexError(
      'UNSUPPORTED',
      binary
        ? `metric "${metric}" compares packed bits: expected storage "bits", got "${coded}"`
        : `storage "bits" is compared by metric "hamming" or "jaccard", got "${metric}"`,
    );
  }
  const dim = checkDim(options.dim, coded);
  const pairs = [
    KEY.kind,
    FLAT,
    KEY.dim,
    dim,
    KEY.metric,
    METRICS.indexOf(metric),
    KEY.storage,
    STORAGES.indexOf(coded),
  ];
  if (options.sidecar !== undefined) {
    pairs.push(KEY.sidecar, SIDECARS.indexOf(checkChoice('sidecar', options.sidecar, SIDECARS)));
  }
  const metadata = options.metadata === undefined ? undefined : checkMetadata(options.metadata);
  return { pairs: Float64Array.from(pairs), metadata };
}

function storageOf(value: unknown): Storage {
  if (typeof value !== 'object') return checkChoice('storage', value, STORAGES);
  const { codec } = checkOptions<{ codec?: unknown }>('storage', value, ['codec']);
  return checkChoice('storage.codec', codec, STORAGES);
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

/** The options of a core's index as names. */
export function createdWith(pairs: Float64Array, metadata: Json | undefined): CreatedWith {
  const values = new Map<number, number>();
  for (let i = 0; i + 1 < pairs.length; i += 2) values.set(pairs[i] as number, pairs[i + 1] as number);
  const storage = STORAGES[values.get(KEY.storage) ?? 0] ?? 'f32';
  return {
    dim: values.get(KEY.dim) ?? 0,
    metric: METRICS[values.get(KEY.metric) ?? 0] ?? 'l2',
    storage,
    sidecar: SIDECARS[values.get(KEY.sidecar) ?? 1] === 'i8' ? 'i8' : 'none',
    metadata,
  };
}
