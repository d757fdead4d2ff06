// Plain text for a terminal: aligned columns, and colour only where someone is looking.
const coloured = process.stdout.isTTY && !process.env.NO_COLOR;
/** @param {number} code @returns {(text: string) => string} */
const paint = (code) => (text) => (coloured ? `\x1b[${code}m${text}\x1b[0m` : text);
export const bold = paint(1);
export const dim = paint(2);
export const accent = paint(36);

/** The first column is text, the others are numbers. @param {string[]} head @param {string[][]} rows */
export function table(head, rows) {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] ?? '').length)));
  /** @param {string[]} row */
  const line = (row) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('   ');
  return [bold(line(head)), dim('─'.repeat(line(head).length)), ...rows.map(line)].join('\n');
}

/** @param {string} text @param {number} width */
export const cut = (text, width) => (text.length <= width ? text : `${text.slice(0, width - 1)}…`);

export const columns = Math.min(process.stdout.columns ?? 110, 140);
