/** Ends a list of links. */
export const NO_LINK = 0xffffffff;
const NARROW_BYTES = 3;
const NARROW_MASK = 0x7fffff;

/** The `count` links of section LNK0 or LNK3 (native/file/FORMAT.md), without the mark of the spanning tree. */
export function readLinks(section: Uint8Array, count: number): Uint32Array {
  if (section.length === 4 * count) {
    const wide = new Uint32Array(section.buffer, section.byteOffset, count);
    return wide.map((link) => (link === NO_LINK ? NO_LINK : link & 0x7fffffff));
  }
  const links = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    const at = NARROW_BYTES * i;
    const link = (section[at] as number) | ((section[at + 1] as number) << 8) | ((section[at + 2] as number) << 16);
    links[i] = link === 0xffffff ? NO_LINK : link & NARROW_MASK;
  }
  return links;
}
