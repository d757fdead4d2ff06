// Saves over and over to one path, each time other rows, until it is killed. Prints its process id after the first.
import { FlatIndex } from '../../ts/index.js';

const path = process.argv[2] as string;
const DIM = 256;
const base = Math.floor(Math.random() * 1e6);
for (let round = 1; ; round++) {
  const value = base + round;
  const index = await FlatIndex.create({ dim: DIM, metadata: { value }, sidecar: 'none' });
  await index.add(new Float32Array(4000 * DIM).fill(value));
  await index.save(path);
  index.close();
  if (round === 1) console.log(process.pid);
}
