import Table from 'cli-table3';
import { checkFormat } from './report/reportformat.ts';
import type { Report } from './report.ts';

/** Pure: the report for a terminal, without colours. Several lines, the last without a line break. Problem `report_format`. */
export function reportTable(report: Report): string {
  checkFormat(report);
  return [headTable(report), shardTable(report), ...noteLines(report), ...differenceLines(report)].join('\n');
}

/** No borders inside: what is compared stands in columns. */
const plain = { style: { head: [], border: [] } };

function headTable(report: Report): string {
  const { session, published, rowsPerSecond, ms, roster, receipts, versions, retries } = report;
  const table = new Table(plain);
  const step = (name: 'load' | 'publish' | 'verify') => `${count(rowsPerSecond[name])} rows/s in ${seconds(ms[name])}`;
  table.push(
    { session: `${session.name} (${session.uid})${session.rehearsal ? ', a rehearsal' : ''}` },
    { exam: session.exam },
    { verified: report.verified ? 'yes' : 'NO' },
    { root: report.root ?? 'none: the rows are not those of the log' },
    { rows: `${count(report.rows)} in ${report.table}, ${report.target}` },
    {
      students: `${count(report.students)} with ${count(report.writers)} writers, ${count(report.finished)} finished`,
    },
  );
  if (roster) table.push({ roster: `${count(roster.students)}, ${count(roster.absent)} of them without an answer` });
  const before = published.already ? ', found published' : '';
  table.push(
    { published: `${published.publishedAt} by attempt ${published.attempt}${before}` },
    { load: step('load') },
    { publish: published.already ? 'done before' : step('publish') },
    { verify: step('verify') },
    {
      'tried again':
        retries.map(({ step, code, count: times }) => `${step}: ${code} ${count(times)} times`).join(', ') || 'nothing',
    },
  );
  if (receipts) table.push({ receipts: `key ${receipts.keyId}` });
  table.push({ versions: `untradex ${versions.untradex}, Node ${versions.node}, ${versions.sink}` });
  return table.toString();
}

function shardTable(report: Report): string {
  const right = ['right', 'right', 'right', 'right', 'right'] as const;
  const table = new Table({
    ...plain,
    head: ['shard', 'attempt', 'rows', 'rows/s', 'bytes', 'SHA-256 of the staged file', 'log digest'],
    colAligns: [...right, 'left', 'left'],
  });
  for (const { shard, events, logDigest, staged } of report.shards) {
    table.push([
      shard,
      staged?.attempt ?? '-',
      count(staged?.rows ?? events),
      staged ? count(staged.rowsPerSecond) : '-',
      staged ? count(staged.bytes) : '-',
      staged ? staged.digest.slice(0, 16) : '-',
      logDigest.slice(0, 16),
    ]);
  }
  return table.toString();
}

function noteLines({ notes }: Report): string[] {
  return notes.map(({ text }) => `note: ${text}`);
}

function differenceLines({ differences, moreDifferences }: Report): string[] {
  const lines = differences.map(({ kind, text }) => `${kind}: ${text}`);
  return moreDifferences ? [...lines, 'and more'] : lines;
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
