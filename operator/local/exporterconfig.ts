import { resolve } from 'node:path';
import type { ExamSpec } from '../examsession.ts';
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
    sink: sinkOf(folder, identity.session.spec.export),
    table,
    batchRows,
    report: folder.export.report,
    receiptPublicKey,
    samples: folder.samples,
    roster: identity.session.spec.roster?.file === undefined ? null : folder.rosterInForce,
  };
}

/** As the exporter names things. Files stay where they are: only their paths go from one configuration to the other. */
function sinkOf(folder: DataFolder, { postgres }: ExamSpec['export']) {
  if (postgres === undefined) return { kind: 'duckdb', database: folder.database, staging: folder.export.dir };
  const at = (path: string | undefined) => (path === undefined ? null : resolve(folder.root, path));
  const { passwordFile, tls, credentialsSecret: _, ...server } = postgres;
  return {
    kind: 'postgres',
    ...server,
    passwordFile: at(passwordFile),
    tls: { mode: tls.mode, caFile: at(tls.caFile), certFile: at(tls.certFile), keyFile: at(tls.keyFile) },
  };
}
