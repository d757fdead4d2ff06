import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';

/** A program that answers requests: one at a time, each of them and each answer a line of JSON. */
export class LineProcess {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<void>;
  readonly #name: string;
  #errors = '';

  /** `name` is what messages call it. */
  constructor(name: string, command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.#name = name;
    this.#child = spawn(command, args, { env: { ...process.env, ...env } });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    this.#ended = new Promise((resolve) => {
      this.#child.once('close', () => resolve());
      this.#child.once('error', () => resolve());
    });
    this.#child.stdin.on('error', () => undefined); // the missing answer tells
    this.#child.stderr.on('data', (text: Buffer) => {
      this.#errors = (this.#errors + text.toString()).slice(-2000);
    });
  }

  async ask<T>(verb: string, request: object = {}): Promise<T> {
    this.#child.stdin.write(`${JSON.stringify({ verb, ...request })}\n`);
    const line = await this.#lines.next();
    if (line.done) {
      await Promise.race([this.#ended, setTimeout(1000, undefined, { ref: false })]);
      const { signalCode, exitCode } = this.#child;
      const how = signalCode ? ` by ${signalCode}` : exitCode ? ` with status ${exitCode}` : '';
      const said = this.#errors.trim().split('\n');
      const why = said.findLast((line) => /error/i.test(line)) ?? said.at(-1);
      throw new Error(`the process of ${this.#name} ended${how}: ${why || 'no message'}`);
    }
    const answer = JSON.parse(line.value) as { ok: boolean; error?: string };
    if (!answer.ok) throw new Error(answer.error);
    return answer as T;
  }

  async close(): Promise<void> {
    this.#child.stdin.end();
    await this.#ended;
  }
}
