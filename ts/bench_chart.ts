import { createRequire } from 'node:module';
import { AnnexError } from './errors.js';

/** What is used of ECharts, which renders to text without a page. */
interface Echarts {
  init(
    element: null,
    theme: null,
    options: { renderer: 'svg'; ssr: true; width: number; height: number },
  ): { setOption(option: object): void; renderToSVGString(): string; dispose(): void };
}

/** The colours of charts on paper, and what a dark page shows in their place (see {@link CHART_CSS}). */
export const COLOURS = {
  ink: { light: '#222426', dark: '#e4e6e8' },
  grid: { light: '#d9dce0', dark: '#3d4247' },
  ours: { light: '#0b6e4f', dark: '#3fcf9f' },
  peer: { light: '#8a9099', dark: '#7d848d' },
} as const;

/** Of the peers in charts of curves, by turns; ours have {@link COLOURS}.ours. Told apart by their symbols as well. */
const PEERS = [
  { light: '#b3541e', dark: '#f0935c' },
  { light: '#2b5fa8', dark: '#7fb0f5' },
  { light: '#8a3b8f', dark: '#d68adb' },
  { light: '#8c7400', dark: '#d9be3f' },
  { light: '#5a6470', dark: '#a3adb8' },
  { light: '#a8324f', dark: '#f28aa5' },
  { light: '#1f7f8c', dark: '#6ccfdd' },
  { light: '#6b4f2a', dark: '#c2a176' },
] as const;
const OURS = [COLOURS.ours, { light: '#4c9a2a', dark: '#9bdc74' }, { light: '#0f9d8a', dark: '#5fe3d0' }] as const;
const SYMBOLS = ['circle', 'rect', 'triangle', 'diamond'] as const;

export const CHART_CSS = `svg [ecmeta_ssr_type="chart"]:hover { stroke: currentColor; stroke-width: 0.4; }
@media screen and (prefers-color-scheme: dark) {
${[...Object.values(COLOURS), ...PEERS, ...OURS.slice(1)]
  .flatMap(({ light, dark }) => ['fill', 'stroke'].map((part) => `  svg [${part}="${light}"] { ${part}: ${dark}; }`))
  .join('\n')}
}`;

/** Pixels for the longest label; text cannot be measured without a page. */
const LABELS = 240;

const text = { color: COLOURS.ink.light, fontSize: 13 };
const axis = {
  axisLabel: text,
  nameTextStyle: text,
  axisLine: { lineStyle: { color: COLOURS.grid.light } },
  splitLine: { lineStyle: { color: COLOURS.grid.light } },
};

export interface Bar {
  readonly label: string;
  readonly value: number;
  /** As written behind the bar. */
  readonly shown: string;
  readonly ours: boolean;
}

const colour = (ours: boolean): string => (ours ? COLOURS.ours : COLOURS.peer).light;

/** Horizontal bars as SVG; undefined where the library that draws them is not installed. */
export function bars(title: string, list: readonly Bar[]): string | undefined {
  return draw(title, 40 + 30 * list.length, {
    grid: { left: LABELS, right: 70, top: 8, bottom: 28 },
    xAxis: { type: 'value', ...axis },
    yAxis: {
      type: 'category',
      inverse: true,
      data: list.map(({ label }) => label),
      ...axis,
      axisTick: { show: false },
    },
    series: {
      type: 'bar',
      data: list.map(({ value, ours }) => ({ value, itemStyle: { color: colour(ours) } })),
      label: { show: true, position: 'right', ...text, formatter: ({ dataIndex }: Point) => list[dataIndex]!.shown },
    },
  });
}

export interface Dot {
  readonly label: string;
  readonly x: number;
  readonly y: number;
  readonly ours: boolean;
}

/** Recall against queries a second: to the right and up is better. */
export function scatter(title: string, x: string, y: string, dots: readonly Dot[]): string | undefined {
  return draw(title, 380, {
    grid: { left: 80, right: LABELS, top: 36, bottom: 50 },
    xAxis: { type: 'value', name: x, nameLocation: 'middle', nameGap: 30, scale: true, ...axis },
    yAxis: { type: 'log', name: y, ...axis },
    series: {
      type: 'scatter',
      symbolSize: 11,
      data: dots.map(({ x, y, ours }) => ({ value: [x, y], itemStyle: { color: colour(ours) } })),
      label: { show: true, position: 'right', ...text, formatter: ({ dataIndex }: Point) => dots[dataIndex]!.label },
      labelLayout: { moveOverlap: 'shiftY' },
    },
  });
}

