import * as native from 'annex/native';
import * as wasm from 'annex/wasm';
import { describe, expect, test } from 'vitest';
import { native as onNative } from './support/expect.js';
import { answers, type Classes, makeIndex, RECIPES } from './support/kinds_files.js';

/** The same neighbours; distances may differ by what fused multiply-adds round less. */
function expectSameAnswers(got: ReturnType<typeof answers>, expected: ReturnType<typeof answers>): void {
  expect(got.ids).toEqual(expected.ids);
  for (const [i, distance] of got.distances.entries()) {
    const wanted = expected.distances[i] as number;
    expect(Math.abs(distance - wanted)).toBeLessThanOrEqual(1e-4 * Math.max(1, Math.abs(wanted)));
  }
}

// Both cores in one process, so one run of the two is enough.
describe.runIf(onNative)('files from one core to the other', () => {
  test.each(Object.keys(RECIPES))('%s', async (name) => {
    const made = await makeIndex(name, native as unknown as Classes);
    const bytes = await made.toBytes();
    const there = await wasm.open(bytes);
    expect(there.constructor.name).toBe(RECIPES[name]?.kind);
    expect(there.options()).toEqual(made.options());
    expect(Buffer.compare(await there.toBytes(), bytes)).toBe(0);
    expectSameAnswers(answers(name, there as never), answers(name, made));
    const back = await native.open(await there.toBytes());
    expect(answers(name, back as never)).toEqual(answers(name, made));

    const madeThere = await makeIndex(name, wasm as unknown as Classes);
    const bytesThere = madeThere.toBytesSync();
    const here = native.openSync(bytesThere);
    expect(Buffer.compare(here.toBytesSync(), bytesThere)).toBe(0);
    expectSameAnswers(answers(name, here as never), answers(name, madeThere));
    // And goes on living there.
    await here.remove([16]);
    expect(here.size).toBe(madeThere.size - 1);
    expect(here.has(16)).toBe(false);
  });
});
