import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openSync } from 'annex';
import { afterAll, expect, test } from 'vitest';
import { random } from './support/data.js';
import { native } from './support/expect.js';

const directory = mkdtempSync(join(tmpdir(), 'annex-kill-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** How many saves to kill; ANNEX_KILLS=500 for the long run. */
const KILLS = Number(process.env.ANNEX_KILLS ?? 12);
const worker = fileURLToPath(new URL('./support/kill_worker.ts', import.meta.url));
const tsx = fileURLToPath(new URL('../node_modules/tsx/dist/cli.mjs', import.meta.url));

/** Starts a process that saves over and over; resolves once the first save is done. */
async function saver(path: string): Promise<{ kill: () => Promise<void> }> {
  const child = spawn(process.execPath, [tsx, worker, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<void>((resolve) => child.on('exit', () => resolve()));
  const pid = await new Promise<number>((resolve, reject) => {
    child.stdout.on('data', (text) => resolve(Number(text)));
    child.on('exit', () => reject(new Error('the saving process ended')));
  });
  return {
    kill: async () => {
      process.kill(pid, 'SIGKILL');
      await ended;
    },
  };
}

test(`kill -9 in the midst of ${KILLS} saves leaves a whole file`, async () => {
  const path = join(directory, 'index.annex');
  const next = random(process.pid);
  const seen = new Set<unknown>();
  for (let round = 0; round < KILLS; round++) {
    const process = await saver(path);
    await new Promise((resolve) => setTimeout(resolve, next() * 60));
    await process.kill();
    const index = openSync(path);
    expect(index.size).toBe(4000);
    // All rows hold the number that is in the metadata: no save is mixed with another.
    const { value } = index.metadata as { value: number };
    seen.add(value);
    for (const id of [0, 1999, 3999]) expect(new Set(index.get(id))).toEqual(new Set([value]));
    index.close();
  }
  expect(seen.size).toBeGreaterThan(1);
  // What a killed save has left beside the file is no more than one a kill, and natively the next save removes it.
  expect(readdirSync(directory).length).toBeLessThanOrEqual(KILLS + 1);
  const index = openSync(path);
  index.saveSync(path);
  index.close();
  if (native) expect(readdirSync(directory)).toEqual(['index.annex']);
}, 3_600_000);
