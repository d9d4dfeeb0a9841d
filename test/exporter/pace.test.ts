import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createPace, mostPacePoints, thinPace } from '#exporter/report/pace.ts';

test('keeps few points of any step, in order, the last among them', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(5_000), { minLength: 1, maxLength: 3_000 }),
      fc.integer({ min: 1, max: 70 }),
      (gaps, most) => {
        let now = 0;
        const pace = createPace(() => now);
        pace.begin();
        for (const [index, gap] of gaps.entries()) {
          now += gap;
          pace.rows(index + 1);
        }
        const points = pace.points();
        expect(points.length).toBeLessThanOrEqual(mostPacePoints);
        expect(points.at(-1)?.[1]).toBe(gaps.length);
        expect(points).toEqual(points.toSorted((a, b) => a[0] - b[0] || a[1] - b[1]));
        const thin = thinPace(points, most);
        expect(thin.length).toBe(Math.min(most, points.length));
        expect(thin.at(-1)).toEqual(points.at(-1));
      },
    ),
  );
});
