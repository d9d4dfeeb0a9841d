import { expect, test } from 'vitest';
import { isDateTime } from '#operator/datetime.ts';

test.each([
  '2026-05-04T09:00:00Z',
  '2026-05-04T09:00:00.123+02:00',
  '2028-02-29T23:59:59-11:30',
  '9999-12-31T00:00:00Z',
])('%s is a date and time', (text) => {
  expect(isDateTime(text)).toBe(true);
});

test.each([
  ['2026-02-29T09:00:00Z', 'a day that is not in the calendar'],
  ['2026-04-31T09:00:00Z', 'nor this'],
  ['2026-05-04T24:00:00Z', 'an hour too many'],
  ['2026-05-04T09:00:60Z', 'a leap second'],
  ['2026-05-04T09:00:00', 'no offset'],
  ['2026-05-04 09:00:00Z', 'no T'],
  ['2026-05-04t09:00:00z', 'small letters'],
  ['2026-05-04T09:00:00.1234Z', 'parts of a millisecond'],
  ['0999-05-04T09:00:00Z', 'long ago'],
  ['2026-05-04T09:00:00+24:00', 'an offset of a day'],
  ['2026-05-04T09:00:00Z\n', 'a line end'],
  [1777885200000, 'a number'],
])('%j is none: %s', (text, _why) => {
  expect(isDateTime(text)).toBe(false);
});
