import { CHART_CSS, escapeHtml } from './bench_chart.js';
import type { Cell } from './bench_table.js';

const CSS = `:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222426; background: #fff; }
figure { margin: 1rem 0; }
svg { max-width: 100%; height: auto; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
table { display: block; overflow-x: auto; }
th, td { padding: 0.2rem 0.8rem 0.2rem 0; text-align: left; border-bottom: 1px solid #d9dce0; }
.short { font-weight: bold; color: #a8321e; }
@media print { body { margin: 0; max-width: none; } figure { break-inside: avoid; } }
@media screen and (prefers-color-scheme: dark) {
  body { color: #e4e6e8; background: #16181a; }
  th, td { border-color: #3d4247; }
  .short { color: #ff9b85; }
}
${CHART_CSS}`;

/** A whole page around parts of it; absent ones are left out. */
export function document(title: string, body: readonly (string | undefined)[]): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,">
<title>${escapeHtml(title)}</title>
<style>${CSS}</style>
${body.filter(Boolean).join('\n')}
</html>
`;
}

export function figure(title: string, svg: string | undefined): string | undefined {
  return svg && `<h2>${escapeHtml(title)}</h2>\n<figure>${svg}</figure>`;
}

export function htmlTable(title: string, head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const cell = (tag: string, value: Cell): string => {
    const mark = /^short\b/.test(String(value)) ? ' class="short"' : '';
    return `<${tag}${mark}>${escapeHtml(String(value ?? '–'))}</${tag}>`;
  };
  const line = (tag: string, cells: readonly Cell[]): string =>
    `<tr>${cells.map((value) => cell(tag, value)).join('')}</tr>`;
  const body = rows.map((row) => line('td', row)).join('\n');
  return `<h2>${escapeHtml(title)}</h2>\n<table>\n<thead>${line('th', head)}</thead>\n<tbody>${body}</tbody>\n</table>`;
}
