import { expect, test } from 'vitest';
import { createLines } from '#exporter/lines.ts';
import { exitCodeOf, problemOf } from '#exporter/outcome.ts';
import { problem } from '#queue/problem.ts';

test('at most four lines of progress a second, whatever is reported, and always the last word', () => {
  const written: Record<string, unknown>[] = [];
  let ms = 0;
  const lines = createLines(
    (line) => {
      expect(line.endsWith('\n')).toBe(true);
      written.push(JSON.parse(line) as Record<string, unknown>);
    },
    { now: () => ms },
  );
  const load = lines.step('load', 10_000, 3);
  const verify = lines.step('verify', 10_000);
  for (; ms < 2_000; ms += 1) {
    load(ms);
    verify(ms);
  }
  expect(written).toHaveLength(8);
  expect(written[1]).toEqual({
    kind: 'progress',
    step: 'load',
    shard: 3,
    rows: 250,
    total: 10_000,
    rowsPerSecond: 1_000,
  });
  lines.result({ rows: 1 });
  expect(written.at(-1)).toEqual({ kind: 'result', ok: true, rows: 1 });
  lines.problem(problem('code', 'what', 'mend it'));
  expect(written.at(-1)).toEqual({ kind: 'problem', code: 'code', message: 'what', remedy: 'mend it' });
});

test('what only a person can mend ends with 1, everything else is tried again', () => {
  expect(exitCodeOf(problem('verify_failed', '', ''))).toBe(1);
  expect(exitCodeOf(problem('log_corrupt', '', ''))).toBe(1);
  expect(exitCodeOf(problem('staging_ambiguous', '', ''))).toBe(75);
  expect(exitCodeOf(problem('shard_unreachable', '', ''))).toBe(75);
  expect(exitCodeOf(new TypeError('a defect'))).toBe(75);
  expect(problemOf(new TypeError('a defect'))).toMatchObject({ code: 'unexpected', message: 'a defect' });
});
