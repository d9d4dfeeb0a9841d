import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { dataFolder } from '#operator/local/datafolder.ts';
import { openLocalExporter } from '#operator/local/exporter.ts';
import type { AttemptPlan } from '#operator/plan.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { until } from '#test/support/until.ts';

const attempt: AttemptPlan = {
  attempt: 1,
  generation: 1,
  session: { name: 'algebra', uid: '7d1e4a6e-5a0f-4a50-9d37-0d6c2f1a4b11', exam: 'algebra', rehearsal: false },
  table: 'EXAM_ANSWERS',
  batchRows: 5_000,
  witnesses: [{ shard: 0, incarnation: 'one', lastId: '1-1', events: 1, digest: '0'.repeat(40) }],
  root: '0'.repeat(64),
};

test('an exporter that dies while it is being recorded ends its attempt', async () => {
  const root = tmpFolder('exporter');
  const program = join(root, 'exporter.mjs');
  writeFileSync(program, `process.kill(process.pid, 'SIGKILL');`);
  const exporter = await openLocalExporter({
    folder: dataFolder(root),
    program: [program],
    // A disk under load: the process is long dead when the record is on it.
    children: { add: () => sleep(500), remove: async () => {} },
    changed: () => {},
    configOf: () => ({}),
  });
  await exporter.apply(attempt);
  await until(() => exporter.observe()?.state === 'failed', { what: 'the end of the attempt' });
  expect(exporter.observe()?.fault).toMatchObject({ code: 'exporter_ended' });
  await exporter.stop();
});
