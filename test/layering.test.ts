// The check of the layering must see what it is there to see.
import { expect, test } from 'vitest';
import { breachesOfCpp, breachesOfTs, checkLayering } from '../scripts/layering.mjs';

test.each([
  ['native/base/bytes.h', '#include "kernels/kernels.h"'],
  ['native/kernels/dispatch.cpp', '#include "index/flat.h"'],
  ['native/index/flat.cpp', '#include "api/annex.h"'],
  ['native/node/addon.cpp', '#include "index/flat.h"'],
  ['wasm/layout.cpp', '# include "base/status.h"'],
  ['native/index/flat.cpp', '#include "flat.h"'],
  ['native/kernels/isa_avx2.cpp', '#include <vector>'],
  ['native/kernels/rows.inl', '#include <algorithm>'],
])('%s may not have %s', (path, text) => {
  expect(breachesOfCpp(path, text)).toHaveLength(1);
});

test('what lies to the left may be included', () => {
  const text =
    '#include <vector>\n#include "base/status.h"\n#include "kernels/kernels.h"\n#include "index/registry.h"\n';
  expect(breachesOfCpp('native/index/flat.cpp', text)).toEqual([]);
  expect(breachesOfCpp('native/node/addon.cpp', '#include "api/annex.h"\n#include "node/call.h"\n')).toEqual([]);
  expect(breachesOfCpp('native/kernels/isa_avx2.cpp', '#include <immintrin.h>\n')).toEqual([]);
});

test.each([
  ['ts/flat.ts', "import { readFileSync } from 'node:fs';"],
  ['ts/flat.ts', "import {\n  a,\n} from '../test/data.js';"],
  ['ts/flat.ts', "export * from 'some-package';"],
  ['ts/flat.ts', "type T = import('other').T;"],
])('%s may not have %s', (path, text) => {
  expect(breachesOfTs(path, text)).toHaveLength(1);
});

test('the sources keep the layers', () => {
  expect(checkLayering()).toBeGreaterThan(40);
});
