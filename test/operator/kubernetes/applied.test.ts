import { expect, test } from 'vitest';
import { createApplied } from '#operator/kubernetes/applied.ts';
import type { KubeObject } from '#operator/kubernetes/runtime/object.ts';
import { problem } from '#queue/problem.ts';

const service = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'door', namespace: 'exams' },
  spec: { port: 80 },
};

/** An API server with one object, and a clock. */
function world() {
  const state = { live: null as KubeObject | null, writes: 0, looks: 0, isForbidden: false, time: 0 };
  const applied = createApplied(
    {
      async get() {
        state.looks++;
        if (state.isForbidden) throw problem('api_forbidden', 'no', 'ask');
        return state.live;
      },
      async apply(object) {
        state.writes++;
        const uid = state.live?.metadata.uid ?? `uid-${state.writes}`;
        state.live = { ...object, metadata: { ...object.metadata, uid, resourceVersion: `${state.writes}` } };
        return state.live;
      },
      remove: async () => true,
    },
    { manager: 'test', lookMs: 10_000, now: () => state.time },
  );
  return { state, ensure: () => applied.ensure(service) };
}

test('what no cache shows is looked at now and then, and written again only when somebody changed it', async () => {
  const { state, ensure } = world();
  await ensure();
  for (; state.time < 100_000; state.time += 1_000) await ensure();
  expect(state).toMatchObject({ writes: 1, looks: 9 });

  state.live = null;
  state.time += 10_000;
  await ensure();
  expect(state).toMatchObject({ writes: 2, live: { metadata: { uid: 'uid-2' } } });

  state.live = { ...state.live!, spec: { port: 81 } };
  state.time += 10_000;
  await ensure();
  expect(state).toMatchObject({ writes: 3, live: { spec: { port: 80 } } });

  // Its controller writes its status: nothing of ours.
  state.live = { ...state.live!, status: { healthy: 1 } };
  state.time += 10_000;
  expect(await ensure()).toBeNull();
  expect(state.writes).toBe(3);
});

test('who may not look applies again, which changes nothing when nothing is wrong', async () => {
  const { state, ensure } = world();
  await ensure();
  state.isForbidden = true;
  state.time += 10_000;
  await ensure();
  expect(state.writes).toBe(2);
});
