import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { runAs } from '#operator/kubernetes/clustersettings.ts';
import { startProgram } from '#test/support/process.ts';
import { asInPod, canRunAsInPod } from '#test/support/readonlyroot.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { duckdbSql } from './duckdbtarget.ts';
import { type Outcome, outcomeOf } from './programs.ts';
import { sealedSession } from './sealedsession.ts';

// Starting programs takes its time on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const main = join(import.meta.dirname, '../../exporter/main.ts');

test.skipIf(!canRunAsInPod(main))('exports into DuckDB as nobody, where only the claim can be written', async () => {
  const claim = tmpFolder('claim');
  const folder = join(claim, 'data');
  mkdirSync(folder);
  const session = await sealedSession({ shards: 1, folder });
  const outcomeFile = join(claim, 'termination-log');
  writeFileSync(outcomeFile, '');
  // Little memory, so that it has to spill.
  const config = session.config(1, { outcomeFile, sink: { memoryMb: 64 } });
  for (const path of [claim, folder, outcomeFile, config]) chownSync(path, runAs, runAs);
  const run = (...args: string[]): Promise<Outcome> =>
    outcomeOf(startProgram({ argv: asInPod(claim, [main, ...args, '--config', config]) }));
  for (const args of [['load', '--shard', '0'], ['publish']]) {
    const { exit, last, program } = await run(...args);
    expect([exit.code, last], program.stderr).toEqual([0, JSON.parse(readFileSync(outcomeFile, 'utf8'))]);
  }
  const [row] = await duckdbSql(session.database, 'SELECT count(*)::INT AS N FROM EXAM_ANSWERS');
  expect(row).toEqual({ N: session.total });
});
