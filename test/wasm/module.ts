import { readFileSync } from 'node:fs';

/** The bytes of the built core. */
export function wasmBytes(): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(new URL('../../dist/annex.wasm', import.meta.url)));
}

/** The core with its memory limited to `pages` of 64 KiB: the maximum in the memory section is overwritten. */
export function limited(pages: number): WebAssembly.Module {
  const bytes = wasmBytes();
  const at = maximumOf(bytes);
  // A LEB128 number may have leading zero groups, so the new one fits wherever the old one did.
  let end = at;
  while ((bytes[end]! & 0x80) !== 0) end++;
  for (let i = at, rest = pages; i <= end; i++, rest >>>= 7) bytes[i] = (rest & 0x7f) | (i < end ? 0x80 : 0);
  return new WebAssembly.Module(bytes);
}

/** Where the maximum of the one memory stands. */
function maximumOf(bytes: Uint8Array): number {
  let at = 8; // magic and version
  const leb = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]!;
      value |= (byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) return value;
    }
  };
  while (at < bytes.length) {
    const section = bytes[at++];
    const end = leb() + at;
    if (section === 5) {
      const [count, flags] = [leb(), leb()];
      if (count !== 1 || flags !== 1) throw new Error('expected one memory with a maximum');
      leb(); // the initial size
      return at;
    }
    at = end;
  }
  throw new Error('expected a memory section');
}
