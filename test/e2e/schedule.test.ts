import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Act, cast, countKills, makeSchedule, scenes, victims } from './schedule.ts';

const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const sizes = fc.constantFrom('short' as const, 'long' as const);

describe('the schedule of a history', () => {
  test('follows from its seed alone', () => {
    fc.assert(
      fc.property(seeds, sizes, (seed, size) => {
        expect(makeSchedule(seed, size)).toEqual(makeSchedule(seed, size));
      }),
    );
    expect(makeSchedule(1, 'short')).not.toEqual(makeSchedule(2, 'short'));
  });

  test('goes through the phases in order, and finalizes once, as the last act in Active', () => {
    fc.assert(
      fc.property(seeds, sizes, (seed, size) => {
        const { acts } = makeSchedule(seed, size);
        const order = acts.map((act) => scenes.indexOf(act.scene));
        expect(order).toEqual([...order].sort((a, b) => a - b));
        expect(acts.filter((act) => act.kind === 'finalize')).toEqual([acts.findLast((act) => act.scene === 'Active')]);
      }),
    );
  });

  test('kills run last before the export, and an exporter first within it, so that neither is missed', () => {
    fc.assert(
      fc.property(seeds, sizes, (seed, size) => {
        const { acts } = makeSchedule(seed, size);
        expect(acts.findLast((act) => act.scene === 'Draining')).toMatchObject({ kind: 'kill', victim: 'run' });
        const first = acts.find((act) => act.scene === 'Exporting' && act.kind === 'kill');
        expect(first).toMatchObject({ victim: 'exporter' });
      }),
    );
  });

  test('kills a dozen in a short one: every kind of process, and something in every phase', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const schedule = makeSchedule(seed, 'short');
        expect(countKills(schedule)).toBeGreaterThanOrEqual(12);
        expect(countKills(schedule)).toBeLessThanOrEqual(15);
        expect(new Set(schedule.acts.flatMap(victimOf))).toEqual(new Set(victims));
        const killedIn = schedule.acts.filter((act) => act.kind === 'kill').map((act) => act.scene);
        expect(new Set(killedIn)).toEqual(new Set(scenes));
      }),
    );
  });

  test('kills every kind of process in every phase that has it in a long one, and at least twenty', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const schedule = makeSchedule(seed, 'long');
        expect(countKills(schedule)).toBeGreaterThanOrEqual(20);
        for (const scene of scenes) {
          const killed = schedule.acts.filter((act) => act.scene === scene).flatMap(victimOf);
          expect(killed).toEqual(expect.arrayContaining([...cast[scene]]));
        }
      }),
    );
  });
});

function victimOf(act: Act) {
  return act.kind === 'kill' ? [act.victim] : [];
}
