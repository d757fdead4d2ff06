// Makes those golden files of the present format that are missing: `npx tsx test/golden/make.ts`. They are made once for
// each version of the format, and checked in; test/golden.test.ts loads them for ever.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as annex from '../../ts/index.js';
import { answers, type Classes, makeIndex, RECIPES } from '../support/kinds_files.js';

const directory = fileURLToPath(new URL('./v1/', import.meta.url));
mkdirSync(directory, { recursive: true });
const answersFile = `${directory}answers.json`;
const expected: Record<string, unknown> = existsSync(answersFile) ? JSON.parse(readFileSync(answersFile, 'utf8')) : {};
for (const name of Object.keys(RECIPES)) {
  if (existsSync(`${directory}${name}.annex`)) continue;
  const index = await makeIndex(name, annex as unknown as Classes);
  await index.save(`${directory}${name}.annex`);
  const { ids, distances } = answers(name, index);
  expected[name] = { options: index.options(), size: index.size, ids, distances };
}
writeFileSync(answersFile, `${JSON.stringify(expected)}\n`);
