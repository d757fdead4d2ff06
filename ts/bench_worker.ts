// The process of one index of `annex bench`.
import { serve } from './bench_serve.js';
import { ANNEX } from './bench_system.js';

await serve(ANNEX);
