// Many queries in one call, and searches among some rows only. A filter works inside the scan: k rows come back
// wherever k rows are allowed.
import { Bitset, FlatIndex } from 'annex';
import { loadSample } from './demo/sample.mjs';

const { dim, vectors, texts, queries, queryMatrix } = loadSample();
const index = await FlatIndex.create({ dim, metric: 'cosine', storage: 'sq8' }); // a quarter of the memory of f32
await index.add(vectors);

const batch = await index.searchBatch(queryMatrix, 5);
console.log(
  `${batch.length} queries, ${batch.ids.length} neighbours; nearest to query 0: ${texts[batch.at(0).ids[0] ?? 0]}`,
);

// A Bitset for large sets, a list of ids for small ones, or a predicate.
const animals = new Bitset(texts.length);
texts.forEach((text, id) => {
  if (/\b(bird|fish|mammal|insect)s?\b/.test(text)) animals.add(id);
});
const query = queries[46] ?? [];
for (const filter of [animals, [3, 14, 159], (/** @type {number} */ id) => id % 2 === 1]) {
  const hits = await index.search(query, 3, { filter });
  console.log(
    [...hits].map(({ id, distance }) => `${distance.toFixed(3)} ${(texts[id] ?? '').slice(0, 40)}`).join(' | '),
  );
}

// Searches that are called together run as one batch, without further ado.
const together = await Promise.all(queries.map((one) => index.search(one, 1)));
console.log(`${together.filter((hits) => hits.length === 1).length} of ${queries.length} answered`);

// A search can be given up, and every failure has a code.
try {
  await index.search([1, 2, 3], 10);
} catch (error) {
  if (error instanceof Error && 'code' in error) console.log(`${error.code}: ${error.message}`);
}
index.close();
