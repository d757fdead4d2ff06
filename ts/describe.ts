/** A short name for any value, for messages: `null`, `"text"`, `Float32Array of 255`, `an array of 3`. Never throws. */
export function describe(value: unknown): string {
  try {
    switch (typeof value) {
      case 'string':
        return value.length > 40 ? `a string of ${value.length} characters` : JSON.stringify(value);
      case 'bigint':
        return `the BigInt ${value}n`;
      case 'number':
        return Object.is(value, -0) ? '-0' : String(value);
      case 'symbol':
        return 'a symbol';
      case 'function':
        return value.name ? `the function ${value.name}` : 'a function';
      case 'object':
        return value === null ? 'null' : describeObject(value);
      default:
        return String(value);
    }
  } catch {
    return 'an object that cannot be inspected';
  }
}

function describeObject(value: object): string {
  if (Array.isArray(value)) return `an array of ${value.length}`;
  const tag = Object.prototype.toString.call(value).slice(8, -1);
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    return `${tag} of ${(value as unknown as ArrayLike<unknown>).length}`;
  }
  const name = (value.constructor as { name?: unknown } | undefined)?.name;
  const known = typeof name === 'string' && name !== '' && name !== 'Object' ? name : tag;
  return known === 'Object' ? 'an object' : `an object (${known})`;
}
