import { table } from '../../ts/bench_table.js';
import type { Machine } from '../lib/results.js';

interface Rates {
  readonly graph: number;
  readonly flat: number;
}

/** One filter: rates are queries a second of processor time. */
export interface FilterLine {
  readonly kind: string;
  /** Of the rows, allowed. */
  readonly share: number;
  readonly recall: number;
  /** Shares of the queries of a batch that were answered from codes, and exactly; the rest walked. */
  readonly codes: number;
  readonly exact: number;
  readonly batch: Rates;
  readonly single: Rates;
}

/** Recall with removed rows, after compact, and of a graph built without them. */
export interface DeletionLine {
  readonly what: string;
  readonly fresh: number;
  readonly before: number;
  readonly after: number;
}

export interface FiltersReport {
  readonly machine: Machine;
  readonly dataset: { readonly name: string; readonly rows: number; readonly dim: number; readonly metric: string };
  readonly options: object;
  readonly filters: FilterLine[];
  readonly deletions: DeletionLine[];
}

const whole = (rate: number): string => (rate >= 100 ? rate.toFixed(0) : rate.toPrecision(3));

export function printFilters({ machine, dataset, filters, deletions }: FiltersReport): string {
  const { name, rows, dim, metric } = dataset;
  const ways = ({ codes, exact }: FilterLine): string =>
    codes + exact === 0 ? 'walk' : `codes ${Math.round(100 * codes)} %, rows ${Math.round(100 * exact)} %`;
  const lines = [`${machine.cpu}; ${name}: ${rows} × ${dim}, ${metric}; rates by processor time, one thread`];
  if (filters.length > 0) {
    lines.push(
      table(
        ['filter', 'allowed', 'recall@10', 'in a batch', 'batch q/s', '÷ exact', 'single q/s', '÷ exact'],
        filters.map((line) => [
          line.kind,
          `${100 * line.share} %`,
          line.recall.toFixed(4),
          ways(line),
          whole(line.batch.graph),
          (line.batch.graph / line.batch.flat).toFixed(2),
          whole(line.single.graph),
          (line.single.graph / line.single.flat).toFixed(2),
        ]),
      ),
    );
  }
  if (deletions.length > 0) {
    lines.push(
      table(
        ['recall@10 with rows removed', 'fresh build', 'before compact', 'after'],
        deletions.map(({ what, ...at }) => [what, at.fresh.toFixed(4), at.before.toFixed(4), at.after.toFixed(4)]),
      ),
    );
  }
  return lines.join('\n');
}
