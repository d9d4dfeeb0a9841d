import type { Report } from '../report.ts';
import { count, counted } from './figures.ts';
import { foreign, html, type Markup } from './html.ts';

/** The verdict, first of all: in words, and in the counts that it stands on. */
export function verdictSection(report: Report): Markup {
  const { verified, counts, table } = report;
  return html`<section class="verdict${verified ? '' : ' bad'}" aria-labelledby="verdict">
<h2 id="verdict">${verified ? 'VERIFIED' : 'NOT VERIFIED'}</h2>
<p>${verified ? goodWords(report) : badWords(report)}</p>
<dl class="counts">
${shown('sealed', count(counts.sealed))}
${shown('exported', count(counts.exported))}
${shown('missing', found(counts.missing, counts.atLeast))}
${shown('twice', found(counts.twice, counts.atLeast))}
${shown('out of order', found(counts.outOfOrder, counts.atLeast))}
</dl>
</section>
${notes(report)}
${differences(report, table)}`;
}

function goodWords({ counts, table }: Report): Markup {
  return html`${counted(counts.sealed, 'answer')} ${counts.sealed === 1 ? 'was' : 'were'} sealed in the queue, all that were ever acknowledged among them. The table ${foreign(table)} was read back and compared with them: every one is there exactly once, in its order, byte for byte, and nothing else.`;
}

function badWords({ table }: Report): Markup {
  return html`The rows of ${foreign(table)} were read back, and are not those of the sealed queue. Release nothing, and keep the queue's volumes: they still hold every answer.`;
}

function shown(name: string, value: string): Markup {
  return html`<div><dt>${name}</dt><dd>${value}</dd></div>`;
}

function found(value: number, atLeast: boolean): string {
  return atLeast ? `≥ ${count(value)}` : count(value);
}

function notes({ notes }: Report): Markup | null {
  if (notes.length === 0) return null;
  return html`<ul class="notes" aria-label="To be noted">${notes.map(({ text }) => html`<li>${foreign(text)}</li>`)}</ul>`;
}

function differences({ differences, moreDifferences }: Report, table: string): Markup | null {
  if (differences.length === 0) return null;
  return html`<section aria-labelledby="differences">
<h2 id="differences">What differs</h2>
<div class="scroll" role="region" aria-label="Differences" tabindex="0"><table>
<caption>The log against ${foreign(table)}${moreDifferences ? ', the first of more' : ''}</caption>
<thead><tr><th scope="col">kind</th><th scope="col">what</th></tr></thead>
<tbody>${differences.map(({ kind, text }) => html`<tr><th scope="row">${kind}</th><td>${foreign(text)}</td></tr>`)}</tbody>
</table></div>
</section>`;
}
