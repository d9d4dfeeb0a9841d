import fc from 'fast-check';
import { expect, test } from 'vitest';
import { causeOf, type DownCause, reconnectDefaults, reconnectDelay } from '#client/reconnect.ts';

const causes = Object.keys(reconnectDefaults) as DownCause[];
const end = (code: number, status?: number) => ({ code, reason: '', ...(status === undefined ? {} : { status }) });

test.each([
  [1012, undefined, false, 'restart'],
  [1006, undefined, true, 'restart'],
  [1006, undefined, false, 'lost'],
  [1000, undefined, false, 'lost'],
  [1013, undefined, false, 'busy'],
  [1013, undefined, true, 'busy'],
  [1006, 503, false, 'busy'],
  [1006, 429, false, 'busy'],
  [1008, undefined, false, 'refused'],
  [1006, 401, false, 'refused'],
  [1006, 403, true, 'refused'],
  [1006, 404, false, 'lost'],
] as const)('close code %i, HTTP %s, announced %s: %s', (code, status, announced, cause) => {
  expect(causeOf(end(code, status), announced)).toBe(cause);
});

test('a delay is random over its whole range, which doubles up to a bound', () => {
  const cause = fc.constantFrom(...causes);
  fc.assert(
    fc.property(
      cause,
      fc.nat(1_000),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (why, n, random) => {
        const { first, most } = reconnectDefaults[why];
        const range = Math.min(most, first * 2 ** n);
        const delay = reconnectDelay(why, n, random);
        expect(delay).toBeCloseTo(random * range, 6);
        expect(delay).toBeLessThanOrEqual(most);
      },
    ),
  );
});

test("the server's Retry-After is a floor with jitter above it, and bounded itself", () => {
  expect(reconnectDelay('busy', 0, 0, 5_000)).toBe(5_000);
  expect(reconnectDelay('busy', 0, 0.5, 5_000)).toBe(5_000 + reconnectDefaults.busy.first / 2);
  expect(reconnectDelay('busy', 0, 0, 86_400_000)).toBe(120_000);
});

test('after a crash, 4,000 students come back spread out: no tenth of the range gets much more than its share', () => {
  const counts = new Array<number>(10).fill(0);
  for (let i = 0; i < 4_000; i++) {
    const tenth = Math.floor((reconnectDelay('lost', 1, Math.random()) / (reconnectDefaults.lost.first * 2)) * 10);
    counts[tenth]! += 1;
  }
  for (const count of counts) expect(count).toBeLessThan(550);
});
