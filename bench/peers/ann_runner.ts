// Runs one approximate index for a sweep: node --import tsx ann_runner.ts <system>. ann_runner.py speaks the same.
import { serve } from '../../ts/bench_serve.js';
import { SYSTEMS } from './ann.js';

const name = process.argv[2] ?? '';
const system = SYSTEMS[name];
if (system === undefined) throw new Error(`expected one of ${Object.keys(SYSTEMS).join(', ')}, got ${name}`);
await serve(system);
