import type { AttemptPlan } from '../plan.ts';
import type { DataFolder } from './datafolder.ts';
import type { LocalIdentity } from './identityfile.ts';

/** What `exporter/main.ts --config` reads of an attempt on one machine. Pure. */
export function exporterConfig(
  folder: DataFolder,
  identity: LocalIdentity,
  attempt: AttemptPlan,
  receiptPublicKey: string,
) {
  const { session, table, batchRows, witnesses, root } = attempt;
  return {
    session,
    attempt: attempt.attempt,
    shards: identity.shards.map(({ port, incarnation }) => ({
      host: '127.0.0.1',
      port,
      username: 'exporter',
      passwordFile: folder.keys.redisPassword('exporter'),
      tls: null,
      incarnation,
    })),
    witnesses,
    root,
    sink: { kind: 'duckdb', database: folder.database, staging: folder.export.dir },
    table,
    batchRows,
    report: folder.export.report,
    receiptPublicKey,
    samples: folder.samples,
    roster: identity.session.spec.roster === undefined ? null : folder.rosterInForce,
  };
}
