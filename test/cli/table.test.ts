import { expect, test } from 'vitest';
import { utcTime } from '#cli/cluster/logtime.ts';
import { age } from '#cli/cluster/sessionlist.ts';
import { textLines } from '#cli/cluster/textlines.ts';
import { table } from '#cli/table.ts';

test('columns are as wide as they must be, and colours take no place', () => {
  expect(
    table(
      ['NAME', 'PHASE', 'AGE'],
      [
        ['algebra', '\x1b[32mOk\x1b[39m', '3s'],
        ['b', 'Pending', ''],
      ],
    ),
  ).toEqual(['NAME      PHASE     AGE', 'algebra   \x1b[32mOk\x1b[39m        3s', 'b         Pending']);
});

test.each([
  [0, '0s'],
  [119_000, '119s'],
  [120_000, '2m'],
  [7_199_000, '119m'],
  [7_200_000, '2h'],
  [172_800_000, '2d'],
])('an age of %d ms is %s', (ms, text) => expect(age(ms)).toBe(text));

test.each([
  ['2026-05-04T09:00:00.123456789Z', '2026-05-04T09:00:00.123456789Z'],
  ['2026-05-04T09:00:00.5Z', '2026-05-04T09:00:00.500000000Z'],
  ['2026-05-04T11:00:00.000000001+02:00', '2026-05-04T09:00:00.000000001Z'],
  ['2026-05-04T09:00:00Z', '2026-05-04T09:00:00.000000000Z'],
  ['unable', ''],
  ['2026-05-04', ''],
])('the time %s of a log sorts as %s', (text, utc) => expect(utcTime(text)).toBe(utc));

test('lines are put together from chunks that end anywhere, within a character too', async () => {
  const bytes = Buffer.from('ä\r\nzwei ≤\n\nlast');
  for (let size = 1; size <= bytes.length; size++) {
    const chunks = async function* () {
      for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
    };
    const lines: string[] = [];
    for await (const line of textLines(chunks())) lines.push(line);
    expect(lines).toEqual(['ä', 'zwei ≤', '', 'last']);
  }
});
