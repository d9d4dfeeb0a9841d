import { hash } from 'node:crypto';
import { type Report, reportText } from '../report.ts';
import { html, type Markup } from './html.ts';

/** What an auditor compares, and how to prove the export again. */
export function auditSection(report: Report): Markup {
  const { root, sealedRoot, published, receipts } = report;
  const same = root === sealedRoot;
  return html`<section aria-labelledby="audit">
<h2 id="audit">For the auditor</h2>
<p>The root is one digest over every answer of the session. It was computed when the queue was sealed, and again from the rows that were read back.</p>
<dl class="facts">
<dt>Root from the rows</dt><dd>${root === null ? 'none: the rows are not those of the log' : html`<code>${root}</code>`}</dd>
<dt>Root at the seal</dt><dd><code>${sealedRoot}</code>${same ? ', the same' : html`, <strong>another</strong>`}</dd>
<dt>Published rows</dt><dd>SHA-256 over what was staged <code>${published.digest}</code></dd>
<dt>report.json</dt><dd>SHA-256 <code>${hash('sha256', reportText(report), 'hex')}</code></dd>
${receipts === null ? null : html`<dt>Receipt key</dt><dd>${receipts.algorithm}, id <code>${receipts.keyId}</code><pre>${receipts.publicKey.trim()}</pre></dd>`}
</dl>
<h3 id="again">To prove it again</h3>
<ol>
<li>Compare the SHA-256 of report.json, and the root, with what the session's status keeps.${commands(statusCommands(report))}</li>
<li>Let the rows be read again, and every chain and the root recomputed.${commands(verifyCommands(report))}</li>
${receipts === null ? null : html`<li>A student's receipt is good when its signature is, under the key above, and it is of this session; docs/report.md has the program that checks it, in a few lines. The export holds what the receipt says when the student's rows give the receipt's chain at its lastSeq.</li>`}
</ol>
${shardDigests(report)}
</section>`;
}

function statusCommands(report: Report): string[] {
  const name = shellName(report);
  return [
    'sha256sum export/report.json',
    `untradex status --data DIR --json | jq '.export.digest, .redis.root'`,
    `kubectl get examsession ${name} -o jsonpath='{.status.export.digest} {.status.redis.root}'`,
  ];
}

function verifyCommands(report: Report): string[] {
  const name = shellName(report);
  return [`untradex verify ${name} --data DIR`, `kubectl untradex verify ${name}`];
}

/** Somebody may copy the line into a shell: names of sessions are as Kubernetes has them, and anything else is not. */
function shellName({ session }: Report): string {
  return /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(session.name) ? session.name : 'NAME';
}

function commands(lines: readonly string[]): Markup {
  return html`<pre>${lines.join('\n')}</pre>`;
}

function shardDigests({ shards }: Report): Markup {
  const rows = shards.map(
    ({ shard, lastId, logDigest, staged }) =>
      html`<tr><th scope="row" class="number">${shard}</th><td><code>${lastId}</code></td><td><code>${logDigest}</code></td><td>${staged === null ? '–' : html`<code>${staged.digest}</code>`}</td></tr>`,
  );
  return html`<h3 id="digests">Digests by shard</h3>
<div class="scroll" role="region" aria-labelledby="digests" tabindex="0"><table class="digests">
<caption>The log's digest is the one at the seal; that of staging is over what the loader wrote</caption>
<thead><tr><th scope="col" class="number">shard</th><th scope="col">sealed at entry</th><th scope="col">log</th><th scope="col">staging</th></tr></thead>
<tbody>${rows}</tbody>
</table></div>`;
}
