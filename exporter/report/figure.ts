import { clock, count, duration } from './figures.ts';
import { html, type Markup } from './html.ts';
import { drawPlot, frames, mostNamedSeries, type Plot, type PlotPoint, swatch } from './plot.ts';

/** Rows of the table below a plot. */
const tableRows = 12;

/** A plot with its title, legend, words, and some of its figures as a table. */
export function figure(plot: Plot): Markup {
  const { id, title, summary } = plot;
  const [name, words] = [`${id}-name`, `${id}-words`];
  return html`<figure>
<figcaption id="${name}">${title}</figcaption>
${legend(plot)}
${drawPlot(plot, frames.wide, 'wide', name, words)}
${drawPlot(plot, frames.narrow, 'narrow', name, words)}
<p id="${words}">${summary}</p>
${table(plot)}
</figure>`;
}

function legend({ series }: Plot): Markup | null {
  if (series.length === 1 || series.length > mostNamedSeries) return null;
  return html`<ul class="legend">${series.map(({ name }, index) => html`<li>${swatch(index)} ${name}</li>`)}</ul>`;
}

/** The figures at some moments, evenly apart. */
function table({ title, series, x, unit }: Plot): Markup | null {
  if (series.length > mostNamedSeries) return null;
  const times = series.flatMap(({ points }) => points.map(([at]) => at));
  const [from, to] = [times.reduce((a, b) => Math.min(a, b)), times.reduce((a, b) => Math.max(a, b))];
  const moments = Array.from({ length: tableRows }, (_, i) => from + ((to - from) * i) / (tableRows - 1));
  const rows = moments.map((at) => {
    const cells = series.map(({ points }) => html`<td class="number">${valueAt(points, at)}</td>`);
    return html`<tr><th scope="row">${x === 'time' ? clock(at) : duration(at)}</th>${cells}</tr>`;
  });
  const heads = series.map(({ name }) => html`<th scope="col" class="number">${name}</th>`);
  return html`<details><summary>Figures</summary>
<div class="scroll" role="region" aria-label="${title}, figures" tabindex="0"><table>
<caption>${title}, ${unit}</caption>
<thead><tr><th scope="col">${x === 'time' ? 'UTC' : 'after'}</th>${heads}</tr></thead>
<tbody>${rows}</tbody>
</table></div></details>`;
}

function valueAt(points: readonly PlotPoint[], at: number): string {
  const value = points.findLast(([x]) => x <= at)?.[1];
  if (value === undefined) return '–';
  return value < 10 && !Number.isInteger(value) ? value.toFixed(1) : count(value);
}
