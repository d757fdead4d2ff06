/** Stable codes of {@link AnnexError}. The order is part of the C ABI (`AnnexStatus` in native/api/annex.h). */
export const ERROR_CODES = [
  'OK',
  'INVALID_ARGUMENT',
  'INVALID_TYPE',
  'DIMENSION_MISMATCH',
  'NOT_FINITE',
  'INVALID_ID',
  'DUPLICATE_ID',
  'CLOSED',
  'BUSY',
  'ABORTED',
  'OUT_OF_MEMORY',
  'UNSUPPORTED',
  'NOT_TRAINED',
  'CORRUPT',
  'IO',
  'INTERNAL',
] as const;

export type AnnexErrorCode = Exclude<(typeof ERROR_CODES)[number], 'OK'>;

/**
 * Every failure of annex: a stable `code` to branch on, and a message that says what was expected, what came and
 * what to do.
 */
export class AnnexError extends Error {
  readonly code: AnnexErrorCode;

  constructor(code: AnnexErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'AnnexError';
    this.code = code;
  }
}

/** The error for a non-zero status of the C ABI. */
export function errorOfStatus(status: number, message: string): AnnexError {
  const code = ERROR_CODES[status] ?? 'INTERNAL';
  return new AnnexError(code === 'OK' ? 'INTERNAL' : code, message);
}
