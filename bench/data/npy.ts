import { readFixed } from '../../ts/data_fixed.js';

/** Reads a two-dimensional .npy file at once. */
export const readNpy = readFixed;
