import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { keepMs, keepPattern } from '#operator/duration.ts';

describe('how long something is kept', () => {
  test.each([
    ['1h', 3_600_000],
    ['72h', 259_200_000],
    ['14d', 1_209_600_000],
    ['99999d', 8_639_913_600_000],
  ])('%s is %i ms', (text, ms) => {
    expect(text).toMatch(keepPattern);
    expect(keepMs(text)).toBe(ms);
  });

  test.each(['', '0h', '01d', '72', 'h', '1.5d', '-1d', '1w', '1m', '100000h', '1h30m', ' 1h', '1H'])(
    '%j is not taken',
    (text) => {
      expect(text).not.toMatch(keepPattern);
    },
  );

  test('a day is as long as 24 hours', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4_166 }), (days) => {
        expect(keepMs(`${days}d`)).toBe(keepMs(`${days * 24}h`));
      }),
    );
  });
});
