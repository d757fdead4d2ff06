import { engineInfo, FlatIndex } from 'annex';
import type { Dataset } from '../data/dataset.js';
import { type Elapsed, type Found, grown, type Mode, type Peer, timed } from './peer.js';

/** What is listed of ours: the exact index with its narrow copy and without, then what compresses. */
export const FORMS = [
  { id: 'annex-f32', label: 'annex f32', storage: 'f32', sidecar: 'auto' },
  { id: 'annex-f32-plain', label: 'annex f32, sidecar none', storage: 'f32', sidecar: 'none' },
  { id: 'annex-f16', label: 'annex f16', storage: 'f16', sidecar: undefined },
  { id: 'annex-bf16', label: 'annex bf16', storage: 'bf16', sidecar: undefined },
  { id: 'annex-sq8', label: 'annex sq8', storage: 'sq8', sidecar: undefined },
] as const;
export type Form = (typeof FORMS)[number];

/** A FlatIndex of this package. */
export class OurPeer implements Peer {
  readonly id: string;
  readonly label: string;
  readonly version = engineInfo().version;
  readonly tiled = true;
  readonly modes: readonly Mode[] = ['batch', 'single'];
  readonly #dataset: Dataset;
  readonly #form: Form;
  #index: FlatIndex | undefined;

  constructor(
    dataset: Dataset,
    form: Form,
    readonly threads: number,
  ) {
    this.#dataset = dataset;
    this.#form = form;
    this.id = form.id;
    this.label = form.label;
  }

  get index(): FlatIndex {
    if (this.#index === undefined) throw new Error(`${this.label} is not built`);
    return this.#index;
  }

  async build(): Promise<{ seconds: number; bytes: number }> {
    const { dim, metric, base } = this.#dataset;
    const { storage, sidecar } = this.#form;
    let seconds = 0;
    const bytes = grown(() => {
      ({ seconds } = timed(() => {
        this.#index = FlatIndex.createSync({ dim, metric, storage, sidecar });
        this.#index.addSync(base);
      }));
    });
    return { seconds, bytes };
  }

  async run(mode: Mode, queries: number, k: number): Promise<Elapsed> {
    const { query, dim } = this.#dataset;
    const options = { threads: this.threads };
    const { index } = this;
    const batch = query.subarray(0, queries * dim);
    return timed(() => {
      if (mode === 'batch') index.searchBatchSync(batch, k, options);
      else for (let q = 0; q < queries; q++) index.searchSync(batch.subarray(q * dim, (q + 1) * dim), k, options);
    });
  }

  async result(queries: number, k: number): Promise<Found> {
    const batch = this.#dataset.query.subarray(0, queries * this.#dataset.dim);
    const { ids, distances } = this.index.searchBatchSync(batch, k, { threads: this.threads });
    return { ids, distances };
  }

  /** The same through one call a query. */
  async resultOneByOne(queries: number, k: number): Promise<Found> {
    const { query, dim } = this.#dataset;
    const ids = new Float64Array(queries * k).fill(-1);
    const distances = new Float32Array(queries * k).fill(Number.POSITIVE_INFINITY);
    for (let q = 0; q < queries; q++) {
      const hits = this.index.searchSync(query.subarray(q * dim, (q + 1) * dim), k, { threads: this.threads });
      ids.set(hits.ids, q * k);
      distances.set(hits.distances, q * k);
    }
    return { ids, distances };
  }

  async drop(): Promise<void> {
    this.#index?.close();
    this.#index = undefined;
  }
}
