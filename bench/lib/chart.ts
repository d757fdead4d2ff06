import { createRequire } from 'node:module';

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

export const CHART_CSS = `@media screen and (prefers-color-scheme: dark) {
${Object.values(COLOURS)
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

interface Point {
  readonly dataIndex: number;
}

function draw(title: string, height: number, option: object): string | undefined {
  let echarts: Echarts;
  try {
    echarts = createRequire(import.meta.url)('echarts') as Echarts;
  } catch {
    return undefined;
  }
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
