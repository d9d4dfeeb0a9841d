import { beforeAll } from 'vitest';
import { sinkConformance } from '#test/conformance/sink.ts';
import { sinkProof } from '#test/conformance/sinkproof.ts';
import type { TestPostgres } from '#test/support/postgres.ts';
import { postgresTarget, startExamServer } from './postgrestarget.ts';

let server: TestPostgres;

beforeAll(async () => {
  server = await startExamServer();
}, 90_000);

sinkConformance('PostgreSQL', () => postgresTarget(server));

/**
 * A target of which an administrator has taken the key away, and which takes rows of every exam: else the database
 * itself refuses most of what the proof plants.
 */
async function unguardedTarget() {
  const target = await postgresTarget(server);
  let guarded = true;
  return {
    ...target,
    async sql(statement: string) {
      if (guarded) {
        guarded = false;
        const [key] = await target.sql(
          `SELECT conname FROM pg_constraint WHERE conrelid = '"EXAM_ANSWERS"'::regclass AND contype = 'u'`,
        );
        await target.sql(`ALTER TABLE "EXAM_ANSWERS" DROP CONSTRAINT "${key!.conname}"`);
        await target.sql(`CREATE TABLE "OTHERS" PARTITION OF "EXAM_ANSWERS" DEFAULT`);
      }
      return target.sql(statement);
    },
  };
}

sinkProof('PostgreSQL', unguardedTarget);
