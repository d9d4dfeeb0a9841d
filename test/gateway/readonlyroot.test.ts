import { chmodSync, chownSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runAs } from '#operator/kubernetes/clustersettings.ts';
import { startProgram } from '#test/support/process.ts';
import { asInPod, canRunAsInPod } from '#test/support/readonlyroot.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { until } from '#test/support/until.ts';
import { startSession } from './testgateway.ts';

const main = join(import.meta.dirname, '../../gateway/main.ts');

test.skipIf(!canRunAsInPod(main))('a gateway runs as nobody, and writes no file', { timeout: 60_000 }, async () => {
  const session = await startSession();
  const everywhere = { host: '0.0.0.0', port: 0 };
  const config = session.config({ listen: everywhere, ops: everywhere, logLevel: 'info' });
  // As a ConfigMap and a Secret are mounted: root's, readable for the group.
  for (const name of readdirSync(session.folder)) {
    chownSync(join(session.folder, name), 0, runAs);
    chmodSync(join(session.folder, name), 0o440);
  }
  chownSync(session.folder, 0, runAs);
  chmodSync(session.folder, 0o750);
  const claim = tmpFolder('claim');
  const program = startProgram({ argv: asInPod(claim, [main, '--config', config]) });
  const { port, opsPort } = (await until(() => program.lines.find(({ msg }) => msg === 'listening'), {
    what: 'the gateway to listen',
    timeoutMs: 30_000,
  })) as { port?: number; opsPort?: number };
  const ready = async () => (await fetch(`http://127.0.0.1:${opsPort}/ready`)).ok;
  await until(ready, { what: 'the gateway to be ready', timeoutMs: 15_000 });
  const reply = await fetch(`http://127.0.0.1:${port}/exam/events`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${await session.token('ana')}` },
    body: JSON.stringify({ writer: 'machine-1', seq: 1, event: 'yes' }),
  });
  expect(await reply.json()).toMatchObject({ durableSeq: 1 });
  program.kill('SIGTERM');
  const { code } = await program.ended(15_000);
  expect(code, program.stderr).toBe(0);
  expect(readdirSync(claim)).toEqual([]);
});
