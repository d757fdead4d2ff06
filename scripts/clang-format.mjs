// Checks the format of all C++ under version control: node scripts/clang-format.mjs [--write]
import { fileURLToPath } from 'node:url';
import { fail, run } from './lib/shell.mjs';

/** @param {boolean} write */
export async function clangFormat(write) {
  const listed = await run('git', ['ls-files', '*.cpp', '*.h', '*.inl']);
  const files = listed.split('\n').filter(Boolean);
  await run('clang-format', [...(write ? ['-i'] : ['--dry-run', '-Werror']), ...files]);
  return files.length;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await clangFormat(process.argv.includes('--write')).catch(fail);
}
