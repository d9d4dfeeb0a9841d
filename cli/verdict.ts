import { eventsOf } from '#exporter/attempt.ts';
import { openSink } from '#exporter/opensink.ts';
import type { Verification } from '#exporter/verify.ts';
import type { AttemptPlan } from '#operator/plan.ts';
import { type Comparison, compareLedger, isKept } from './compare.ts';
import { exportedDatabase, exporterConfigOf, readExported } from './exported.ts';
import type { Folder } from './folder.ts';
import { count, line, paint, section } from './output.ts';
import { startProgress } from './progress.ts';
import { isQueueKept, verifyQueue } from './verifyqueue.ts';
import { type RowsVerdict, verifyRows } from './verifyrows.ts';

/** What a verification found. */
export interface Verdict {
  readonly name: string;
  readonly database: string;
  readonly table: string;
  /** The root that was kept at the seal, outside of the queue and of the database. */
  readonly sealedRoot: string;
  readonly sealedEvents: number;
  readonly rows: RowsVerdict;
  /** Null when the queue's files are not in the folder any more. */
  readonly queue: Verification | null;
  /** Null when no ledger was given. */
  readonly ledger: Comparison | null;
}

export async function verifySession(folder: Folder, ledger: string | null, signal: AbortSignal): Promise<Verdict> {
  const plan = await readExported(folder);
  const config = exporterConfigOf(folder, folder.identity!, plan);
  const { table } = config.plan;
  const database = exportedDatabase(config);
  const rows = await readRows(folder, plan, signal);
  return {
    name: folder.session.metadata.name,
    database: typeof database === 'string' ? database : config.target,
    table,
    sealedRoot: plan.root,
    sealedEvents: eventsOf(config.plan),
    rows,
    queue: isQueueKept(folder) ? await compareQueue(folder, plan, signal) : null,
    ledger: ledger === null ? null : await compareLedger({ ledger, database, table, sessionUid: plan.session.uid }),
  };
}

async function readRows(folder: Folder, plan: AttemptPlan, signal: AbortSignal): Promise<RowsVerdict> {
  const config = exporterConfigOf(folder, folder.identity!, plan);
  const sink = openSink(config, signal);
  try {
    await sink.prepare(config.plan);
    return await verifyRows(plan.session.uid, sink.readBack());
  } finally {
    await sink.close();
  }
}

async function compareQueue(folder: Folder, plan: AttemptPlan, signal: AbortSignal): Promise<Verification> {
  const progress = startProgress(
    'comparing',
    plan.witnesses.reduce((sum, { events }) => sum + events, 0),
  );
  try {
    return await verifyQueue({ folder, plan, signal, onRows: (rows) => progress.update(rows, `${count(rows)} rows`) });
  } finally {
    progress.stop();
  }
}

/** True when everything that was looked at agrees. */
export function isVerified({ rows, sealedRoot, sealedEvents, queue, ledger }: Verdict): boolean {
  const rowsAgree = rows.root === sealedRoot && rows.rows === sealedEvents && rows.outOfOrder === 0;
  return rowsAgree && (queue === null || queue.verified) && (ledger === null || isKept(ledger));
}

/** Prints a verdict for people. */
export function showVerdict(verdict: Verdict): void {
  const { rows, sealedRoot, sealedEvents, queue, ledger } = verdict;
  const verified = isVerified(verdict);
  line(`${paint('bold', verdict.name)}  ${verified ? paint('green', 'VERIFIED') : paint('red', 'NOT VERIFIED')}`);
  line();
  section('Rows', [
    ['database', verdict.database],
    ['table', verdict.table],
    [
      'read back',
      `${count(rows.rows)} of ${count(sealedEvents)} sealed, of ${count(rows.students)} students with ${count(rows.writers)} writers`,
    ],
    ['out of order', count(rows.outOfOrder)],
    [
      'root',
      rows.root === sealedRoot ? `${rows.root}, as at the seal` : `${rows.root}, at the seal it was ${sealedRoot}`,
    ],
  ]);
  line();
  section('Queue', [
    [
      'compared',
      queue === null ? 'no: its files are not in the folder any more' : `${count(queue.rows)} rows, event by event`,
    ],
  ]);
  for (const { text } of queue?.differences ?? []) line(paint('red', `  ${text}`));
  if (ledger === null) return;
  line();
  section('Ledger', [
    ['acknowledged', count(ledger.acknowledged)],
    ['missing', count(ledger.missing)],
    ['twice', count(ledger.duplicated)],
    ['out of order', count(ledger.outOfOrder)],
    ['changed', count(ledger.wrongBytes)],
  ]);
  for (const text of ledger.examples) line(paint('red', `  ${text}`));
}
