export const GENERATORS = ['clustered', 'uniform', 'adversarial'] as const;
export type Generator = (typeof GENERATORS)[number];

/** A stream of uniform and normal numbers that depends on the seed alone (the sfc32 generator of PractRand). */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;
  #spare: number | undefined;

  constructor(seed: number) {
    this.#a = seed | 0;
    this.#b = Math.trunc(seed / 2 ** 32) | 0;
    this.#c = 0x9e3779b9 | 0;
    for (let i = 0; i < 15; i++) this.bits();
  }

  /** 32 random bits as an unsigned integer. */
  bits(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** Uniform in [0, 1). */
  uniform(): number {
    return this.bits() / 2 ** 32;
  }

  below(limit: number): number {
    return Math.floor(this.uniform() * limit);
  }

  /** Normal with mean 0 and variance 1, by Box and Muller's method. */
  normal(): number {
    const spare = this.#spare;
    this.#spare = undefined;
    if (spare !== undefined) return spare;
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }
}

/**
 * Rows of one distribution, as many as are asked for, one after another.
 * - `clustered`: normal clusters in a subspace of some dim / 8 dimensions, with a little noise in all: what embeddings
 *   look like to an index.
 * - `uniform`: independent in [-1, 1), where pruning and quantization have nothing to hold on to.
 * - `adversarial`: rows in turn plain, duplicated, a few units in the last place from another row, huge, denormal, and
 *   constant; some columns are constant throughout. Distances stay finite.
 */
export interface RowStream {
  /** Fills `out`, a whole number of rows, with the next ones. */
  next(out: Float32Array): void;
}

export function rowStream(kind: Generator, dim: number, seed: number): RowStream {
  return STREAMS[kind](dim, new Random(seed));
}

/** Rows that an adversarial row may repeat: those since the last so many, of which a stream keeps a copy. */
const WINDOW = 4096;

const STREAMS: Record<Generator, (dim: number, random: Random) => RowStream> = {
  clustered(dim, random) {
    const latent = Math.max(2, Math.round(dim / 8));
    const clusters = 64;
    const project = Float32Array.from({ length: latent * dim }, () => random.normal() / Math.sqrt(latent));
    const centres = Float32Array.from({ length: clusters * latent }, () => random.normal());
    const point = new Float32Array(latent);
    return {
      next(out) {
        for (let at = 0; at < out.length; at += dim) {
          const centre = random.below(clusters) * latent;
          for (let l = 0; l < latent; l++) point[l] = centres[centre + l]! + 0.4 * random.normal();
          for (let d = 0; d < dim; d++) out[at + d] = 0.02 * random.normal();
          for (let l = 0; l < latent; l++) {
            for (let d = 0; d < dim; d++) out[at + d]! += point[l]! * project[l * dim + d]!;
          }
        }
      },
    };
  },

  uniform(_dim, random) {
    return {
      next(out) {
        for (let i = 0; i < out.length; i++) out[i] = 2 * random.uniform() - 1;
      },
    };
  },

  adversarial(dim, random) {
    const past = new Float32Array(WINDOW * dim);
    const pastBits = new Uint32Array(past.buffer);
    let row = 0;
    return {
      next(out) {
        const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
        for (let at = 0; at < out.length; at += dim, row++) {
          const kind = row === 0 ? 0 : row % 6;
          const other = random.below(Math.min(row, WINDOW)) * dim;
          const constant = random.normal();
          for (let d = 0; d < dim; d++) {
            const i = at + d;
            if (kind === 1) out[i] = past[other + d]!;
            else if (kind === 2) bits[i] = nudge(pastBits[other + d]!, random.below(5) - 2);
            else if (kind === 3) out[i] = 1e15 * random.normal();
            else if (kind === 4) out[i] = 1e-40 * random.normal();
            else if (kind === 5) out[i] = constant;
            else out[i] = d % 7 === 3 ? 0.5 : random.normal();
          }
          past.set(out.subarray(at, at + dim), (row % WINDOW) * dim);
        }
      },
    };
  },
};

/** The float some units in the last place from another; zero and what would change sign or overflow stays. */
function nudge(bits: number, by: number): number {
  const magnitude = bits & 0x7fffffff;
  const moved = magnitude + by;
  return magnitude === 0 || moved < 0 || moved >= 0x7f800000 ? bits : ((bits & 0x80000000) | moved) >>> 0;
}
