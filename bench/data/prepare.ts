import { type Prepared, type PrepareOptions, prepare as prepareFiles } from '../../ts/data_prepare.js';
import { orSample } from './dataset.js';

export type { Prepared } from '../../ts/data_prepare.js';

/** Opens or makes the dataset; the sample of the repository where the options name none. */
export function prepare(options: PrepareOptions, k: number, say: (text: string) => void): Promise<Prepared> {
  return prepareFiles(orSample(options), k, say);
}
