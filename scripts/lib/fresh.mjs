// Skips work whose inputs have not changed since it was last done.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from './shell.mjs';

/** Every file below `path` (or the file itself), sorted. @param {string} path relative to the repository */
export function files(path) {
  const full = join(root, path);
  if (!existsSync(full)) return [];
  if (statSync(full).isFile()) return [path];
  /** @type {string[]} */
  const found = [];
  for (const entry of readdirSync(full).sort()) found.push(...files(`${path}/${entry}`));
  return found;
}

/** @param {string[]} inputs files and folders @param {string[]} facts what else the result depends on */
function fingerprint(inputs, facts) {
  const hash = createHash('sha256');
  for (const fact of facts) hash.update(`${fact}\0`);
  for (const path of inputs.flatMap(files)) hash.update(`${path}\0`).update(readFileSync(join(root, path)));
  return hash.digest('hex');
}

/**
 * Runs `make` unless `outputs` exist and were made from the same inputs. Returns whether it ran.
 * @param {{ name: string, inputs: string[], facts?: string[], outputs: string[] }} what
 * @param {() => Promise<unknown>} make
 */
export async function once({ name, inputs, facts = [], outputs }, make) {
  const stamp = join(root, 'build/stamps', name);
  const print = fingerprint(inputs, facts);
  const made = outputs.every((path) => existsSync(join(root, path)));
  if (made && existsSync(stamp) && readFileSync(stamp, 'utf8') === print) return false;
  await make();
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, print);
  return true;
}
