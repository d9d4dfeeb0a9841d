import { eventsOf } from '#exporter/attempt.ts';
import type { Verification } from '#exporter/verify.ts';
import type { AttemptPlan } from '#operator/plan.ts';
import { compareLedger } from './compare.ts';
import { exportedDatabase, exporterConfigOf, readExported } from './exported.ts';
import { readExportedRows } from './exportedrows.ts';
import type { Folder } from './folder.ts';
import { count } from './output.ts';
import { startProgress } from './progress.ts';
import type { Verdict } from './verdict.ts';
import { isQueueKept, verifyQueue } from './verifyqueue.ts';

/** Proves the export of a session of this machine again: by its rows, its queue while that is there, and a ledger. */
export async function verifyFolder(folder: Folder, ledger: string | null, signal: AbortSignal): Promise<Verdict> {
  const plan = await readExported(folder);
  const config = exporterConfigOf(folder, folder.identity!, plan);
  const { table } = config.plan;
  const database = exportedDatabase(config);
  const rows = await readExportedRows(config, { signal });
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
