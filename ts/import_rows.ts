import { STORAGES } from './spec.js';

/** Rows that an import brings: as floats, and in the storage that holds them exactly. */
export interface ImportedRows {
  readonly values: Float32Array;
  readonly storage: 'f32' | 'f16' | 'bf16';
  /** What section ROWS holds of them (native/file/FORMAT.md). */
  readonly coded: ArrayBufferView;
}

export function plainRows(values: Float32Array): ImportedRows {
  return { values, storage: 'f32', coded: values };
}

export const storageCode = (rows: ImportedRows): number => STORAGES.indexOf(rows.storage);

/** Section NORM of rows. */
export function normsOf(rows: Float32Array, dim: number): Float32Array {
  const norms = new Float32Array(rows.length / dim);
  for (let row = 0; row < norms.length; row++) {
    let sum = 0;
    for (let d = row * dim; d < (row + 1) * dim; d++) sum += (rows[d] as number) ** 2;
    norms[row] = Math.sqrt(sum);
  }
  return norms;
}

/** Sections IDS and INFO of rows with these ids by slot (null: 0, 1, 2 …; -1: removed). */
export function idSections(ids: Float64Array | null, slots: number): { tag: string; content: ArrayBufferView }[] {
  let removed = 0;
  let next = ids === null ? slots : 0;
  for (const id of ids ?? []) {
    if (id === -1) removed++;
    else next = Math.max(next, id + 1);
  }
  const info = { tag: 'INFO', content: BigInt64Array.of(BigInt(slots - removed), BigInt(next)) };
  return ids === null ? [info] : [info, { tag: 'IDS ', content: BigInt64Array.from(ids, BigInt) }];
}
