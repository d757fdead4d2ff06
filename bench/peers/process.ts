import { fileURLToPath } from 'node:url';

/** Of the virtual environment that `npm run bench` makes. */
export const PYTHON = fileURLToPath(
  new URL(process.platform === 'win32' ? '../.venv/Scripts/python.exe' : '../.venv/bin/python', import.meta.url),
);
