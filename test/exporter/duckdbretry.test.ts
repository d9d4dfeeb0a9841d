import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeDatabase, openDatabase } from '#exporter/sinks/duckdb/database.ts';
import { duckdbTrouble, sinkProblem } from '#exporter/sinks/duckdb/retry.ts';
import { problem } from '#queue/problem.ts';
import { tmpFolder } from '#test/support/tmp.ts';

test('judges DuckDB’s errors by their texts', () => {
  const lock =
    'IO Error: Could not set lock on file "/data/exams.duckdb": Conflicting lock is held in /usr/bin/node (PID 4711) by user ann. See also https://duckdb.org/docs/stable/connect/concurrency';
  expect(duckdbTrouble(new Error(lock))).toEqual({ kind: 'locked', pid: 4711, holder: '/usr/bin/node' });
  expect(
    duckdbTrouble(new Error('IO Error: Could not set lock on file "/x": Resource temporarily unavailable')),
  ).toEqual({ kind: 'locked', pid: null, holder: null });
  const texts = {
    unusable: ['IO Error: The file "/x" exists, but it is not a valid DuckDB database file!'],
    full: ['Out of Memory Error: failed to pin block', 'IO Error: Could not write file "x": No space left on device'],
    other: ['Constraint Error: Duplicate key', 'INTERRUPT Error: Interrupted!', ''],
  };
  for (const [kind, list] of Object.entries(texts)) {
    for (const text of list) expect([text, duckdbTrouble(new Error(text)).kind]).toEqual([text, kind]);
  }
});

test('says what to do when there is no room, and leaves other errors as they are', () => {
  expect(sinkProblem(new Error('IO Error: x: No space left on device'))).toMatchObject({ code: 'sink_full' });
  for (const error of [problem('code', 'No space left on device', ''), new Error('other')]) {
    expect(sinkProblem(error)).toBe(error);
  }
});

test('a file that is no database is left as it is, and somebody must look', async () => {
  const folder = tmpFolder('database');
  const path = join(folder, 'exams.duckdb');
  writeFileSync(path, 'the marks of 2019'.repeat(1_000));
  const limits = { memoryMb: 64, threads: 1, spill: join(folder, 'spill') };
  await makeDatabase(path, limits);
  await expect(openDatabase(path, { ...limits, waitMs: 0 })).rejects.toMatchObject({ code: 'database_unusable' });
});
