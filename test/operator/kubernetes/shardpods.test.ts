import fc from 'fast-check';
import { expect, test } from 'vitest';
import { annotationNames, objectNames } from '#operator/kubernetes/names.ts';
import type { PodView } from '#operator/kubernetes/podview.ts';
import { podsToReplace } from '#operator/kubernetes/shardpods.ts';
import { refOf } from './gatewayparts.ts';

/** What may be the matter with a shard's pod. */
interface Situation {
  readonly incarnation: 'current' | 'given up';
  readonly shape: 'current' | 'older';
  readonly revision: 'current' | 'older';
  readonly state: 'ready' | 'loading' | 'pending' | 'looping' | 'ending' | 'missing';
}

const ref = refOf();
const current: Situation = { incarnation: 'current', shape: 'current', revision: 'current', state: 'ready' };

const situation: fc.Arbitrary<Situation> = fc.record({
  incarnation: fc.constantFrom('current', 'current', 'given up'),
  shape: fc.constantFrom('current', 'older'),
  revision: fc.constantFrom('current', 'older'),
  state: fc.constantFrom('ready', 'ready', 'loading', 'pending', 'looping', 'ending', 'missing'),
});

function podOf({ incarnation, shape, revision, state }: Situation, shard: number, shards: number): PodView {
  const incarnations = Array.from({ length: shards }, (_, other) => (other === shard ? incarnation : 'current'));
  const running = { running: { startedAt: '2026-05-04T10:00:00Z' } };
  const states = { ready: running, loading: running, ending: running, pending: {}, missing: {} };
  const looping = { waiting: { reason: 'CrashLoopBackOff' } };
  const container = { name: 'redis', image: '', imageID: '', ready: state === 'ready', restartCount: 0 };
  return {
    ...{ apiVersion: 'v1', kind: 'Pod' },
    metadata: {
      name: objectNames(ref).redisPod(shard),
      labels: { 'controller-revision-hash': revision },
      annotations: { [annotationNames.inputs]: shape, [annotationNames.incarnations]: JSON.stringify(incarnations) },
      ...(state === 'ending' && { deletionTimestamp: '2026-05-04T10:00:00Z' }),
    },
    status: {
      conditions: [{ type: 'Ready', status: state === 'ready' ? 'True' : 'False' }],
      containerStatuses:
        state === 'pending' ? [] : [{ ...container, state: state === 'looping' ? looping : states[state] }],
    },
  };
}

function replaced(shards: readonly Situation[]): number[] {
  const pods = shards.flatMap((one, shard) => (one.state === 'missing' ? [] : [podOf(one, shard, shards.length)]));
  const wanted = { incarnations: shards.map(() => 'current'), shape: 'current', revision: 'current' };
  const { atOnce, next } = podsToReplace(ref, pods, wanted);
  const names = [...atOnce, ...(next === null ? [] : [next])].map(({ metadata }) => metadata.name);
  return names.map((name) => shards.findIndex((_, shard) => objectNames(ref).redisPod(shard) === name));
}

const shards = fc.array(situation, { minLength: 1, maxLength: 5 });
const isUseful = ({ incarnation, state }: Situation) =>
  incarnation === 'current' && (state === 'ready' || state === 'loading');

test('a pod that answers goes only when it is out of date, alone, and all are ready', () => {
  fc.assert(
    fc.property(shards, (all) => {
      const useful = replaced(all).filter((shard) => isUseful(all[shard]!));
      expect(useful.length).toBeLessThanOrEqual(1);
      if (useful.length === 0) return;
      expect(all[useful[0]!]!.shape).toBe('older');
      expect(all.map(({ incarnation, state }) => [incarnation, state])).toEqual(all.map(() => ['current', 'ready']));
    }),
  );
});

test('a pod of a shard that was given up goes at once, and so does an older one that does not work', () => {
  fc.assert(
    fc.property(shards, (all) => {
      const expected = all.flatMap((one, shard) => {
        const { incarnation, shape, revision, state } = one;
        if (state === 'missing' || state === 'ending') return [];
        const isOlder = shape === 'older' || revision === 'older';
        const isIdle = state === 'pending' || state === 'looping';
        return incarnation === 'given up' || (isIdle && isOlder) ? [shard] : [];
      });
      expect(replaced(all)).toEqual(expect.arrayContaining(expected));
    }),
  );
});

test('in the end every pod is as it is wanted, and then nothing is replaced', () => {
  fc.assert(
    fc.property(shards, (begin) => {
      let all: Situation[] = [...begin];
      for (let pass = 0; pass < 2 * begin.length + 2; pass++) {
        const gone = replaced(all);
        // Those that are missing are made as they are wanted; all get ready, but those that keep ending.
        all = all.map((one, shard) => {
          if (gone.includes(shard) || one.state === 'missing' || one.state === 'ending') return current;
          const isStuck = one.state === 'looping' || one.state === 'pending';
          return isStuck && one.shape === 'current' && one.revision === 'current'
            ? current
            : { ...one, state: isStuck ? one.state : 'ready' };
        });
      }
      expect(all.map(({ incarnation, shape }) => [incarnation, shape])).toEqual(
        begin.map(() => ['current', 'current']),
      );
      expect(replaced(all)).toEqual([]);
    }),
  );
});

test('a pod that nobody of us made goes at once, and one that the controller has not caught up with stays', () => {
  const stranger = { ...podOf(current, 0, 1), metadata: { name: objectNames(ref).redisPod(0) } };
  const wanted = { incarnations: ['current'], shape: 'current', revision: null };
  expect(podsToReplace(ref, [stranger], wanted)).toEqual({ atOnce: [stranger], next: null });
  const pending = podOf({ ...current, revision: 'older', state: 'pending' }, 0, 1);
  expect(podsToReplace(ref, [pending], wanted)).toEqual({ atOnce: [], next: null });
});
