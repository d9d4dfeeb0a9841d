import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readSampleCurves } from '#exporter/report/samplecurves.ts';
import { tmpFolder } from '#test/support/tmp.ts';

const start = Date.parse('2026-06-01T09:00:00Z');
const lineOf = (second: number, students: number, count = 10) =>
  JSON.stringify({
    at: new Date(start + second * 1_000).toISOString(),
    ...{ gateways: 2, connections: students + 1, students, pendingEvents: 0 },
    ackMs: { p50: 4, p99: 20 + students, max: 90, count },
  });

function fileOf(lines: readonly string[]): string {
  const file = join(tmpFolder('samples'), 'samples.ndjson');
  writeFileSync(file, lines.join('\n'));
  return file;
}

test('gives of each step the highest values, and no times while nothing was acknowledged', async () => {
  const file = fileOf([lineOf(0, 0, 0), lineOf(1, 7), lineOf(3, 9), '{"at":"2026-06-01T09:', 'nothing', '{}']);
  expect(await readSampleCurves(file, Number.POSITIVE_INFINITY)).toEqual({
    file,
    startedAt: '2026-06-01T09:00:00.000Z',
    stepMs: 1_000,
    steps: [0, 1, 3],
    students: [0, 7, 9],
    connections: [1, 8, 10],
    ackP50: [null, 4, 4],
    ackP99: [null, 27, 29],
  });
});

test('is bounded however long the exam was, and ends where it is told to', async () => {
  const file = fileOf(Array.from({ length: 10_000 }, (_, second) => lineOf(second, second % 100)));
  const curves = (await readSampleCurves(file, start + 8_999_000))!;
  expect(curves.steps.length).toBeLessThanOrEqual(240);
  expect(curves.steps.at(-1)! * curves.stepMs).toBeLessThanOrEqual(8_999_000);
  expect(Math.max(...curves.students)).toBe(99);
});

test('is nothing without samples', async () => {
  expect(await readSampleCurves(join(tmpFolder('samples'), 'none.ndjson'), 0)).toBeNull();
  expect(await readSampleCurves(fileOf(['']), 0)).toBeNull();
});
