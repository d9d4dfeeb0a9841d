import type { Report, ReportRoster } from '../report.ts';
import { count, counted } from './figures.ts';
import { foreign, html, type Markup } from './html.ts';

/** Who of the roster has no answers, and who has some without being in it. */
export function rosterSection({ roster, students }: Report): Markup {
  return html`<section aria-labelledby="roster">
<h2 id="roster">Students</h2>
${roster === null ? html`<p>${counted(students, 'student')} gave answers. There was no roster to compare them with.</p>` : rosterFacts(roster, students)}
</section>`;
}

function rosterFacts(roster: ReportRoster, answered: number): Markup {
  const { students, absent, absentIds, unknown, unknownIds, file, fileSha256 } = roster;
  return html`<dl class="facts">
<dt>In the roster</dt><dd>${count(students)}</dd>
<dt>With answers</dt><dd>${count(answered)}</dd>
<dt>Without an answer</dt><dd>${count(absent)}, listed in ${foreign(file)} (SHA-256 <code>${fileSha256}</code>)</dd>
<dt>Not in the roster</dt><dd>${count(unknown)}</dd>
</dl>
${names('Without an answer', absentIds)}
${names('With answers, and not in the roster', unknownIds)}`;
}

function names(title: string, ids: readonly string[] | null): Markup | null {
  if (ids === null || ids.length === 0) return null;
  return html`<details${ids.length <= 20 ? html` open` : null}><summary>${title}: ${count(ids.length)}</summary>
<ul class="ids">${ids.map((id) => html`<li>${foreign(id)}</li>`)}</ul></details>`;
}