export interface Curve {
  readonly label: string;
  readonly ours: boolean;
  /** `front`: on the line. `title` shows when a pointer rests on the point. */
  readonly dots: readonly { readonly x: number; readonly y: number; readonly front: boolean; readonly title: string }[];
}

/** Pixels of a legend's line, and how many entries stand in one. */
const LEGEND = { line: 24, entries: 2 } as const;

/** What lies to the right: a recall, up to 1, or what grows by factors. */
export interface Along {
  readonly name: string;
  readonly type: 'recall' | 'log';
}

/** Curves on a logarithmic scale. Every dot says what it is when pointed at. */
export function curves(title: string, along: Along, y: string, list: readonly Curve[]): string | undefined {
  let peers = 0;
  let ours = 0;
  const styles = list.map((curve, i) => {
    const colour = curve.ours ? OURS[ours++ % OURS.length]! : PEERS[peers++ % PEERS.length]!;
    return { colour: colour.light, symbol: SYMBOLS[i % SYMBOLS.length]! };
  });
  const legend = Math.ceil(list.length / LEGEND.entries) * LEGEND.line;
  const lines = list.map(({ label, dots, ours }, i) => ({
    name: label,
    type: 'line',
    showSymbol: false,
    silent: true,
    symbol: styles[i]!.symbol,
    data: dots.filter(({ front }) => front).map((dot) => [dot.x, dot.y]),
    lineStyle: { color: styles[i]!.colour, width: ours ? 3 : 1.5 },
    itemStyle: { color: styles[i]!.colour },
  }));
  const points = list.map(({ dots }, i) => ({
    type: 'scatter',
    symbol: styles[i]!.symbol,
    symbolSize: 9,
    data: dots.map(({ x, y, front }) => ({
      value: [x, y],
      itemStyle: { color: styles[i]!.colour, opacity: front ? 1 : 0.35 },
    })),
  }));
  const svg = draw(title, 400 + legend, {
    legend: {
      data: list.map(({ label }) => label),
      bottom: 0,
      left: 60,
      itemGap: 12,
      formatter: (label: string) => label.padEnd(36),
      textStyle: { ...text, width: 340, overflow: 'truncate' },
      orient: 'horizontal',
    },
    grid: { left: 80, right: 24, top: 36, bottom: 60 + legend },
    xAxis: {
      name: along.name,
      nameLocation: 'middle',
      nameGap: 28,
      ...(along.type === 'log'
        ? { type: 'log' }
        : { type: 'value', min: ({ min }: { min: number }) => Math.floor(min * 20) / 20, max: 1 }),
      ...axis,
    },
    yAxis: { type: 'log', name: y, ...axis },
    series: [...lines, ...points],
  });
  return svg?.replace(
    /<path [^>]*ecmeta_series_index="(\d+)" ecmeta_data_index="(\d+)"[^>]*>(?=<\/path>)/g,
    (path, series: string, at: string) => {
      const dot = list[Number(series) - list.length]?.dots[Number(at)];
      return dot === undefined ? path : `${path}<title>${escapeHtml(dot.title)}</title>`;
    },
  );
}

interface Point {
  readonly dataIndex: number;
}

function library(): Echarts | undefined {
  try {
    return createRequire(import.meta.url)('echarts') as Echarts;
  } catch {
    return undefined;
  }
}

/** Refuses to draw to `path` where the library that draws is not installed. */
export function checkCharts(path: string): void {
  if (library() !== undefined) return;
  throw new AnnexError(
    'UNSUPPORTED',
    `${path}: this needs the package echarts: npm install echarts; .json needs nothing`,
  );
}

function draw(title: string, height: number, option: object): string | undefined {
  const echarts = library();
  if (echarts === undefined) return undefined;
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: 860, height });
  chart.setOption({ animation: false, aria: { enabled: true, label: { description: title } }, ...option });
  const svg = chart.renderToSVGString();
  chart.dispose();
  // The library's own style rules serve its mouse events, which a still picture has none of.
  return svg
    .replace(/<style[\s\S]*<\/style>/, '')
    .replace('<svg ', `<svg role="img" aria-label="${escapeHtml(title)}" `);
}

export function escapeHtml(value: string): string {
  return value.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]!);
}
