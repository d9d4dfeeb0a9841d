import fc from 'fast-check';
import { expect, test } from 'vitest';
import { duration } from '#cli/duration.ts';

test.each([
  ['90s', 90_000],
  ['4h', 14_400_000],
  ['10m', 600_000],
  ['1h30m', 5_400_000],
  ['250ms', 250],
  ['2d', 172_800_000],
])('%s is %i ms', (text, ms) => {
  expect(duration(text)).toBe(ms);
});

test('anything else is refused, never guessed', () => {
  for (const text of ['', '10', 'm', '-5s', '1.5h', '4 h', '0s', '10M', '1h 30m']) {
    expect(() => duration(text), text).toThrow();
  }
  fc.assert(
    fc.property(fc.string(), (text) => {
      fc.pre(!/^(\d+(ms|s|m|h|d))+$/.test(text));
      expect(() => duration(text)).toThrow();
    }),
  );
});
