import type { Verification } from '#exporter/verify.ts';
import { type Comparison, isKept } from './compare.ts';
import { count, line, paint, section } from './output.ts';
import type { RowsVerdict } from './verifyrows.ts';

/** What a verification found. */
export interface Verdict {
  readonly name: string;
  readonly database: string;
  readonly table: string;
  /** The root that was kept at the seal, outside of the queue and of the database. */
  readonly sealedRoot: string;
  readonly sealedEvents: number;
  readonly rows: RowsVerdict;
  /** Null when the queue was not asked: it is gone, or out of reach. */
  readonly queue: Verification | null;
  /** Null when no ledger was given. */
  readonly ledger: Comparison | null;
}

/** True when everything that was looked at agrees. */
export function isVerified({ rows, sealedRoot, sealedEvents, queue, ledger }: Verdict): boolean {
  const rowsAgree = rows.root === sealedRoot && rows.rows === sealedEvents && rows.outOfOrder === 0;
  return rowsAgree && (queue === null || queue.verified) && (ledger === null || isKept(ledger));
}

/** Prints a verdict for people. @param whyNoQueue what is told when the queue was not asked */
export function showVerdict(verdict: Verdict, whyNoQueue: string): void {
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
  section('Queue', [['compared', queue === null ? `no: ${whyNoQueue}` : `${count(queue.rows)} rows, event by event`]]);
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
