// Search by meaning: texts with their vectors go in, the nearest texts to a query come out.
// The vectors here come with the sample; in an application an embedding model makes them.
import { FlatIndex } from 'annex';
import { loadSample } from './demo/sample.mjs';

const { dim, vectors, texts, queries, queryTexts } = loadSample();

const index = await FlatIndex.create({ dim, metric: 'cosine', metadata: { model: 'wordnet-lsa-256' } });
await index.add(vectors); // ids 0, 1, 2 …: positions in `texts`

for (const i of [46, 188]) {
  console.log(`\n${queryTexts[i]}`);
  const hits = await index.search(queries[i] ?? [], 3);
  hits.ids.forEach((id, rank) => {
    console.log(`  ${hits.score(rank).toFixed(3)}  ${texts[id]}`);
  });
}
index.close();
