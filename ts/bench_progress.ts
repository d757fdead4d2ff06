import { Bar } from './cli_context.js';

/** Steps of a known number, shown on a terminal with the time left. */
export class Progress {
  readonly #bar: Bar;
  readonly #total: number;
  #done = 0;

  constructor(label: string, total: number, options: { quiet?: boolean } = {}) {
    this.#bar = new Bar(label, options);
    this.#total = total;
  }

  step(): void {
    this.#bar.at(++this.#done, this.#total);
  }

  /** Removes the line. */
  end(): void {
    this.#bar.end();
  }
}
