/** One line on a terminal with the share done and the time left; silent elsewhere. */
export class Progress {
  readonly #label: string;
  readonly #total: number;
  readonly #start = performance.now();
  readonly #shown = process.stderr.isTTY === true;
  #done = 0;

  constructor(label: string, total: number) {
    this.#label = label;
    this.#total = total;
  }

  step(): void {
    this.#done++;
    if (!this.#shown) return;
    const left = ((performance.now() - this.#start) / this.#done) * (this.#total - this.#done);
    const percent = Math.floor((100 * this.#done) / this.#total);
    process.stderr.write(`\r\x1b[K${this.#label}: ${percent} %, ${Math.ceil(left / 1000)} s left`);
  }

  /** Removes the line. */
  end(): void {
    if (this.#shown) process.stderr.write('\r\x1b[K');
  }
}
