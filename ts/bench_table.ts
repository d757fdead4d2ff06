export type Cell = string | number | undefined;

/** Columns padded to line up; those that hold nothing but numbers (perhaps with a unit) to the right. */
export function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const lines = [head, ...rows.map((row) => row.map((cell) => (cell === undefined ? '–' : String(cell))))];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const right = head.map((_, column) => {
    const cells = rows.map((row) => row[column]).filter((cell) => cell !== undefined && cell !== '–');
    return cells.length > 0 && cells.every((cell) => /^[≤≥ ]*[\d−-]/.test(String(cell)));
  });
  const format = (line: readonly string[]): string =>
    line
      .map((cell, column) => (right[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join('  ')
      .trimEnd();
  const [first, ...rest] = lines.map(format);
  return [first, widths.map((width) => '─'.repeat(width)).join('──'), ...rest].join('\n');
}

export function markdownTable(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const line = (cells: readonly Cell[]): string => `| ${cells.map((cell) => cell ?? '–').join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** Three significant digits, thousands separated. */
export function short(value: number | undefined): string | undefined {
  if (value === undefined || !Number.isFinite(value)) return undefined;
  return value.toLocaleString('en-US', value >= 1000 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 });
}
