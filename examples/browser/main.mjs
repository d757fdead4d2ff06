// Finds the named colour nearest to the one that is picked. In a page annex runs on WebAssembly.
import { FlatIndex } from 'annex';

const NAMED = {
  black: '#000000',
  white: '#ffffff',
  red: '#ff0000',
  lime: '#00ff00',
  blue: '#0000ff',
  gold: '#ffd700',
  navy: '#000080',
  royalblue: '#4169e1',
  tomato: '#ff6347',
  seagreen: '#2e8b57',
  orchid: '#da70d6',
  slategray: '#708090',
};
const names = Object.keys(NAMED);
/** @param {string} hex */
const bytes = (hex) => [1, 3, 5].map((i) => Number.parseInt(hex.slice(i, i + 2), 16));

const index = await FlatIndex.create({ dim: 3, metric: 'l2', storage: 'u8' });
await index.add(Uint8Array.from(Object.values(NAMED).flatMap(bytes)));

const input = /** @type {HTMLInputElement} */ (document.getElementById('colour'));
const output = /** @type {HTMLOutputElement} */ (document.getElementById('nearest'));
async function show() {
  const hits = await index.search(Uint8Array.from(bytes(input.value)), 3);
  output.textContent = [...hits.ids].map((id) => names[id]).join(', ');
}
input.addEventListener('input', show);
await show();
