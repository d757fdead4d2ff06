import { describe } from './describe.js';
import { AnnexError } from './errors.js';
import { choice, decodeFields, encodeFields, type Fields, numeric } from './field.js';
import { checkChoice, checkObject, checkOptions } from './names.js';
import { KEY, ROTATIONS, type Rotation, type ScalarStorage, STORAGES, type Storage } from './spec.js';

/**
 * Product quantization (Jégou, Douze and Schmid 2011): a row is cut into m parts, and each part is stored as the number
 * of the nearest of 2^bits centroids that `train` has found. m · bits / 8 bytes a row.
 */
export interface PqStorage {
  codec: 'pq';
  /** Parts, 1 … dim; it divides dim, or `dim` where that is given. */
  m: number;
  /** Bits a part, 4 or 8. With 4, codes are scanned in registers. Default 8. */
  bits?: 4 | 8 | undefined;
  /**
   * What turns rows before they are cut: `none` (default), a `random` rotation, or the one that `opq` finds (optimized
   * product quantization, Ge, He, Ke and Sun 2013).
   */
  rotation?: Rotation | undefined;
  /** Dimensions kept by the rotation, at most the index's; default all. */
  dim?: number | undefined;
  /**
   * For ip and cosine: how much more the part of the error along the row counts than the rest, from 1 (the default:
   * no more) on (Guo et al. 2020, score-aware quantization).
   */
  anisotropic?: number | undefined;
}

/**
 * RaBitQ (Gao and Long 2024): rows are turned at random and stored with a few bits a dimension. It needs no training of
 * its own, and its estimates have an error bound, by which rerank skips what cannot be among the best.
 */
export interface RabitqStorage {
  codec: 'rabitq';
  /** Bits a dimension, 1 … 8. Default 1. */
  bits?: number | undefined;
}

/** A storage by its name alone. */
type Plain<Name extends Storage> = Name | { codec: Name };

/** Storages of float rows. */
export type FloatStorage = Plain<'f32' | 'f16' | 'bf16' | 'sq8' | 'rabitq'> | PqStorage | RabitqStorage;
/** Storage of signed byte embeddings. */
export type Int8Storage = Plain<'i8'>;
/** Storage of unsigned byte embeddings. */
export type Uint8Storage = Plain<'u8'>;
/** Storage of packed bits. */
export type BitsStorage = Plain<'bits'>;
/** Any storage. */
export type AnyStorage = FloatStorage | Int8Storage | Uint8Storage | BitsStorage;

/** How rows are stored, as `options()` tells it: a name, or a codec with its parameters. */
export type StoredAs = ScalarStorage | Readonly<Required<PqStorage>> | Readonly<Required<RabitqStorage>>;

const CODECS: Readonly<Partial<Record<Storage, Fields>>> = {
  pq: {
    m: numeric(KEY.codeM),
    bits: numeric(KEY.codeBits),
    rotation: choice(KEY.rotation, ROTATIONS),
    dim: numeric(KEY.rotatedDim),
    anisotropic: numeric(KEY.anisotropic),
  },
  rabitq: { bits: numeric(KEY.codeBits) },
};

/** The codec that an option `storage` names; its parameters are appended to `pairs`. */
export function parseStorage(value: unknown, pairs: number[]): Storage {
  const bare = typeof value !== 'object';
  const given: { codec?: unknown; m?: unknown } = bare ? { codec: value } : checkObject('storage', value);
  const codec = checkChoice(bare ? 'storage' : 'storage.codec', given.codec, STORAGES);
  const fields = CODECS[codec] ?? {};
  checkOptions(`storage "${codec}"`, given, ['codec', ...Object.keys(fields)] as never);
  if (codec === 'pq' && given.m === undefined) {
    throw new AnnexError(
      'INVALID_ARGUMENT',
      `expected storage { codec: "pq", m }, where m is how many parts a row is cut into, got ${describe(value)} without m`,
    );
  }
  encodeFields(fields, given, pairs, 'storage.');
  return codec;
}

export function storedAs(codec: Storage, codes: ReadonlyMap<number, number>): StoredAs {
  const fields = CODECS[codec];
  return (fields === undefined ? codec : { codec, ...decodeFields(fields, codes) }) as StoredAs;
}
