import type { Report } from '../report.ts';
import type { Retry } from '../retries.ts';
import type { ReportAttempt } from './attempts.ts';
import { figure } from './figure.ts';
import { bytes, count, counted, duration, moment } from './figures.ts';
import { type Content, foreign, html, type Markup } from './html.ts';
import { exportPlots } from './plots.ts';

/** How the rows came into the target. */
export function exportSection(report: Report): Markup {
  return html`<section aria-labelledby="export">
<h2 id="export">The export</h2>
<p>Into ${foreign(report.table)}, ${foreign(report.target)}.</p>
${stepTable(report)}
${exportPlots(report).map(figure)}
${shardTable(report)}
${attemptTable(report)}
${retryTable(report)}
</section>`;
}

function stepTable({ ms, rowsPerSecond, published }: Report): Markup {
  const row = (name: string, step: 'load' | 'publish' | 'verify', skipped = false) =>
    html`<tr><th scope="row">${name}</th><td class="number">${skipped ? 'done before' : duration(ms[step])}</td><td class="number">${skipped ? '–' : count(rowsPerSecond[step])}</td></tr>`;
  return html`<div class="scroll" role="region" aria-label="Steps" tabindex="0"><table>
<caption>Steps of this attempt</caption>
<thead><tr><th scope="col">step</th><th scope="col" class="number">took</th><th scope="col" class="number">rows/s</th></tr></thead>
<tbody>${row('load, all shards', 'load')}${row('publish', 'publish', published.already)}${row('read back and verify', 'verify')}</tbody>
</table></div>`;
}

function shardTable({ shards }: Report): Markup {
  const rows = shards.map(
    ({ shard, events, staged }) =>
      html`<tr><th scope="row" class="number">${shard}</th><td class="number">${count(events)}</td>${staged === null ? html`<td class="number" colspan="4">nothing staged</td>` : html`<td class="number">${staged.attempt}</td><td class="number">${bytes(staged.bytes)}</td><td class="number">${duration(staged.ms)}</td><td class="number">${count(staged.rowsPerSecond)}</td>`}</tr>`,
  );
  return html`<h3 id="shards-of-it">Shards</h3>
<div class="scroll" role="region" aria-labelledby="shards-of-it" tabindex="0"><table>
<thead><tr><th scope="col" class="number">shard</th><th scope="col" class="number">rows</th><th scope="col" class="number">attempt</th><th scope="col" class="number">staged</th><th scope="col" class="number">took</th><th scope="col" class="number">rows/s</th></tr></thead>
<tbody>${rows}</tbody>
</table></div>`;
}

function attemptTable({ attempts, published }: Report): Markup {
  const rows = attempts.map(
    (one) =>
      html`<tr><th scope="row" class="number">${one.attempt}</th><td>${moment(one.startedAt)}</td><td class="number">${one.shardsLoaded}</td><td class="number">${count(one.rowsLoaded)}</td><td>${endOf(one)}${one.attempt === published.attempt ? '; published' : null}</td></tr>`,
  );
  return html`<h3 id="attempts">Attempts</h3>
<p>An attempt that fails leaves nothing in the table: the next one begins anew.</p>
<div class="scroll" role="region" aria-labelledby="attempts" tabindex="0"><table>
<thead><tr><th scope="col" class="number">attempt</th><th scope="col">began (UTC)</th><th scope="col" class="number">shards staged</th><th scope="col" class="number">rows</th><th scope="col">end</th></tr></thead>
<tbody>${rows}</tbody>
</table></div>`;
}

function endOf({ failures, endedAt, retries }: ReportAttempt): Content {
  const tries = retries.reduce((sum, one) => sum + one.count, 0);
  const waited = tries === 0 ? '' : `, after ${counted(tries, 'retry', 'retries')}`;
  if (failures.length === 0) return `${endedAt === null ? 'not known' : 'done'}${waited}`;
  return failures.map(({ shard, code }, index) => {
    const who = shard === null ? 'publisher' : `loader of shard ${shard}`;
    return html`${index === 0 ? '' : '; '}${who}: ${code === null ? 'killed' : foreign(code)}`;
  });
}

function retryTable({ retries }: Report): Markup {
  if (retries.length === 0) return html`<h3>Retries</h3><p>Nothing had to be tried again.</p>`;
  return html`<h3 id="retries">Retries</h3>
<div class="scroll" role="region" aria-labelledby="retries" tabindex="0"><table>
<caption>What this attempt tried again, and for which code of the target</caption>
<thead><tr><th scope="col">step</th><th scope="col">code</th><th scope="col" class="number">times</th></tr></thead>
<tbody>${retries.map(retryRow)}</tbody>
</table></div>`;
}

function retryRow({ step, code, count: times }: Retry): Markup {
  return html`<tr><th scope="row">${foreign(step)}</th><td>${foreign(code)}</td><td class="number">${count(times)}</td></tr>`;
}
