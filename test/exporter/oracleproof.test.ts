import { targetDdl } from '#exporter/sinks/oracle/ddl.ts';
import { sinkProof } from '#test/conformance/sinkproof.ts';
import { oracleTarget } from './oracletarget.ts';

/** A table that an administrator made without the key: else the database itself refuses most of what the proof plants. */
async function unguardedTarget() {
  const target = await oracleTarget();
  const user = target.settings.user.toUpperCase();
  const place = { user, owner: user, table: 'EXAM_ANSWERS', tablespace: null } as const;
  const guarded = targetDdl({ ...place, partition: 'None', targetLogging: 'Logging' });
  await target.sql(guarded.replace(/,\s*CONSTRAINT "EXAM_ANSWERS_UK" UNIQUE \([^)]*\)/, ''));
  return target;
}

sinkProof('Oracle', unguardedTarget);
