import { hash } from 'node:crypto';
import { dirname } from 'node:path';
import { makePrivateFolder, replaceFile } from '../durablefile.ts';
import type { Report } from '../report.ts';
import { auditSection } from './auditsection.ts';
import { exportSection } from './exportsection.ts';
import { figure } from './figure.ts';
import { counted, moment } from './figures.ts';
import { foreign, html, type Markup, trusted } from './html.ts';
import { examPlots } from './plots.ts';
import { checkFormat } from './reportformat.ts';
import { rosterSection } from './rostersection.ts';
import { style } from './style.ts';
import { verdictSection } from './verdictsection.ts';

/** Nothing is loaded and nothing runs: the one style sheet is known by its hash. */
const policy = `default-src 'none'; style-src 'sha256-${hash('sha256', style, 'base64')}'; base-uri 'none'; form-action 'none'`;

/**
 * Pure: the report for people, as one page of HTML that needs nothing else, and no script. Equal reports give equal
 * pages. Everything that is not of our own source is escaped.
 */
export function reportPage(report: Report): string {
  const { session } = report;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>${session.exam}: ${report.verified ? 'verified' : 'NOT verified'}</title>
<style>${trusted(style)}</style>
</head>
<body>
<header>
<p class="kind">${session.rehearsal ? 'Export of a rehearsal' : 'Export of an exam'}</p>
<h1>${foreign(session.exam)}</h1>
<p class="about">Session ${foreign(session.name)}, <code>${session.uid}</code></p>
<p class="about">Exported ${moment(report.published.publishedAt)}, proved ${moment(report.endedAt)} (UTC)</p>
</header>
<main>
${verdictSection(report)}
${auditSection(report)}
${rosterSection(report)}
${examSection(report)}
${exportSection(report)}
</main>
<footer>
<p>Untradex ${report.versions.untradex}, Node ${report.versions.node}, ${report.versions.sink}. All times are UTC. Everything on this page is in report.json beside it.</p>
</footer>
</body>
</html>
`.markup;
}

function examSection(report: Report): Markup {
  const plots = examPlots(report);
  const samples =
    report.samples === null
      ? html`<p>Nobody kept samples of the gateways, so latencies and connections are not shown.</p>`
      : null;
  const none = plots.length === 0 ? html`<p>No answers were given.</p>` : null;
  return html`<section aria-labelledby="exam">
<h2 id="exam">The exam</h2>
<p>${counted(report.counts.sealed, 'answer')} of ${counted(report.students, 'student')}, who wrote with ${counted(report.writers, 'device or tab', 'devices or tabs')}. ${counted(report.finished, 'student')} handed in.</p>
${none}${plots.map(figure)}${samples}
</section>`;
}

/**
 * Writes the page, whole or not at all, for its owner only: it names students.
 * @throws Problem `report_format`
 */
export async function writePage(path: string, report: Report): Promise<void> {
  checkFormat(report);
  await makePrivateFolder(dirname(path));
  await replaceFile(path, reportPage(report));
}
