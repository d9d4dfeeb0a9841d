import fc from 'fast-check';
import { expect, test } from 'vitest';
import { seededRandom } from '#cli/random.ts';
import { planStudent } from '#cli/studentplan.ts';

const someExam = fc.record({
  students: fc.integer({ min: 1, max: 4_000 }),
  durationMs: fc.integer({ min: 1_000, max: 3_600_000 }),
  events: fc.integer({ min: 1, max: 60 }),
});

test('a student arrives, answers in order, and finishes after the last answer', () => {
  fc.assert(
    fc.property(fc.nat(), someExam, (seed, exam) => {
      const plan = planStudent(seededRandom(seed), exam);
      expect(plan.answersAt).toHaveLength(exam.events);
      const times = [plan.arriveAt, ...plan.answersAt, plan.finishAt];
      expect([...times].sort((a, b) => a - b)).toEqual(times);
      expect(plan.arriveAt).toBeLessThanOrEqual(exam.durationMs / 5);
      expect(plan.finishAt).toBeLessThanOrEqual(exam.durationMs * 1.1);
    }),
  );
});

test('everybody has arrived before the first one finishes, some are late, some reload, some are cut off', () => {
  const exam = { students: 4_000, durationMs: 60_000, events: 25 };
  const plans = Array.from({ length: 4_000 }, (_, i) => planStudent(seededRandom(i), exam));
  const lastArrival = Math.max(...plans.map(({ arriveAt }) => arriveAt));
  expect(lastArrival).toBeLessThan(Math.min(...plans.map(({ finishAt }) => finishAt)));
  const share = (test: (plan: (typeof plans)[number]) => boolean) => plans.filter(test).length / plans.length;
  expect(share(({ finishAt }) => finishAt > exam.durationMs)).toBeCloseTo(0.03, 1);
  expect(share(({ reloadBefore }) => reloadBefore !== null)).toBeCloseTo(0.04, 1);
  expect(share(({ cutBefore }) => cutBefore !== null)).toBeCloseTo(0.06, 1);
});
