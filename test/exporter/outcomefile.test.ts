import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { mostOutcomeBytes, outcomeText } from '#exporter/outcomefile.ts';
import { makeDatabase, openDatabase } from '#exporter/sinks/duckdb/database.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { freePort } from '#test/support/freeport.ts';
import { startProgram } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { loadAll } from './job.ts';
import { outcomeOf, startLoad, startPublish } from './programs.ts';
import { sealedSession } from './sealedsession.ts';

// Starting programs takes its time on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const main = join(import.meta.dirname, '../../exporter/main.ts');
const left = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;

test('what fits is left as it is, what does not is cut with a mark, and it is JSON all the same', () => {
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary', minLength: 900, maxLength: 9_000 }));
  fc.assert(
    fc.property(text, text, (message, remedy) => {
      const line = { kind: 'problem', code: 'verify_failed', message, remedy };
      const kept = outcomeText(line);
      expect(Buffer.byteLength(kept)).toBeLessThanOrEqual(mostOutcomeBytes);
      const read = JSON.parse(kept) as typeof line;
      expect(read).toMatchObject({ kind: 'problem', code: 'verify_failed' });
      if (Buffer.byteLength(JSON.stringify(line)) <= mostOutcomeBytes) {
        expect(read).toEqual(line);
        return;
      }
      const cut = [read.message, read.remedy].filter((one) => one.endsWith(' ... (cut)'));
      expect(cut.length).toBeGreaterThan(0);
      // Nearly all of the room is used.
      expect(Buffer.byteLength(kept)).toBeGreaterThan(mostOutcomeBytes - 1_000);
    }),
    { numRuns: 200 },
  );
});

test('a pod of an Indexed Job knows its shard by its number, and leaves its result', async () => {
  const outcomeFile = join(tmpFolder('outcome'), 'termination-log');
  const session = await sealedSession({ shards: 2 });
  const argv = [process.execPath, main, 'load', '--config', session.config(1, { outcomeFile })];
  const { exit, last } = await outcomeOf(startProgram({ argv, env: { JOB_COMPLETION_INDEX: '1' } }));
  expect(exit.code).toBe(0);
  expect(last).toMatchObject({ kind: 'result', shard: 1, rows: session.witnesses[1]!.events });
  expect(left(outcomeFile)).toEqual(last);
  const { last: wrong } = await outcomeOf(startProgram({ argv, env: { JOB_COMPLETION_INDEX: 'x' } }));
  expect(wrong).toMatchObject({ code: 'usage', message: '--shard must be a whole number' });
});

test('tells its progress while it works, and leaves its problem when it is told to end', async () => {
  const outcomeFile = join(tmpFolder('outcome'), 'termination-log');
  const session = await sealedSession({ shards: 2 });
  await loadAll(session.config());
  const limits = { memoryMb: 64, threads: 1, spill: join(session.folder, 'spill') };
  await makeDatabase(session.database, limits);
  const held = await openDatabase(session.database, { ...limits, waitMs: 0, readOnly: true });
  const opsPort = await freePort();
  const config = session.config(1, { outcomeFile, opsPort, sink: { lockWaitSeconds: 60 } });
  const publisher = startPublish(config);
  await publisher.line(({ step }) => step === 'publish', 'the publisher to begin', 20_000);
  const ask = async (path: string) => (await fetch(`http://127.0.0.1:${opsPort}${path}`)).json();
  expect(await ask('/progress')).toEqual({ step: 'publish', rows: 0, total: session.total, rowsPerSecond: 0 });
  expect(await ask('/live?x')).toEqual({ live: true });
  expect(await ask('/other')).toMatchObject({ error: 'not_found' });
  publisher.kill('SIGTERM');
  const { exit, last } = await outcomeOf(publisher);
  expect([exit.code, last.code]).toEqual([75, 'interrupted']);
  expect(left(outcomeFile)).toEqual(last);
  await held.close();
});

test('what is wrong with the configuration is left too; a port that is taken, or a file that cannot be, stop nothing', async () => {
  const folder = tmpFolder('outcome');
  const outcomeFile = join(folder, 'termination-log');
  const session = await sealedSession({ shards: 1 });
  const { last } = await outcomeOf(startLoad(session.config(1, { outcomeFile, table: 'x y' }), 0));
  expect(left(outcomeFile)).toEqual(last);
  expect(last).toMatchObject({ kind: 'problem', code: 'exporter_config_invalid' });
  const taken = createServer().listen(0);
  onScopeEnd(() => void taken.close());
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  const load = startLoad(session.config(2, { outcomeFile: folder, opsPort: port }), 0);
  expect((await outcomeOf(load)).exit.code).toBe(0);
  for (const words of ['nobody can ask for the progress', 'the outcome could not be left']) {
    expect(load.stderr).toContain(words);
  }
});
